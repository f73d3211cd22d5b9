"""pluginv2.Diagnostics: health and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import grpc

from debugtool.plugin.calls import Caller, describe, fail, log
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.responses import HealthResult, HealthStatus


class DiagnosticsService:
    """Answers with `check_health` and `collect_metrics`; without them as the Go SDK does: healthy, and no metrics."""

    def __init__(self, plugin: Any, caller: Caller) -> None:
        self._plugin = plugin
        self._caller = caller

    def check_health(self, request: pb.CheckHealthRequest, call: grpc.ServicerContext) -> pb.CheckHealthResponse:
        """Say how the plugin is. An exception is an ERROR with its text."""
        if not hasattr(self._plugin, "check_health"):
            return pb.CheckHealthResponse(status=pb.CheckHealthResponse.OK)
        context = self._caller.open(request.pluginContext, request.headers, call)
        try:
            answer = health_result(self._caller.call(self._plugin.check_health, context, call))
            details = json.dumps(dict(answer.details)).encode()
        except Exception as error:  # a handler may raise anything: what it says is the answer
            if context.is_cancelled:
                fail(call, context, "check_health", error)
            log.error("check_health failed: %s", describe(error), exc_info=error, extra=dict(context.logger_params))
            answer, details = HealthResult(HealthStatus.ERROR, describe(error)), b"{}"
        # The details must be a JSON object, or Grafana answers 500 (wire-spec 3.1).
        status = pb.CheckHealthResponse.HealthStatus.Name(int(answer.status))
        return pb.CheckHealthResponse(status=status, message=answer.message, jsonDetails=details)

    def collect_metrics(
        self, request: pb.CollectMetricsRequest, call: grpc.ServicerContext
    ) -> pb.CollectMetricsResponse:
        """Give the plugin's metrics in Prometheus' text format."""
        if not hasattr(self._plugin, "collect_metrics"):
            return pb.CollectMetricsResponse()
        context = self._caller.open(request.pluginContext, {}, call)
        try:
            text = self._caller.call(self._plugin.collect_metrics, context, call)
            metrics = text.encode() if isinstance(text, str) else bytes(text)
        except Exception as error:  # a handler may raise anything; the host must hear of it
            fail(call, context, "collect_metrics", error)
        return pb.CollectMetricsResponse(metrics=pb.CollectMetricsResponse.Payload(prometheus=metrics))


def health_result(result: object) -> HealthResult:
    """Take a handler's result: a HealthResult, True or None for healthy, False for not.

    Raises:
        TypeError: It, or its details, are something else.
    """
    match result:
        case HealthResult():
            if not isinstance(result.details, Mapping):
                raise TypeError(f"the details of a HealthResult must be a mapping, not {type(result.details).__name__}")
            return result
        case True | None:
            return HealthResult()
        case False:
            return HealthResult(HealthStatus.ERROR)
    raise TypeError(f"check_health must return a HealthResult, a bool or None, not {type(result).__name__}")
