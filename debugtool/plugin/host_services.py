"""The services go-plugin itself calls: Shutdown, health, stdio and broker. They never wait for a user's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2

from debugtool.plugin.proto import goplugin_pb2, health_pb2

SERVICE_NAME = "plugin"  # what go-plugin's Ping asks for; source: wire-spec 1.7


class HostServices:
    """Answers the host's own calls.

    Args:
        stop: Called once Shutdown has been answered.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def shutdown(self, request: goplugin_pb2.Empty, call: grpc.ServicerContext) -> goplugin_pb2.Empty:
        """Stop the plugin, but answer first: the host waits for the answer without a deadline."""
        if not call.add_callback(self._stop):
            self._stop()
        return goplugin_pb2.Empty()

    def check(
        self, request: health_pb2.HealthCheckRequest, call: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Say that the plugin serves."""
        if request.service not in ("", SERVICE_NAME):
            call.abort(grpc.StatusCode.NOT_FOUND, f"unknown service: {request.service}")
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    def watch(
        self,
        request: health_pb2.HealthCheckRequest,
        call: grpc.ServicerContext,
        send: Callable[[health_pb2.HealthCheckResponse | None], None],
    ) -> None:
        """Say so once; it never changes while the process lives."""
        known = request.service in ("", SERVICE_NAME)
        status = health_pb2.HealthCheckResponse.SERVING if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        send(health_pb2.HealthCheckResponse(status=status))

    def stream_stdio(self, request: empty_pb2.Empty, call: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
        """Stay open and say nothing: what a plugin prints goes to the log, where people look for it."""

    def start_stream(self, requests: Any, call: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
        """Stay open and say nothing: no plugin of this protocol uses the broker."""
