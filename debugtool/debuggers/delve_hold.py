"""What the guard of a delve does once that is started: waits for it, and makes it let go at the end of the session."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from debugtool.debuggers.delve_rpc import DelveError, DelveRpc, detach
from debugtool.system import process_state, start_ticks, tracer_of

_POLL_S = 0.005
_EXIT_S = 10.0


class _Target:
    """The process that is debugged: a pid, with the start time that makes it this one."""

    def __init__(self, pid: int, started_ticks: int) -> None:
        self.pid = pid
        self._started_ticks = started_ticks

    def has_ended(self) -> bool:
        """Tell whether it is gone, or a zombie. One that delve holds is a zombie until delve is gone, too."""
        return start_ticks(self.pid) != self._started_ticks or process_state(self.pid) in "XZ"


class _Delve:
    """A headless delve on a private socket."""

    def __init__(self, process: subprocess.Popen[bytes], target: _Target, socket: Path, log: Path) -> None:
        self.process = process
        self.target = target
        self.socket = socket
        self._log = log

    def words(self) -> str:
        """Give what it said, without the lines it says to everybody."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.strip() and "API server listening" not in line)

    def has_ended(self) -> bool:
        """Tell whether it is gone."""
        return self.process.poll() is not None

    async def attach(self) -> float | None:
        """Wait until the target runs under it; give how long that stood still, in ms, None if delve gave up.

        Its socket listens long before. A client that speaks DAP to it by then breaks it, so it is asked by JSON-RPC.
        """
        stopped_at: float | None = None
        while not self.has_ended() and not self.target.has_ended():
            if stopped_at is None and tracer_of(self.target.pid) == self.process.pid:
                stopped_at = time.monotonic()
            if stopped_at is not None and await self._is_running():
                return (time.monotonic() - stopped_at) * 1000
            await asyncio.sleep(_POLL_S)
        return None

    async def _is_running(self) -> bool:
        with suppress(DelveError):
            async with DelveRpc(self.socket) as rpc:
                return await rpc.is_running()
        return False

    async def let_go(self) -> None:
        """Make it detach and wait for its end; the target runs on.

        It is never killed while it holds a target that lives.
        """
        if self.target.has_ended():
            self.process.kill()
        elif not self.has_ended():
            try:
                await detach(self.socket, self.target.pid)
            except DelveError:
                self.process.terminate()  # no client is left: it halts the target and detaches by itself
        await self._until_ended()
        if self.target.has_ended():
            self.process.kill()
            await self._until_ended()
        elif process_state(self.target.pid) == "T":  # a stop that delve asked for, and that came after its detach
            os.kill(self.target.pid, signal.SIGCONT)

    async def _until_ended(self) -> None:
        deadline = time.monotonic() + _EXIT_S
        while not self.has_ended() and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)


def _say(event: str, **fields: object) -> None:
    with suppress(OSError):  # debugtool is gone, and nobody reads it
        print(json.dumps({"event": event, **fields}), flush=True)


async def _end_of_input() -> None:
    """Wait until debugtool closes its end, or is gone."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


async def _until_over(delve: _Delve) -> None:
    """Wait until debugtool, delve or the target ends."""
    end = asyncio.create_task(_end_of_input())
    while not (end.done() or delve.has_ended() or delve.target.has_ended()):
        await asyncio.wait((end,), timeout=0.05)
    end.cancel()


async def hold(process: subprocess.Popen[bytes], pid: int, started_ticks: int, socket: Path, log: Path) -> None:
    """Say when the target runs under delve, wait for the end of the session, make delve let go, and say so.

    Args:
        process: delve, just started.
        pid: The target.
        started_ticks: Its start time (`system.start_ticks`).
        socket: Where delve listens, soon.
        log: What delve says.
    """
    delve = _Delve(process, _Target(pid, started_ticks), socket, log)
    stall_ms = await delve.attach()
    if stall_ms is not None:
        _say("attached", delve=process.pid, socket=str(socket), stall_ms=round(stall_ms, 1))
        await _until_over(delve)
    ended_by_itself = delve.has_ended()
    await delve.let_go()
    if delve.target.has_ended():
        _say("exited")
    elif ended_by_itself or not delve.has_ended():
        _say("failed", words=delve.words())
    else:
        _say("detached")
