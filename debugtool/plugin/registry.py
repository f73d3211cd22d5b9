"""Which gRPC method is answered by what, and on which threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import empty_pb2

from debugtool.plugin.admission_service import AdmissionService
from debugtool.plugin.calls import Caller
from debugtool.plugin.data_service import DataService
from debugtool.plugin.diagnostics_service import DiagnosticsService
from debugtool.plugin.host_services import HostServices
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.proto import goplugin_pb2, health_pb2
from debugtool.plugin.resource_service import ResourceService
from debugtool.plugin.stream_service import StreamService

if TYPE_CHECKING:  # generic in the stubs only
    Method = grpc.RpcMethodHandler[Any, Any]


@dataclass(frozen=True)
class Pools:
    """Whose threads run what: `workers` users' calls, `streams` the live streams, `control` the host's own calls."""

    workers: ThreadPoolExecutor
    streams: ThreadPoolExecutor
    control: ThreadPoolExecutor


def generic_handlers(plugin: Any, host: HostServices, pools: Pools) -> list[grpc.GenericRpcHandler[Any, Any]]:
    """Make the handlers of all services the plugin has methods for; the host learns of the others by Unimplemented.

    Source:
        wire-spec 1.7 and 2.2: Diagnostics is always there, the others only if the plugin handles them.
    """
    services = host_methods(host, pools) | plugin_methods(plugin, pools)
    return [
        grpc.method_handlers_generic_handler(service, dict(methods)) for service, methods in services.items() if methods
    ]


def host_methods(host: HostServices, pools: Pools) -> dict[str, Mapping[str, Method]]:
    """Make the methods that go-plugin calls."""
    return {
        "plugin.GRPCController": {
            "Shutdown": _unary(_in_pool(host.shutdown, pools.control), goplugin_pb2.Empty, goplugin_pb2.Empty),
        },
        "grpc.health.v1.Health": {
            "Check": _unary(
                _in_pool(host.check, pools.control), health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            ),
            "Watch": _stream(
                _kept_open(host.watch, pools), health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            ),
        },
        "plugin.GRPCStdio": {
            "StreamStdio": _stream(_kept_open(host.stream_stdio, pools), empty_pb2.Empty, goplugin_pb2.StdioData),
        },
        "plugin.GRPCBroker": {
            "StartStream": grpc.stream_stream_rpc_method_handler(
                _kept_open(host.start_stream, pools),
                goplugin_pb2.ConnInfo.FromString,
                goplugin_pb2.ConnInfo.SerializeToString,
            ),
        },
    }


def plugin_methods(plugin: Any, pools: Pools) -> dict[str, Mapping[str, Method]]:
    """Make the methods that Grafana calls, of those the plugin has."""
    caller = Caller()
    data, resource, stream = DataService(plugin, caller), ResourceService(plugin, caller), StreamService(plugin, caller)
    diagnostics, admission = DiagnosticsService(plugin, caller), AdmissionService(plugin, caller)
    has = functools.partial(hasattr, plugin)
    return {
        "pluginv2.Diagnostics": {
            "CheckHealth": _unary(diagnostics.check_health, pb.CheckHealthRequest, pb.CheckHealthResponse),
            "CollectMetrics": _unary(diagnostics.collect_metrics, pb.CollectMetricsRequest, pb.CollectMetricsResponse),
        },
        "pluginv2.Data": {
            "QueryData": _unary(data.query_data, pb.QueryDataRequest, pb.QueryDataResponse),
            "QueryChunkedData": _stream(
                data.query_chunked_data, pb.QueryChunkedDataRequest, pb.QueryChunkedDataResponse
            ),
        }
        if has("query_data") or has("query_chunked")
        else {},
        "pluginv2.Resource": {
            "CallResource": _stream(resource.call_resource, pb.CallResourceRequest, pb.CallResourceResponse),
        }
        if has("call_resource")
        else {},
        "pluginv2.Stream": _only(
            plugin,
            subscribe_stream=_unary(stream.subscribe_stream, pb.SubscribeStreamRequest, pb.SubscribeStreamResponse),
            run_stream=_stream(_in_pool(stream.run_stream, pools.streams), pb.RunStreamRequest, pb.StreamPacket),
            publish_stream=_unary(stream.publish_stream, pb.PublishStreamRequest, pb.PublishStreamResponse),
        ),
        "pluginv2.AdmissionControl": _only(
            plugin,
            validate_admission=_unary(admission.validate_admission, pb.AdmissionRequest, pb.ValidationResponse),
            mutate_admission=_unary(admission.mutate_admission, pb.AdmissionRequest, pb.MutationResponse),
        ),
        "pluginv2.ResourceConversion": _only(
            plugin, convert_objects=_unary(admission.convert_objects, pb.ConversionRequest, pb.ConversionResponse)
        ),
    }


def _only(plugin: Any, **methods: Method) -> dict[str, Method]:
    """Keep the methods the plugin has, under the names they have on the wire: `run_stream` is `RunStream`."""
    return {name.title().replace("_", ""): method for name, method in methods.items() if hasattr(plugin, name)}


def _in_pool(behaviour: Callable[..., Any], pool: ThreadPoolExecutor) -> Callable[..., Any]:
    """Run a method on other threads than the workers."""
    wrapped: Any = functools.partial(behaviour)
    wrapped.experimental_thread_pool = pool  # gRPC's own way, see server.py
    return wrapped  # type: ignore[no-any-return]


def _kept_open(behaviour: Callable[..., Any], pools: Pools) -> Callable[..., Any]:
    """Run a method that returns at once and leaves its call open, so that it holds no thread."""
    wrapped: Any = _in_pool(behaviour, pools.control)
    wrapped.experimental_non_blocking = True  # gRPC's own way, see server.py
    return wrapped  # type: ignore[no-any-return]


def _unary(behaviour: Callable[..., Any], request: Any, response: Any) -> Method:
    return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, response.SerializeToString)


def _stream(behaviour: Callable[..., Any], request: Any, response: Any) -> Method:
    return grpc.unary_stream_rpc_method_handler(behaviour, request.FromString, response.SerializeToString)
