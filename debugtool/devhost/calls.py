"""The calls a host makes to a plugin, over one gRPC channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc.aio

    from debugtool.plugin.proto import backend_pb2


class CallFailed(Exception):
    """A call ended with a gRPC status other than OK.

    Args:
        code: Name of the status: `UNIMPLEMENTED`, `UNAVAILABLE`, `DEADLINE_EXCEEDED`, ...
        details: What the plugin said.
    """

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Health:
    """Answer of a health check: `status` is OK, ERROR or UNKNOWN; `details` the plugin's JSON text, maybe empty."""

    status: str
    message: str
    details: bytes = b""


@dataclass(frozen=True)
class ResourceRequest:
    """A call of a plugin's resource: `path` without a leading slash, `url` the path with its query string."""

    method: str
    path: str
    url: str
    headers: Mapping[str, Sequence[str]]
    body: bytes


@contextmanager
def _translated() -> Iterator[None]:
    import grpc.aio

    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise CallFailed(error.code().name, error.details() or "") from error
    except asyncio.CancelledError as error:
        # gRPC says so too when the channel is closed under a call: the plugin has ended, and we were not cancelled.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CallFailed("UNAVAILABLE", "the plugin ended meanwhile") from error


async def check_health(
    channel: grpc.aio.Channel,
    context: backend_pb2.PluginContext,
    headers: Mapping[str, str],
    timeout_s: float | None = None,
) -> Health:
    """Ask for a plugin's health; one without the call is UNKNOWN, as for Grafana.

    Raises:
        CallFailed: The call failed.
    """
    from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

    request = backend_pb2.CheckHealthRequest(pluginContext=context, headers=headers)
    try:
        with _translated():
            reply = await backend_pb2_grpc.DiagnosticsStub(channel).CheckHealth(request, timeout=timeout_s)
    except CallFailed as error:
        if error.code != "UNIMPLEMENTED":
            raise
        return Health("UNKNOWN", "Health check is not implemented by this plugin")
    status = backend_pb2.CheckHealthResponse.HealthStatus.Name(reply.status) if reply.status in (0, 1, 2) else "UNKNOWN"
    return Health(status, reply.message, reply.jsonDetails)


async def query_data(
    channel: grpc.aio.Channel,
    context: backend_pb2.PluginContext,
    queries: Sequence[backend_pb2.DataQuery],
    headers: Mapping[str, str],
    timeout_s: float | None = None,
) -> dict[str, backend_pb2.DataResponse]:
    """Run queries; gives the answers by refId.

    Raises:
        CallFailed: The call as a whole failed.
    """
    from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

    request = backend_pb2.QueryDataRequest(pluginContext=context, headers=headers, queries=queries)
    with _translated():
        reply = await backend_pb2_grpc.DataStub(channel).QueryData(request, timeout=timeout_s)
    return dict(reply.responses)


async def collect_metrics(channel: grpc.aio.Channel, context: backend_pb2.PluginContext) -> bytes:
    """Give a plugin's metrics in Prometheus's text format; none from a plugin without the call.

    Raises:
        CallFailed: The call failed.
    """
    from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

    try:
        with _translated():
            reply = await backend_pb2_grpc.DiagnosticsStub(channel).CollectMetrics(
                backend_pb2.CollectMetricsRequest(pluginContext=context)
            )
    except CallFailed as error:
        if error.code != "UNIMPLEMENTED":
            raise
        return b""
    prometheus: bytes = reply.metrics.prometheus
    return prometheus


async def call_resource(
    channel: grpc.aio.Channel,
    context: backend_pb2.PluginContext,
    request: ResourceRequest,
    timeout_s: float | None = None,
) -> AsyncGenerator[backend_pb2.CallResourceResponse, None]:
    """Call a resource; gives the pieces of the answer as they come, status and headers in the first.

    Raises:
        CallFailed: The call failed, maybe after some pieces.
    """
    from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

    call = backend_pb2_grpc.ResourceStub(channel).CallResource(
        backend_pb2.CallResourceRequest(
            pluginContext=context,
            path=request.path,
            method=request.method,
            url=request.url,
            headers={name: backend_pb2.StringList(values=values) for name, values in request.headers.items()},
            body=request.body,
        ),
        timeout=timeout_s,
    )
    try:
        with _translated():
            async for piece in call:
                yield piece
    finally:
        call.cancel()  # when our caller stops before the end
