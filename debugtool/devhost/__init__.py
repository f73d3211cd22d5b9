"""The embedded host: starts and restarts a plugin as Grafana does, with Grafana's HTTP API in front."""

from debugtool.devhost.calls import Health, ResourceRequest
from debugtool.devhost.connection import answers_calls, import_grpc, open_channel, request_shutdown
from debugtool.devhost.direct import (
    Callee,
    call_resource,
    check_health,
    find_callee,
    make_resource_request,
    query_data,
    readable_body,
)
from debugtool.devhost.hclog import LEVELS
from debugtool.devhost.host import DEFAULT_PORT, HOST, HostRequest, find_plugin, run_host
from debugtool.devhost.keeper import RESTART_POLL_S
from debugtool.devhost.process import START_TIMEOUT_S
from debugtool.devhost.queries import make_query
from debugtool.devhost.report import HumanReporter, JsonReporter
from debugtool.devhost.tables import result_lines
from debugtool.devhost.timerange import BadTime, parse_range
from debugtool.devhost.trial import try_start

__all__ = [
    "DEFAULT_PORT",
    "HOST",
    "LEVELS",
    "RESTART_POLL_S",
    "START_TIMEOUT_S",
    "BadTime",
    "Callee",
    "Health",
    "HostRequest",
    "HumanReporter",
    "JsonReporter",
    "ResourceRequest",
    "answers_calls",
    "call_resource",
    "check_health",
    "find_callee",
    "find_plugin",
    "import_grpc",
    "make_query",
    "make_resource_request",
    "open_channel",
    "parse_range",
    "query_data",
    "readable_body",
    "request_shutdown",
    "result_lines",
    "run_host",
    "try_start",
]
