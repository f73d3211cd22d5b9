"""Where the agent of a debug build finds a session that waits for it, before the plugin's own code runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType

from debugtool import system
from debugtool.debuggers import Tasks
from debugtool.model import Target
from debugtool.plugin.agent import paths, rendezvous

_HEARTBEAT_S = rendezvous.SILENCE_S / 8
_ANSWER_S = 2.0
_AGENT_POLL_S = 0.02

AGENT_S = 10.0
"""From a debug build's start to its agent's first word, at most, seconds; Python's own start lies between."""


class Meeting:
    """A process that has called, and does not go on until it is told to; it gives up after a while of silence.

    Attributes:
        pid: The process, by the kernel's word.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._writer = writer
        self._beat = asyncio.create_task(self._keep_waiting())
        self._last_word = asyncio.create_task(_line_or_end(reader))  # of a process that goes on, or has gone

    async def _keep_waiting(self) -> None:
        while not self._writer.is_closing():
            self._say({"do": "wait"})
            await asyncio.sleep(_HEARTBEAT_S)

    def _say(self, order: dict[str, object]) -> None:
        self._writer.write(json.dumps(order).encode() + b"\n")

    def start_payload(self, arguments: dict[str, object]) -> None:
        """Have the process start the payload in itself."""
        self._say({"do": "arm", "arguments": arguments})

    async def starts(self, arrives: Awaitable[object]) -> bool:
        """Tell whether the process starts the payload that it was told to start.

        It may have waited for too long and have started without us, or have ended.

        Args:
            arrives: Done when the payload has connected, or does not in time; what it raises is raised.
        """
        arrival = asyncio.ensure_future(arrives)
        try:
            await asyncio.wait((arrival, self._last_word), return_when=asyncio.FIRST_COMPLETED)
            if not arrival.done():
                return False
            arrival.result()
            return True
        finally:
            arrival.cancel()

    async def let_go(self) -> bool:
        """Let the process go on; give whether it has waited until now. Nothing happens when it went before."""
        self._beat.cancel()
        if self._writer.is_closing():
            return False
        self._say({"do": "go"})
        try:
            return bool(await asyncio.wait_for(self._last_word, _ANSWER_S))
        except TimeoutError:
            return False
        finally:
            self._writer.close()


async def _line_or_end(reader: asyncio.StreamReader) -> bytes:
    """Read a line; nothing where the connection ends, in whatever way."""
    try:
        return await reader.readline()
    except (OSError, ValueError):
        return b""


class Rendezvous:
    """A file and a socket in the private directory of a target's user, for as long as the block runs.

    Args:
        uid: Their user.
        program: The program that is waited for; None lets every debug build of that user call.
        limit_s: For how long a caller may be held, seconds.
    """

    def __init__(self, uid: int, program: Path | None, limit_s: float = rendezvous.LIMIT_S) -> None:
        self._uid = uid
        self._program = program
        self._limit_s = limit_s
        self._callers: asyncio.Queue[Meeting] = asyncio.Queue()
        self._is_wanted = False
        self._tasks = Tasks()
        self._path: Path | None = None

    async def __aenter__(self) -> Rendezvous:
        if os.geteuid() in (0, self._uid):
            with contextlib.suppress(OSError):  # a full disk: the next process is noticed in the other way
                await self._open(Path(paths.make_runtime_dir(self._uid)))
        return self

    async def _open(self, base: Path) -> None:
        own = system.start_ticks(os.getpid()) or 0
        path = base / f"{rendezvous.PREFIX}{os.getpid()}-{own}.json"
        address = path.with_suffix(".sock")
        listener = socket.socket(socket.AF_UNIX)
        try:
            with system.files_as(self._uid):
                _remove_abandoned(base, self._uid)
                address.unlink(missing_ok=True)
                listener.bind(str(address))
                address.chmod(0o600)
            self._server = await asyncio.start_unix_server(
                lambda reader, writer: self._tasks.start(self._accept(reader, writer)), sock=listener
            )
        except BaseException:
            listener.close()
            raise
        self._path = path
        program = None if self._program is None else os.path.realpath(self._program)
        whose = {"pid": os.getpid(), "started": own, "namespace": system.namespace_mark()}
        place = {"socket": str(address), **whose, "program": program}
        with system.files_as(self._uid):
            _write_private(path, json.dumps({**place, "limit_s": self._limit_s}).encode())
        system.fault_point("rendezvous")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        with system.files_as(self._uid):
            self._path.unlink(missing_ok=True)
        self._server.close()
        with system.files_as(self._uid):
            self._path.with_suffix(".sock").unlink(missing_ok=True)
        await self.leave_alone()
        await self._tasks.close(grace_s=1)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != self._uid:
            writer.close()
            return
        meeting = Meeting(pid, reader, writer)
        if self._is_wanted:
            self._callers.put_nowait(meeting)
        else:
            await meeting.let_go()  # another instance, beside the one that is being debugged

    def expect(self) -> None:
        """Keep those who call from now on for `next_caller`; before they are let go at once."""
        self._is_wanted = True

    async def leave_alone(self) -> None:
        """Let go of those who have called, and of those who call from now on."""
        self._is_wanted = False
        while not self._callers.empty():
            await self._callers.get_nowait().let_go()

    async def next_caller(self) -> Meeting:
        """Wait for the next process that calls; whoever takes it lets it go."""
        return await self._callers.get()


def _write_private(path: Path, content: bytes) -> None:
    """Put a file in place that is the user's alone, whole."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.rename(path)


def _remove_abandoned(base: Path, uid: int) -> None:
    """Remove what sessions left whose debugtool was killed; those of other containers are not seen from here."""
    for path in base.glob(f"{rendezvous.PREFIX}*-*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            place = rendezvous.read(str(path), uid)
            is_judged_here = place["namespace"] == system.namespace_mark()
            if is_judged_here and not system.is_same_process(place["pid"], place["started"]):
                path.unlink(missing_ok=True)
                path.with_suffix(".sock").unlink(missing_ok=True)


async def until_agent_listens(target: Target) -> None:
    """Wait until the debug agent of a process listens, or the process has ended; ten seconds at most."""
    deadline = time.monotonic() + AGENT_S
    socket = paths.agent_socket(target.uid, target.pid)
    while time.monotonic() < deadline and not await asyncio.to_thread(os.path.exists, socket):
        if not system.is_same_process(target.pid, target.started_ticks):
            return
        await asyncio.sleep(_AGENT_POLL_S)
