"""delve's own JSON-RPC: the few calls with which its server is watched, resumed and made to let go."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from debugtool.system import pending_signals, process_state

log = logging.getLogger(__name__)

_CALL_S = 3.0
_POLL_S = 0.02
_LOOK_S = 0.002
_SETTLE_S = 10.0
_ATTEMPTS = 100
_SIGTRAP = 5
# delve numbers its own breakpoints (panic, fatal throw) downwards from -1; the user's are above.
# Source: service/debugger/debugger.go.
_FIRST_OF_USER = 1


class DelveError(Exception):
    """delve answered with an error, or not at all; its words are the message."""


class DelveRpc:
    """One connection to a headless delve, in API version 2; an asynchronous context manager.

    Args:
        socket: The unix socket that it listens on.

    Source:
        delve's Documentation/api/json-rpc and service/rpc2/server.go; arguments and answers are Go's net/rpc over JSON.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._ids = itertools.count(1)

    async def __aenter__(self) -> DelveRpc:
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._socket, limit=1 << 24)
        except OSError as error:
            raise DelveError(str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def call(self, method: str, timeout_s: float | None = _CALL_S, **argument: object) -> dict[str, Any]:
        """Call and wait for the answer, for ever where `timeout_s` is None.

        Raises:
            DelveError: It answered with an error, or not in time.
        """
        call = {"method": f"RPCServer.{method}", "params": [argument], "id": next(self._ids)}
        self._writer.write(json.dumps(call).encode() + b"\n")
        try:
            line = await asyncio.wait_for(self._reader.readline(), timeout_s)
            answer = json.loads(line)
        except (TimeoutError, OSError, ValueError, RecursionError) as error:
            raise DelveError(f"no answer to {method}") from error
        if not isinstance(answer, dict) or not isinstance(answer.get("result") or {}, dict):
            raise DelveError(f"an answer to {method} that is none of delve's")
        if answer.get("error"):
            raise DelveError(str(answer["error"]))
        return answer.get("result") or {}

    async def is_running(self) -> bool:
        """Tell whether the target runs; answers at once.

        Raises:
            DelveError: The target has ended, or delve does not answer.
        """
        state = (await self.call("State", NonBlocking=True)).get("State")
        if not isinstance(state, dict) or "Running" not in state:
            raise DelveError("delve does not say whether the target runs")
        return bool(state["Running"])

    async def wait_until_stopped(self) -> None:
        """Wait, for as long as it takes, until the target stands still."""
        await self.call("State", timeout_s=None, NonBlocking=False)


async def resume(socket: Path, pid: int) -> None:
    """Let a target that stands still run, and see it run.

    A trap that was on its way may stop it once more, so it is looked at again.

    Raises:
        DelveError: It has ended, or does not run.
    """
    async with DelveRpc(socket) as watch:
        for _ in range(_ATTEMPTS):
            if not await watch.is_running():
                await _continue(watch, socket)
            elif not _pending_trap(pid):
                return
            else:
                await asyncio.sleep(_POLL_S)
    raise DelveError("the target does not run on")


async def _continue(watch: DelveRpc, socket: Path) -> None:
    """Let the target run, and wait until delve does so, or the target has stopped again.

    A second `continue` before that would wait in delve, and undo the next halt.
    """
    async with DelveRpc(socket) as rpc:
        stop = asyncio.create_task(rpc.call("Command", timeout_s=None, name="continue"))
        try:
            while not stop.done() and not await watch.is_running():
                await asyncio.sleep(_POLL_S)
            if stop.done():
                stop.result()
        finally:
            stop.cancel()  # delve goes on without us
            with suppress(asyncio.CancelledError, DelveError):
                await stop


async def clear(socket: Path) -> None:
    """Bring a target to a stop and take all breakpoints of its clients, and their steps, out of it.

    Its clients are gone by now. It stands still afterwards, with no trap on its way to it.

    Raises:
        DelveError: It has ended, or delve does not answer.
    """
    async with DelveRpc(socket) as rpc:
        await _halt(rpc)
        await rpc.call("CancelNext")
        for number in _numbers((await rpc.call("ListBreakpoints")).get("Breakpoints")):
            if number >= _FIRST_OF_USER:
                await rpc.call("ClearBreakpoint", Id=number)


def _numbers(breakpoints: object) -> list[int]:
    """Give the numbers of breakpoints as delve lists them.

    Raises:
        DelveError: It is no such list.
    """
    listed = breakpoints if isinstance(breakpoints, list) else [breakpoints]
    numbers = [point.get("id") if isinstance(point, dict) else None for point in listed]
    known = [number for number in numbers if isinstance(number, int)]
    if len(known) != len(numbers):
        raise DelveError("delve does not say which breakpoints there are")
    return known


async def _halt(rpc: DelveRpc) -> None:
    """Stop the target, only if it runs: delve stops a process by a SIGTRAP, which kills one that nobody traces.

    A breakpoint may be faster than the halt. Then that signal is still on its way, and the target runs into it. And
    delve's session with an editor that has just gone may let the target run once more, before it notices that: it is
    given time first, while a target that runs does so, and not while that stands still.
    """
    await asyncio.sleep(_POLL_S)
    for _ in range(_ATTEMPTS):
        if await rpc.is_running():
            await rpc.call("Command", name="halt")
        await asyncio.sleep(_LOOK_S)
        if not await rpc.is_running():
            return
    raise DelveError("the target does not stop")


async def release(socket: Path, pid: int) -> None:
    """Make the target run on as if no client had ever been there.

    Raises:
        DelveError: It has ended, or does not run on.
    """
    await clear(socket)
    await resume(socket, pid)


async def detach(socket: Path, pid: int) -> None:
    """Make delve let its target go; it ends itself then. All clients must have hung up.

    A target that delve lets run once more, see `_halt`, keeps calls waiting: then all is done again.

    Raises:
        DelveError: delve does not answer; whether it let go is not known.
    """
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while True:
        try:
            await clear(socket)
            if not _pending_trap(pid):
                async with DelveRpc(socket) as rpc:
                    await rpc.call("Detach", Kill=False)
                return
            await resume(socket, pid)  # it takes the trap that is on its way
        except DelveError:
            if process_state(pid) in "XZ" or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_POLL_S)


def _pending_trap(pid: int) -> bool:
    """Tell whether a SIGTRAP is on its way to a process: without its tracer it would die of it."""
    return process_state(pid) not in "XZ" and _SIGTRAP in pending_signals(pid)
