"""The gRPC connection to a plugin, opened and used as go-plugin's client does."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from debugtool.devhost.handshake import grpc_target

if TYPE_CHECKING:
    import grpc.aio

MESSAGE_LIMIT_BYTES = 2**31 - 1
"""Largest message in each direction. Source: go-plugin grpc_client.go, dialGRPCConn."""

CONNECT_WARNING_S = 3.0
"""How long a plugin may take from its handshake to its first answer before the user is told."""


def import_grpc() -> None:
    """Import gRPC, with its own log lines switched off: they would land between ours. May be called in a thread."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when gRPC is imported
    import grpc.aio  # noqa: F401


def open_channel(address: str) -> grpc.aio.Channel:
    """Open a channel to a plugin; it connects at the first call.

    Args:
        address: `unix:///path`, `host:port` or `:port`.
    """
    import_grpc()
    import grpc.aio

    options: list[tuple[str, object]] = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.enable_http_proxy", 0),  # the plugin is on this machine, whatever http_proxy says
        ("grpc.enable_retries", 0),  # Grafana retries nothing
        # Otherwise it is the socket's path, which some HTTP/2 servers refuse as malformed.
        ("grpc.default_authority", "localhost"),
    ]
    return grpc.aio.insecure_channel(grpc_target(address), options=options)


async def request_shutdown(channel: grpc.aio.Channel, timeout_s: float | None = None) -> bool:
    """Ask a plugin to end; returns when it has answered, has refused, or has gone.

    Args:
        channel: To the plugin.
        timeout_s: How long that may take; None waits for ever, as go-plugin does.

    Returns:
        False when the time was over first.

    Source:
        go-plugin grpc_client.go, Close: the answer and the error are ignored.
    """
    import grpc.aio

    from debugtool.plugin.proto import goplugin_pb2, goplugin_pb2_grpc

    try:
        await goplugin_pb2_grpc.GRPCControllerStub(channel).Shutdown(goplugin_pb2.Empty(), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        return error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
    return True


async def answers_calls(channel: grpc.aio.Channel, timeout_s: float) -> bool:
    """Tell whether a plugin answers what go-plugin's Ping asks, whatever it says, within a time.

    Source:
        go-plugin grpc_client.go, Ping.
    """
    import grpc.aio

    from debugtool.plugin.proto import health_pb2

    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        await check(health_pb2.HealthCheckRequest(service="plugin"), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        return error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return True


class PluginConnection:
    """What a host keeps open to one plugin process: the channel, the broker stream and the stdio stream.

    It belongs to the event loop that made it.

    Args:
        address: As in open_channel.
        on_stdio: Called with each piece of text that the plugin sends over GRPCStdio (Grafana drops it), and True
            if it was written to stderr.
        on_silence: Called once when nobody answers at the address for CONNECT_WARNING_S. go-plugin says nothing then.
    """

    def __init__(self, address: str, on_stdio: Callable[[str, bool], None], on_silence: Callable[[], None]) -> None:
        self.channel = open_channel(address)
        from debugtool.plugin.proto import goplugin_pb2_grpc  # after open_channel: it imports gRPC

        self._tasks = [
            asyncio.create_task(self._hold_broker(goplugin_pb2_grpc.GRPCBrokerStub(self.channel))),
            asyncio.create_task(self._read_stdio(goplugin_pb2_grpc.GRPCStdioStub(self.channel), on_stdio)),
            asyncio.create_task(self._check_answer(on_silence)),
        ]

    async def _hold_broker(self, broker: object) -> None:
        """Keep the broker's stream open; no Grafana plugin sends anything over it."""
        import grpc.aio

        # A plugin without the service, or one that ends, is fine: go-plugin ignores both.
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in broker.StartStream():  # type: ignore[attr-defined]  # generated stubs have no types
                pass

    async def _read_stdio(self, stdio: object, on_stdio: Callable[[str, bool], None]) -> None:
        import grpc.aio
        from google.protobuf import empty_pb2

        from debugtool.plugin.proto import goplugin_pb2

        with contextlib.suppress(grpc.aio.AioRpcError):
            async for data in stdio.StreamStdio(empty_pb2.Empty()):  # type: ignore[attr-defined]  # as above
                on_stdio(data.data.decode(errors="replace"), data.channel == goplugin_pb2.StdioData.STDERR)

    async def _check_answer(self, on_silence: Callable[[], None]) -> None:
        try:
            await asyncio.wait_for(self.channel.channel_ready(), CONNECT_WARNING_S)
        except TimeoutError:
            on_silence()

    async def request_shutdown(self) -> None:
        """Ask the plugin to end, as `request_shutdown` does; no deadline, as go-plugin."""
        await request_shutdown(self.channel)

    async def close(self) -> None:
        """Close the streams and the channel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.channel.close(None)
