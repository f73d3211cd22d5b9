"""The Debug Adapter Protocol on a byte stream: framing with limits, and requests that wait for their responses."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 4096
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# A peer that reads nothing: what is kept for it, in all and for how long when it wants more.
MAX_UNSENT_BYTES = 64 * 1024 * 1024
_DRAIN_S = 30.0


class BadFrame(Exception):
    """What came is not DAP; the connection cannot be used any further."""


class DapStream:
    """DAP messages over one connection.

    Used from one event loop; one task may read while others send.

    Args:
        reader: Bytes that come in.
        writer: Where bytes go.
        max_message_bytes: A longer message is a BadFrame.
        first: What has been read of it already, the first byte at most.

    Source:
        Debug Adapter Protocol, "Base Protocol".
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        first: bytes = b"",
    ) -> None:
        self._first = first
        self._reader = reader
        self._writer = writer
        self._sequence = itertools.count(1)
        self.max_message_bytes = max_message_bytes

    async def read(self) -> Message | None:
        """Read the next message; None at the end of the stream.

        Raises:
            BadFrame: What came is not a DAP message.
        """
        length = await self._read_header()
        if length is None:
            return None
        try:
            message = json.loads(await self._reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            raise BadFrame("the connection ended within a message") from error
        except (ValueError, RecursionError) as error:
            raise BadFrame(f"a body that is not JSON: {error}") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise BadFrame("JSON that is not a DAP message")
        return message

    async def _read_header(self) -> int | None:
        length = None
        size = 0
        while True:
            try:
                line, self._first = self._first + await self._reader.readline(), b""
            except ValueError as error:  # longer than the reader's own limit
                raise BadFrame("a header line without end") from error
            size += len(line)
            if not line and size == 0:
                return None
            if not line.endswith(b"\n") or size > MAX_HEADER_BYTES:
                raise BadFrame("a header that is cut short" if size <= MAX_HEADER_BYTES else "a header without end")
            name, colon, value = line.strip().partition(b":")
            if not name and not colon:
                break
            if name.strip().lower() == b"content-length":
                length = _read_length(value.strip())
            elif not colon:
                raise BadFrame(f"no DAP header: {line[:40]!r}")
        if length is None:
            raise BadFrame("a header without Content-Length")
        if length > self.max_message_bytes:
            raise BadFrame(f"a message of {length} bytes, {self.max_message_bytes} are allowed")
        return length

    def send(self, message: Message) -> int:
        """Send a message under a sequence number of its own; give that number.

        Never blocks. A peer that reads nothing is cut off when too much waits for it.
        """
        sequence = next(self._sequence)
        body = json.dumps({**message, "seq": sequence}).encode()
        if not self._writer.is_closing():
            self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                log.warning("cut off a connection whose other end has not read %d bytes", MAX_UNSENT_BYTES)
                self._writer.transport.abort()
        return sequence

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was sent; a peer that is gone is no error.

        Raises:
            BadFrame: It takes nothing, though it asks for more.
        """
        try:
            await asyncio.wait_for(self._writer.drain(), _DRAIN_S)
        except TimeoutError:
            raise BadFrame(f"it has read nothing for {_DRAIN_S:g} s") from None
        except ConnectionError:
            pass

    async def close(self) -> None:
        """Close the connection; what was sent before still goes out, for a second at most."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)
        except (TimeoutError, asyncio.CancelledError):
            self._writer.transport.abort()  # else it would be kept for as long as the peer reads nothing
        except OSError:
            pass


def _complaint(message: Message) -> str | None:
    """Say what is wrong with a debugger's message; None when it is as DAP has it. A broken target may send anything."""
    if message["type"] == "response" and not isinstance(message.get("request_seq"), int):
        return "a response without request_seq"
    if message["type"] == "event" and not isinstance(message.get("event"), str):
        return "an event without a name"
    if not isinstance(message.get("body") or {}, dict):
        return "a body that is no object"
    return None


def _read_length(text: bytes) -> int:
    if not text.isdigit() or len(text) > 12:
        raise BadFrame(f"a Content-Length of {text[:40]!r}")
    return int(text)


class DebuggerChannel:
    """Our end of a DAP connection to a debugger: we send requests, it answers and sends events.

    Args:
        stream: The connection.

    Attributes:
        on_event: Called with each event, in order with the responses; may be replaced at any time.
        closed: Set when the debugger's end is gone.
        own_events: Names of events that `on_event` is not called with.
    """

    # The relay tells its client by itself when to configure, and when its session is over. A debugger says both too: VS
    # Code would configure twice, and leave a session that follows its process when that ends in good order.
    own_events: frozenset[str] = frozenset({"initialized", "terminated"})

    def __init__(self, stream: DapStream) -> None:
        self._stream = stream
        self._waiting: dict[int, Callable[[Message], None]] = {}
        self.on_event: Callable[[Message], None] = lambda event: None
        self.closed = asyncio.Event()
        self._pump = asyncio.create_task(self._read_all(), name="debugger channel")

    async def _read_all(self) -> None:
        try:
            while (message := await self._stream.read()) is not None:
                if (why := _complaint(message)) is not None:
                    log.warning("hung up on the debugger in the process: it sent %s", why)
                    break
                if message["type"] == "response":
                    # called here and not through a future, so that responses and events keep their order
                    callback = self._waiting.pop(message["request_seq"], None)
                    if callback:
                        callback(message)
                elif message["type"] == "event" and message["event"] not in self.own_events:
                    self.on_event(message)
        except (BadFrame, OSError):
            pass
        finally:
            self.closed.set()
            # at once: those who wait for `closed` end the client's session, and it should have its answers by then
            waiting, self._waiting = self._waiting, {}
            for callback in waiting.values():
                callback({"type": "response", "success": False, "message": "the debugged process went away"})
            await self._stream.close()

    def send(self, command: str, arguments: object, on_response: Callable[[Message], None]) -> None:
        """Send a request; `on_response` is called with the response, a failed one if the debugger goes away."""
        if self.closed.is_set():
            on_response({"type": "response", "success": False, "message": "the debugged process went away"})
            return
        sequence = self._stream.send({"type": "request", "command": command, "arguments": arguments})
        self._waiting[sequence] = on_response

    async def request(self, command: str, arguments: object = None, *, timeout_s: float = 10.0) -> Message:
        """Send a request and wait for its response, whether it succeeded or not.

        Raises:
            TimeoutError: None came in time.
        """
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def resolve(message: Message) -> None:
            if not answer.done():
                answer.set_result(message)

        self.send(command, arguments or {}, resolve)
        return await asyncio.wait_for(answer, timeout_s)

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
