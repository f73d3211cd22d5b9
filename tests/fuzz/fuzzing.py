"""What the fuzz targets share: a loop in which nothing goes by unnoticed, connections, and bytes made into messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

from debugtool.debuggers import BadFrame, DapStream, Message
from debugtool.model import Build, Runtime, Target

LIMIT_S = 10.0


class Violation(AssertionError):
    """What was promised does not hold."""


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine to its end in a loop of its own.

    Raises:
        Violation: Something still runs afterwards, or an exception was left for the loop to tell of.
        TimeoutError: It takes too long. And whatever it raises, or a task that it started.
    """
    asyncio.run(_watched(work))


async def _watched(work: Callable[[], Awaitable[None]]) -> None:
    started: list[asyncio.Task[Any]] = []
    told: list[dict[str, Any]] = []

    def start(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        started.append(asyncio.Task(work, loop=loop, **more))
        return started[-1]

    loop = asyncio.get_running_loop()
    loop.set_task_factory(start)  # type: ignore[arg-type]
    loop.set_exception_handler(lambda loop, context: told.append(context))
    async with asyncio.timeout(LIMIT_S):
        await work()
    loop.set_task_factory(None)
    if running := [task for task in started if not task.done()]:
        _, late = await asyncio.wait(running, timeout=1)
        if late:
            raise Violation(f"still runs: {late}")
    for task in started:
        if not task.cancelled() and getattr(task, "_log_traceback", True) and (error := task.exception()):
            raise error  # nobody has asked for it
    for context in told:
        raise context.get("exception") or Violation(context["message"])


@contextlib.contextmanager
def watched_threads() -> Iterator[None]:
    """Raise what a thread has ended with, which Python would only print.

    Raises:
        Violation: A thread of the payload still runs.
    """
    told: list[BaseException] = []
    before, threading.excepthook = threading.excepthook, lambda args: told.append(args.exc_value or Violation(args))
    try:
        yield
        for thread in threading.enumerate():
            if thread.name == "debugtool":
                thread.join(LIMIT_S)
                if thread.is_alive():
                    raise Violation(f"still runs: {thread}")
    finally:
        threading.excepthook = before
    for error in told:
        raise error


def this_process() -> Target:
    """Give the process of the tests as a target."""
    uid = os.geteuid()
    return Target(
        pid=os.getpid(),
        name="fuzz",
        plugin_id=None,
        runtime=Runtime.CPYTHON,
        runtime_version="3.11",
        build=Build.SOURCE,
        host=None,
        user=pwd.getpwuid(uid).pw_name,
        uid=uid,
        started_at=0.0,
        grpc_address=None,
        debugger=None,
    )


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], ...]]:
    """Reader and writer of both ends of a connection, closed after the block."""
    ends = [await asyncio.open_connection(sock=end) for end in socket.socketpair()]
    try:
        yield tuple(ends)
    finally:
        for _, writer in ends:
            writer.transport.abort()
        await asyncio.sleep(0)


def framed(data: bytes) -> list[bytes]:
    """Make DAP messages of lines, with headers that are right; a line that begins with `!` is sent as it is."""
    lines = filter(None, data.split(b"\n"))
    return [line[1:] if line[:1] == b"!" else b"Content-Length: %d\r\n\r\n%b" % (len(line), line) for line in lines]


def as_message(line: bytes) -> Message | None:
    """Read a line as a JSON object; None if it is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


async def read_lawful(stream: DapStream, take: Callable[[Message], None]) -> list[Message]:
    """Read all that an editor is sent, to the end of the connection.

    Args:
        stream: The editor's end.
        take: Called with each message.

    Raises:
        Violation: It is not DAP.
    """
    messages: list[Message] = []
    with contextlib.suppress(ConnectionError):
        while True:
            try:
                message = await stream.read()
            except BadFrame as error:
                raise Violation(f"an editor was sent {error}") from error
            if message is None:
                break
            if message["type"] == "response" and not isinstance(message.get("request_seq"), int):
                raise Violation(f"a response to nothing: {message}")
            messages.append(message)
            take(message)
    return messages


def flags(data: bytes) -> tuple[bool, bool, bool]:
    """Read the three lowest bits of the first byte: a digit, in inputs that people read."""
    bits = data[0] if data else 0
    return bool(bits & 1), bool(bits & 2), bool(bits & 4)
