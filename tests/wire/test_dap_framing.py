"""DAP's framing: whatever comes is a message or a BadFrame, and what one end sends the other end reads."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debugtool.debuggers import BadFrame, DapStream, DebuggerChannel, Message, dap

LIMIT_S = 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(), JSON, max_size=4).map(lambda fields: {**fields, "type": "event"})


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(work(), LIMIT_S)

    return asyncio.run(limited())


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[DapStream, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A DapStream, and reader and writer of its other end."""
    ours, theirs = socket.socketpair()
    near, far = await asyncio.open_connection(sock=ours), await asyncio.open_connection(sock=theirs)
    try:
        yield DapStream(*near), *far
    finally:
        for _, writer in (near, far):
            writer.close()
            writer.transport.abort()


async def read_all(sent: bytes, limit: int = 1000) -> list[Message]:
    """Read what a DapStream makes of bytes, to their end."""
    reader = asyncio.StreamReader()
    reader.feed_data(sent)
    reader.feed_eof()
    async with pair() as (stream, _, _):
        stream = DapStream(reader, stream._writer, limit)
        messages = []
        while (message := await stream.read()) is not None:
            messages.append(message)
        return messages


def framed(body: bytes, header: bytes = b"Content-Length: %d\r\n\r\n") -> bytes:
    return header % len(body) + body


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from([b"Content-Length: ", b"\r\n", b"\r\n\r\n", b"5", b"{}", b'{"type":"x"}', b":", b"\n", b" "])
        | st.binary(max_size=40).map(framed),
        max_size=12,
    ).map(b"".join)
)
def test_any_bytes_are_messages_or_a_bad_frame(sent: bytes) -> None:
    try:
        messages = run(lambda: read_all(sent))
    except BadFrame as error:
        assert str(error)
    else:
        assert all(isinstance(message["type"], str) for message in messages)


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGES, max_size=5))
def test_what_is_sent_is_read_at_the_other_end_with_numbers_in_order(messages: list[Message]) -> None:
    async def round_trip() -> list[Message | None]:
        async with pair() as (near, reader, writer):
            far = DapStream(reader, writer)
            for message in messages:
                near.send(message)
            await near.close()
            return [await far.read() for _ in range(len(messages) + 1)]

    expected = [{**message, "seq": number} for number, message in enumerate(messages, 1)]
    assert run(round_trip) == [*expected, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_a_message_may_come_in_any_pieces(messages: list[Message], data: st.DataObject) -> None:
    sent = b"".join(framed(json.dumps(message).encode()) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))

    async def read_pieces() -> list[Message | None]:
        async with pair() as (stream, _, writer):
            for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                writer.write(sent[begin:end])
                await writer.drain()
                await asyncio.sleep(0)
            return [await stream.read() for _ in messages]

    assert run(read_pieces) == messages


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (framed(b'{"type": "x"}', b"content-length:%d\r\n\r\n"), {"type": "x"}),
        (framed(b'{"type": "x"}', b"Content-Type: utf8; charset=utf-8\r\nContent-Length: %d\r\n\r\n"), {"type": "x"}),
        (framed(b'{"type": "x"}', b"Content-Length: %d\n\n"), {"type": "x"}),
        (framed('{"type": "ä"}'.encode()), {"type": "ä"}),
        (framed('{"type": "ä"}'.encode("utf-16")), {"type": "ä"}),
    ],
)
def test_lawful_and_nearly_lawful_frames_are_read(sent: bytes, message: Message) -> None:
    assert run(lambda: read_all(sent)) == [message]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\r\n", "a header without Content-Length"),
        (b"Content-Length: 5", "a header that is cut short"),
        (b"Content-Length: 5\r\n", "a header that is cut short"),
        (b"Content-Length: 5\r\n\r\n{}", "the connection ended within a message"),
        (b"Content-Length: 1001\r\n\r\n", "a message of 1001 bytes, 1000 are allowed"),
        (b"Content-Length: -5\r\n\r\n", "a Content-Length of"),
        (b"Content-Length: \r\n\r\n", "a Content-Length of"),
        (b"Content-Length: 5 5\r\n\r\n", "a Content-Length of"),
        (b"A: b\r\n" * 1000, "a header without end"),
        (b"A: " + b"b" * 100_000, "a header line without end"),
        (b"hello\r\n\r\n", "no DAP header: b'hello"),
        (framed(b"nothing"), "a body that is not JSON"),
        (framed(b"1" * 999 + b","), "a body that is not JSON"),
        (framed(b"[]"), "JSON that is not a DAP message"),
        (framed(b"{}"), "JSON that is not a DAP message"),
    ],
)
def test_what_is_not_dap_says_why(sent: bytes, why: str) -> None:
    with pytest.raises(BadFrame, match=why.replace("(", r"\(")):
        run(lambda: read_all(sent))


def test_a_peer_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dap, "MAX_UNSENT_BYTES", 1_000_000)

    async def flood() -> Message | None:
        async with pair() as (stream, _, _):
            for _ in range(100):
                stream.send({"type": "event", "text": "x" * 100_000})
            return await stream.read()

    assert run(flood) is None


def test_a_peer_that_asks_and_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dap, "_DRAIN_S", 0.1)

    async def wait() -> None:
        async with pair() as (stream, reader, _):
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # else asyncio reads on its own
            for _ in range(20):
                stream.send({"type": "event", "text": "x" * 100_000})
            await stream.drain()

    with pytest.raises(BadFrame, match=r"it has read nothing for 0\.1 s"):
        run(wait)


def test_requests_in_flight_are_answered_before_the_end_is_told() -> None:
    async def lose() -> list[str]:
        async with pair() as (stream, reader, writer):
            channel = DebuggerChannel(stream)
            told: list[str] = []
            for command in ("first", "second"):
                channel.send(command, {}, lambda response: told.append(response["message"]))
            ended = asyncio.create_task(channel.closed.wait())
            ended.add_done_callback(lambda _: told.append("closed"))
            await DapStream(reader, writer).read()
            writer.close()
            await ended
            await asyncio.sleep(0)
            channel.send("late", {}, lambda response: told.append(response["message"]))
            await channel.close()
            return told

    gone = "the debugged process went away"
    assert run(lose) == [gone, gone, "closed", gone]


def test_responses_and_events_keep_their_order() -> None:
    async def exchange() -> list[str]:
        async with pair() as (stream, reader, writer):
            channel, debugger = DebuggerChannel(stream), DapStream(reader, writer)
            told: list[str] = []
            done = asyncio.Event()
            channel.on_event = lambda event: told.append(event["event"])
            channel.send("ask", {}, lambda response: told.append("answer"))
            channel.send("last", {}, lambda response: done.set())
            asked, last = await debugger.read(), await debugger.read()
            assert asked and last
            debugger.send({"type": "event", "event": "before"})
            debugger.send({"type": "response", "request_seq": asked["seq"], "success": True})
            debugger.send({"type": "event", "event": "after"})
            debugger.send({"type": "response", "request_seq": 4711, "success": True})  # nobody asked
            debugger.send({"type": "response", "request_seq": last["seq"], "success": True})
            await done.wait()
            await channel.close()
            return told

    assert run(exchange) == ["before", "answer", "after"]
