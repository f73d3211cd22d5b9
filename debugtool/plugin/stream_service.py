"""pluginv2.Stream: live channels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc

from debugtool.plugin.calls import Caller, fail
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.requests import StreamRequest
from debugtool.plugin.responses import StreamResult, StreamStatus


class StreamService:
    """Answers with `subscribe_stream`, `run_stream` and `publish_stream`."""

    def __init__(self, plugin: Any, caller: Caller) -> None:
        self._plugin = plugin
        self._caller = caller

    def subscribe_stream(
        self, request: pb.SubscribeStreamRequest, call: grpc.ServicerContext
    ) -> pb.SubscribeStreamResponse:
        """Say whether a client may subscribe, and give it an initial value."""
        result = self._ask("subscribe_stream", request, call)
        return pb.SubscribeStreamResponse(status=int(result.status), data=packet_bytes(result.data))  # type: ignore[arg-type]  # protoc's stubs want the enum's own type

    def publish_stream(self, request: pb.PublishStreamRequest, call: grpc.ServicerContext) -> pb.PublishStreamResponse:
        """Say whether a client may publish, and what the subscribers get."""
        result = self._ask("publish_stream", request, call)
        return pb.PublishStreamResponse(status=int(result.status), data=packet_bytes(result.data))  # type: ignore[arg-type]  # as above

    def run_stream(self, request: pb.RunStreamRequest, call: grpc.ServicerContext) -> Iterator[pb.StreamPacket]:
        """Send packets until the handler ends or the last subscriber has gone."""
        context = self._caller.open(request.pluginContext, request.headers, call)
        try:
            wanted = StreamRequest(request.path, request.data)
            result = self._caller.call(self._plugin.run_stream, context, call, wanted)
            if result is None:
                return
            for value in self._caller.iterate(result, context, call):
                yield pb.StreamPacket(data=packet_bytes(value))
        except Exception as error:  # a handler may raise anything; the subscribers must hear of it
            fail(call, context, "run_stream", error)

    def _ask(
        self, name: str, request: pb.SubscribeStreamRequest | pb.PublishStreamRequest, call: grpc.ServicerContext
    ) -> StreamResult:
        context = self._caller.open(request.pluginContext, request.headers, call)
        method = getattr(self._plugin, name)
        try:
            result = self._caller.call(method, context, call, StreamRequest(request.path, request.data))
            return as_result(name, result)
        except Exception as error:  # a handler may raise anything; the client must hear of it
            fail(call, context, name, error)


def as_result(name: str, result: object) -> StreamResult:
    """Take a handler's result: a StreamResult, a status alone, or None for OK.

    Raises:
        TypeError: It is something else; True among it, which would read as NOT_FOUND.
    """
    match result:
        case StreamResult():
            return result
        case StreamStatus():
            return StreamResult(result)
        case None:
            return StreamResult()
    raise TypeError(f"{name} must return a StreamResult, a StreamStatus or None, not {type(result).__name__}")


def packet_bytes(value: object) -> bytes:
    """Write a packet: bytes and text are taken as JSON already, frames get Grafana's JSON form.

    Raises:
        TypeError: It cannot be written as JSON.
        ValueError: It contains itself, or is no frame (FrameError).
    """
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case str():
            return value.encode()
        case dict() | list() | tuple() | int() | float() | None:
            return json.dumps(value).encode()
    from debugtool.plugin.frames import frame_to_json

    return json.dumps(frame_to_json(value)).encode()
