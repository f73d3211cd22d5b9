"""The one endpoint an editor connects to: who may, which client has which debugger, and what happens when it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from debugtool.debuggers import BadFrame, DapStream, DebuggerChannel, DebugpyTarget, Tasks, let_run
from debugtool.errors import DebugtoolError, Refused
from debugtool.relay.client import ClientSession
from debugtool.relay.sources import FrozenSources
from debugtool.system import explain_bind, loopback_peer_uid

log = logging.getLogger(__name__)

_CHILD_WAITS_S = 10.0  # how long a new child process waits for the editor's session before it runs undebugged


class Relay:
    """The listener on 3222 and everything behind it, for one target.

    An asynchronous context manager: it listens inside the block. Clients come and go; one at a time has the target,
    each of its child processes may have one more. The port is bound before anything is done to the target, so that a
    port in use costs nothing; `serve_target` comes once the target has a debugger.

    Args:
        host: Address to listen on; `port` 0 asks for a free one.
        port: See `host`.
        allow_remote: Whether it may be an address that others can reach.
        on_client: Called with True when a client has attached, with False when it has left.

    Raises:
        AddressInUse: Somebody listens there; the message says who.
        Refused: An address that others can reach, without `allow_remote`.
    """

    def __init__(self, host: str, port: int, *, allow_remote: bool, on_client: Callable[[bool], None]) -> None:
        self.host = host
        self.port = port
        self.debugger: DebugpyTarget | None = None
        self._sources: FrozenSources | None = None
        self._allow_remote = allow_remote
        self._on_client = on_client
        self._main: ClientSession | None = None
        self._children: dict[int, DebuggerChannel] = {}  # waiting for the editor to open a session for them
        self._sessions: set[ClientSession] = set()
        # what each attached client has: a child's pid (None: the target itself) and the channel to its debugger
        self._held: dict[ClientSession, tuple[int | None, DebuggerChannel]] = {}
        self._tasks = Tasks()

    async def __aenter__(self) -> Relay:
        check_host(self.host, self._allow_remote)
        try:
            self._server = await asyncio.start_server(
                lambda reader, writer: self._tasks.start(self._accept(reader, writer)), self.host, self.port
            )
        except OSError as error:
            raise explain_bind(self.host, self.port, error) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self.hang_up("debugtool ended")
        for pid, channel in list(self._children.items()):
            await let_run(channel, pid)
        self._children.clear()
        await self._tasks.close(grace_s=5)

    async def hang_up(self, why: str) -> None:
        """Send every client away."""
        for session in list(self._sessions):
            await session.hang_up(why)

    def serve_target(self, debugger: DebugpyTarget, sources: FrozenSources | None = None) -> None:
        """Put a target's debugger behind the port; a frozen program's with the place of its `sources`."""
        self.debugger = debugger
        self._sources = sources
        debugger.on_child = self._on_child

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve_connection(reader, writer)
        except (BadFrame, OSError) as error:
            log.warning("closed a connection that was no DAP client: %s", error)
        finally:
            writer.close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        uid = loopback_peer_uid(writer.get_extra_info("socket"))
        if uid is None and not is_loopback(peer[0]):
            log.warning("a client from %s connects (--allow-remote)", peer[0])
        elif uid is None:
            log.warning("closed a connection that was gone before its user was known")
            return
        elif uid not in self._welcome_users():
            log.warning("refused a connection of user %d: only the plugin's own user may debug it", uid)
            return
        if self.debugger is None:
            log.warning("closed a connection that came before the debugger was up")
            return
        session = ClientSession(DapStream(reader, writer), self)
        self._sessions.add(session)
        try:
            await session.serve()
        finally:
            self._sessions.discard(session)

    def _welcome_users(self) -> set[int]:
        # The target's own user can do all this to it without us; root can do everything.
        users = {0, os.geteuid()}
        return users | {self.debugger.target.uid} if self.debugger else users

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """See Exchange.complete."""
        return self._sources.complete(arguments) if self._sources else (arguments, [])

    async def open_debugger(self, client: ClientSession, child_pid: int | None, own_code: list[str]) -> DebuggerChannel:
        """See Exchange.open_debugger."""
        if child_pid is None:
            channel = await self._open_target(client, own_code)
        elif (waiting := self._children.pop(child_pid, None)) is not None:
            channel = waiting
        else:
            raise DebugtoolError(f"No child process {child_pid} waits for a debugger.", why="It ended, or runs on.")
        self._held[client] = (child_pid, channel)
        self._tasks.start(self._hang_up_when_closed(client, channel))
        if child_pid is None:
            self._on_client(True)
        return channel

    async def _open_target(self, client: ClientSession, own_code: list[str]) -> DebuggerChannel:
        # An editor that starts its session anew comes back before the plugin has been let go.
        while self._main is not None and self._main.left.is_set():
            await self._main.gone.wait()
        if self._main is not None:
            raise DebugtoolError("Another editor debugs this process.", why="Disconnect that one first.")
        assert self.debugger is not None
        self._main = client
        try:
            return await self.debugger.connect(own_code)
        except BaseException:
            self._main = None
            raise

    async def _hang_up_when_closed(self, client: ClientSession, channel: DebuggerChannel) -> None:
        await channel.closed.wait()
        if client in self._held:
            await client.hang_up("the process went away")

    async def close_debugger(self, client: ClientSession) -> None:
        """See Exchange.close_debugger."""
        child, channel = self._held.pop(client, (None, None))
        if channel is None:
            return
        if child is not None:
            with contextlib.suppress(TimeoutError):
                await channel.request("disconnect", {"terminateDebuggee": False}, timeout_s=2)
            await channel.close()
            return
        assert self.debugger is not None
        try:
            await self.debugger.release()
        except DebugtoolError as error:
            log.warning("%s %s", error.what, error.why)
        finally:
            self._main = None
            client.gone.set()
            self._on_client(False)

    def _on_child(self, pid: int, parent: int, channel: DebuggerChannel) -> None:
        self._tasks.start(self._offer_child(pid, channel))

    async def _offer_child(self, pid: int, channel: DebuggerChannel) -> None:
        client = self._main
        if client is None or not client.wants_children:
            await let_run(channel, pid)
            return
        self._children[pid] = channel
        client.notify_of_child(pid, _reachable(self.host), self.port)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.left.wait(), _CHILD_WAITS_S)
        if self._children.pop(pid, None) is not None:
            log.warning("child process %d runs undebugged: the editor opened no session for it", pid)
            await let_run(channel, pid)


def _reachable(host: str) -> str:
    """Give the address to connect to on this machine where we listen on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine only. A name is no address, but for `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str, allow_remote: bool) -> None:
    """Refuse to listen where others can reach us, unless that is wanted.

    Raises:
        Refused: `host` is not a loopback address and `allow_remote` is false.
    """
    if not is_loopback(host) and not allow_remote:
        raise Refused(
            f"Not listening on {host}.",
            why="whoever reaches the debug port runs code as the plugin's user, without a password",
            next_step="leave --host out and forward the port (ssh -L 3222:127.0.0.1:3222), or add --allow-remote",
        )
