"""The processes beside the target for which an editor opens a session each: children of it, and other instances."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from debugtool.debuggers import DebuggerChannel, TargetDebugger, let_run
from debugtool.errors import DebugtoolError
from debugtool.relay.sources import FrozenSources

log = logging.getLogger(__name__)

_CHILD_WAITS_S = 10.0  # how long a new child process waits for the editor's session before it runs undebugged
_TURN_S = 5.0  # how long the client of an instance before may take to have it let go
# What an editor's configuration says of the session itself, and not of how to debug.
_OF_ONE_SESSION = {"processId", "listen", "preLaunchTask", "postDebugTask", "request", "restart", "args", "processName"}


def configuration_for(given: Mapping[str, Any], pid: int, name: str, host: str, port: int) -> dict[str, Any]:
    """Make the configuration of one more session of an editor, for another process.

    Args:
        given: That of its first session, as its `attach` request had it.
        pid: The process; `name` what the session is called.
        name: See `pid`.
        host: Where the relay listens, with `port`; the editor may know another way there (a forwarded port).
        port: See `host`.

    Source:
        debugpy's own `debugpyAttach` event, whose `subProcessId` this is; `host` and `port` as VS Code's Go extension.
    """
    kept = {key: value for key, value in given.items() if key not in _OF_ONE_SESSION}
    body = {"type": "debugpy", **kept, "name": name, "subProcessId": pid}
    if body["type"] != "debugpy":
        return {"host": host, "port": port, **body}
    connect = body.get("connect")
    return {**body, "connect": {"host": host, "port": port, **(connect if isinstance(connect, dict) else {})}}


@dataclass
class _Instance:
    """A process that was armed beside the target; one client at a time has it."""

    debugger: TargetDebugger
    sources: FrozenSources | None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class OtherProcesses:
    """Which of them there are, and how a client gets their debuggers.

    A child has been started by a process that is being debugged: pydevd in it has connected, and it waits for its
    client. An instance runs whether it has a client or not.

    Args:
        offer: Has the editor open a session for a process, by its pid and a name for people; gives what is set once the
            editor leaves, None when no editor is there that wants sessions for other processes.
    """

    def __init__(self, offer: Callable[[int, str], asyncio.Event | None]) -> None:
        self._offer = offer
        self._children: dict[int, DebuggerChannel] = {}
        self._instances: dict[int, _Instance] = {}

    async def offer_child(self, pid: int, channel: DebuggerChannel) -> None:
        """Offer a child to the editor; it runs on undebugged when that does not take it."""
        self._children[pid] = channel
        left = self._offer(pid, f"Subprocess {pid}")
        if left is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(left.wait(), _CHILD_WAITS_S)
        if self._children.pop(pid, None) is not None:
            if left is not None:
                log.warning("child process %d runs undebugged: the editor opened no session for it", pid)
            await let_run(channel, pid)

    def add_instance(self, debugger: TargetDebugger, sources: FrozenSources | None) -> None:
        """Take an instance in, and offer it to the editor that is there."""
        self._instances[debugger.target.pid] = _Instance(debugger, sources)
        self._offer_instance(debugger.target.pid)

    def remove_instance(self, pid: int) -> None:
        """Forget an instance that has ended, or that is to be let go."""
        self._instances.pop(pid, None)

    def offer_instances(self) -> None:
        """Offer all instances to an editor that has just come."""
        for pid in self._instances:
            self._offer_instance(pid)

    def _offer_instance(self, pid: int) -> None:
        self._offer(pid, f"{self._instances[pid].debugger.target.name} {pid}")

    def is_instance(self, pid: int) -> bool:
        """Tell whether a process is an instance."""
        return pid in self._instances

    def sources_of(self, pid: int) -> FrozenSources | None:
        """Give where the sources of an instance are, see FrozenSources; None where paths are what they are."""
        return self._instances[pid].sources

    async def connect(self, pid: int, own_code: list[str]) -> DebuggerChannel:
        """Give a client the debugger of a child or an instance.

        Raises:
            DebugtoolError: It is gone, or another client has it.
        """
        instance = self._instances.get(pid)
        if instance is not None:
            return await self._connect_instance(instance, own_code)
        channel = self._children.pop(pid, None)
        if channel is None:
            raise DebugtoolError(f"No child process {pid} waits for a debugger.", why="It ended, or runs on.")
        return channel

    async def _connect_instance(self, instance: _Instance, own_code: list[str]) -> DebuggerChannel:
        try:
            await asyncio.wait_for(instance.turn.acquire(), _TURN_S)
        except TimeoutError:
            raise DebugtoolError("Another editor debugs this process.", why="Disconnect that one first.") from None
        try:
            return await instance.debugger.connect(own_code)
        except BaseException:
            instance.turn.release()
            raise

    async def release(self, pid: int, channel: DebuggerChannel) -> None:
        """Let a process go whose client has left."""
        instance = self._instances.get(pid)
        if instance is None:
            with contextlib.suppress(TimeoutError):
                await channel.request("disconnect", {"terminateDebuggee": False}, timeout_s=2)
            await channel.close()
            return
        try:
            await instance.debugger.release()
        except DebugtoolError as error:
            log.warning("%s %s", error.what, error.why)
        finally:
            instance.turn.release()

    async def close(self) -> None:
        """Let the children go that still wait."""
        for pid, channel in list(self._children.items()):
            await let_run(channel, pid)
        self._children.clear()
