"""The one endpoint an editor connects to: who may, which client has which debugger, and what happens when it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from debugtool.debuggers import (
    CAPABILITIES,
    BadFrame,
    DapStream,
    DebuggerChannel,
    DelveTarget,
    TargetDebugger,
    Tasks,
)
from debugtool.errors import DebugtoolError, ProcessGone
from debugtool.relay.address import is_loopback, reachable
from debugtool.relay.client import FIRST_MESSAGE_S, ClientSession
from debugtool.relay.delve_client import FIRST_BYTE, RpcClient
from debugtool.relay.others import OtherProcesses
from debugtool.relay.pauses import Pause
from debugtool.relay.sources import FrozenSources
from debugtool.system import fault_point, loopback_peer_uid

log = logging.getLogger(__name__)

_EXIT_S = 10.0  # from the end of a debugger's connection to that of its process, of which the session tells us


class Relay:
    """The listener on 3222 and everything behind it, for one target and those that come after it.

    An asynchronous context manager: it serves inside the block. Clients come and go; one at a time has the target,
    each of its child processes may have one more. The port is bound before anything is done to the target, so that a
    port in use costs nothing; `serve_target` comes once the target has a debugger, `lose_target` when it has ended.

    Args:
        host: The address that was asked for.
        listeners: The sockets that listen there (`listen_on`); the relay closes them.
        on_client: Called with True when a client has attached, with False when it has left.
        follows: Whether another target comes when one has ended: clients stay connected then.
        on_pause: Called with each pause of the target, and with None when it runs on; not for those of its children.
        on_restart: Restarts the target when an editor asks for it; raises DebugtoolError. None: no editor can.
        on_terminate: Ends the target when an editor's Stop is to do that; raises DebugtoolError.
    """

    def __init__(
        self,
        host: str,
        listeners: Sequence[socket.socket],
        *,
        on_client: Callable[[bool], None],
        follows: bool = False,
        on_pause: Callable[[Pause | None], None] = lambda pause: None,
        on_restart: Callable[[], Awaitable[None]] | None = None,
        on_terminate: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.host = host
        self.port: int = listeners[0].getsockname()[1]
        self.follows = follows
        self.can_restart = on_restart is not None
        self.debugger: TargetDebugger | None = None
        self.capabilities: Mapping[str, object] = CAPABILITIES  # of the last debugger, while there is none
        self._on_restart = on_restart
        self._on_terminate = on_terminate
        self._target_uids: set[int] = set()  # empty before the first target
        self._sources: FrozenSources | None = None
        self._listeners = listeners
        self._on_client = on_client
        self._on_pause = on_pause
        self._paused: ClientSession | None = None  # whose pause was told
        self._main: ClientSession | RpcClient | None = None
        self._others = OtherProcesses(self._offer)
        self._sessions: set[ClientSession | RpcClient] = set()
        # what each attached client has: another process's pid (None: the target itself), the channel to its debugger
        self._held: dict[ClientSession, tuple[int | None, DebuggerChannel]] = {}
        self._has_target = asyncio.Event()  # or there will be none
        self._closing = asyncio.Event()
        self._configured = asyncio.Event()  # some client has been, since it was cleared
        self._turn = asyncio.Lock()  # one at a time has pydevd brought up, spoken to for the first time, or let go
        self._tasks = Tasks()

    async def __aenter__(self) -> Relay:
        self._servers = [
            await asyncio.start_server(
                lambda reader, writer: self._tasks.start(self._accept(reader, writer)), sock=listener
            )
            for listener in self._listeners
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        self._closing.set()
        self._has_target.set()
        await self.hang_up("debugtool ended")
        await self._others.close()
        await self._tasks.close(grace_s=5)

    async def hang_up(self, why: str) -> None:
        """Send every client away."""
        for session in list(self._sessions):
            await session.hang_up(why)

    async def serve_target(self, debugger: TargetDebugger, sources: FrozenSources | None = None) -> None:
        """Put a target's debugger behind the port; a frozen program's with the place of its `sources`.

        A client that is there already, from the target before, has its debugger and breakpoints when it returns.
        """
        self._target_uids = {debugger.target.uid}
        debugger.on_child = self._on_child
        self._sources = sources
        self.capabilities = debugger.capabilities
        self.debugger = debugger
        self._has_target.set()
        if isinstance(self._main, ClientSession):
            await self._restore(self._main, debugger)

    async def let_target_end(self) -> None:
        """Let the target run to its end, past every breakpoint, because its host stops; its client stays."""
        async with self._turn:
            if self.debugger is not None:
                await self.debugger.release()

    def add_instance(self, debugger: TargetDebugger, sources: FrozenSources | None = None) -> None:
        """Put one more process behind the port, of the target's own user, see `serve_target`.

        The editor is asked to open a session of its own for it, now and whenever one has come.
        """
        debugger.on_child = self._on_child
        self._others.add_instance(debugger, sources)

    async def remove_instance(self, pid: int, text: str) -> None:
        """Take a process away that has ended, or is to be let go; its client is told `text` and sent away."""
        clients = [client for client, (held, _) in self._held.items() if held == pid]
        for client in clients:
            await client.hang_up(text)
            await client.gone.wait()
        self._others.remove_instance(pid)

    @property
    def debugged_pids(self) -> set[int]:
        """The processes that a client has: children of theirs come to the relay by themselves."""
        main = {self.debugger.target.pid} if self.debugger else set()
        return {pid for held, _ in self._held.values() for pid in ({held} if held is not None else main)}

    async def lose_target(self, text: str) -> None:
        """Take the target away, which has ended; clients are told `text` and stay, waiting for the next one.

        One that speaks JSON-RPC has delve's own state in its hands, and cannot.
        """
        self.debugger = None
        client = self._main
        if isinstance(client, RpcClient):
            await client.hang_up(text)
        if not isinstance(client, ClientSession):
            return
        _, channel = self._held.pop(client, (None, None))
        if channel is not None:
            await channel.close()  # what was asked is answered by that; a child of the target may hold its end open
        client.lose_debugger(text)

    async def wait_until_configured(self) -> None:
        """Wait until an editor has the target, with all its breakpoints set."""
        while not (isinstance(self._main, ClientSession) and self._main.is_configured):
            self._configured.clear()
            await self._configured.wait()

    def say(self, text: str) -> None:
        """Show the user a line in the editor's debug console, if one is connected."""
        if isinstance(self._main, ClientSession) and self._main.is_configured:
            self._main.say(text)

    async def _restore(self, client: ClientSession, debugger: TargetDebugger) -> None:
        async with self._turn:
            if client.left.is_set() or client.start_arguments is None:
                return  # it leaves, or is just attaching and finds the debugger by itself
            arguments, own_code = self.complete(client.start_arguments)
            channel: DebuggerChannel | None = None
            try:
                channel = await debugger.connect(own_code)
                self._hold(client, None, channel)
                fault_point("reconnected")
                await client.restore(channel, arguments)
            except ProcessGone:
                pass  # the next one gets it
            except DebugtoolError as error:
                if channel is None or not channel.closed.is_set():
                    log.warning("%s %s", error.what, error.why)
                    client.say(f"{error.what} {error.why}")
                    self._tasks.start(client.hang_up(error.what))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve_connection(reader, writer)
        except (BadFrame, OSError) as error:
            log.warning("closed a connection that was no DAP client: %s", error)
        finally:
            writer.close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._has_target.wait()  # before there is one nobody knows who may debug it
        if not self._target_uids:
            return  # there will be none
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
        first = b""
        if isinstance(self.debugger, DelveTarget):
            with contextlib.suppress(TimeoutError):
                first = await asyncio.wait_for(reader.read(1), FIRST_MESSAGE_S)
        if first == FIRST_BYTE and isinstance(self.debugger, DelveTarget):
            await self._serve_rpc(RpcClient(first, reader, writer), self.debugger)
            return
        session = ClientSession(DapStream(reader, writer, first=first), self)
        self._sessions.add(session)
        try:
            await session.serve()
        finally:
            self._sessions.discard(session)

    async def _serve_rpc(self, client: RpcClient, debugger: DelveTarget) -> None:
        """Give delve itself to a client that speaks its JSON-RPC."""
        self._sessions.add(client)
        try:
            await client.read_first()
            await self._take_turn(client)
            try:
                self._on_client(True)
                connection = await debugger.open_rpc()
                await client.serve(*connection)
            finally:
                client.left.set()
                await self._close_target(client)
        except DebugtoolError as error:
            await client.refuse(" ".join(filter(None, (error.what, error.why))))
        finally:
            self._sessions.discard(client)

    def _welcome_users(self) -> set[int]:
        # The target's own user can do all this to it without us; root can do everything.
        return {0, os.geteuid()} | self._target_uids

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """See Exchange.complete."""
        pid = arguments.get("subProcessId")
        sources = self._sources
        if isinstance(pid, int) and self._others.is_instance(pid):
            sources = self._others.sources_of(pid)
        return sources.complete(arguments) if sources else (arguments, [])

    def take_configured(self, client: ClientSession) -> None:
        """See Exchange.take_configured."""
        self._configured.set()
        if client is self._main:
            self._others.offer_instances()

    def take_pause(self, client: ClientSession, pause: Pause | None) -> None:
        """See Exchange.take_pause."""
        if client is (self._paused if pause is None else self._main):
            self._paused = None if pause is None else client
            self._on_pause(pause)

    def restart(self, done: Callable[[str | None], None]) -> None:
        """See Exchange.restart."""
        self._tasks.start(self._restart(done))

    async def _restart(self, done: Callable[[str | None], None]) -> None:
        assert self._on_restart is not None
        try:
            await self._on_restart()
        except DebugtoolError as error:
            done(" ".join(filter(None, (error.what, error.why, error.next_step))))
        else:
            done(None)

    async def end_process(self) -> None:
        """See Exchange.end_process."""
        if self._on_terminate is not None:
            try:
                await self._on_terminate()
            except DebugtoolError as error:
                log.warning("%s %s", error.what, error.why)

    async def open_debugger(
        self, client: ClientSession, child_pid: int | None, own_code: list[str]
    ) -> DebuggerChannel | None:
        """See Exchange.open_debugger."""
        if child_pid is None:
            return await self._open_target(client, own_code)
        channel = await self._others.connect(child_pid, own_code)
        self._hold(client, child_pid, channel)
        return channel

    async def _take_turn(self, client: ClientSession | RpcClient) -> None:
        # An editor that starts its session anew comes back before the plugin has been let go.
        while self._main is not None and self._main.left.is_set():
            await self._main.gone.wait()
        if self._main is not None:
            raise DebugtoolError("Another editor debugs this process.", why="Disconnect that one first.")
        self._main = client

    async def _open_target(self, client: ClientSession, own_code: list[str]) -> DebuggerChannel | None:
        await self._take_turn(client)
        try:
            channel = await self._connect(client, own_code)
        except BaseException:
            self._main = None
            raise
        self._on_client(True)
        return channel

    async def _connect(self, client: ClientSession, own_code: list[str]) -> DebuggerChannel | None:
        async with self._turn:
            debugger = self.debugger
            if debugger is None:
                return None
            try:
                channel = await debugger.connect(own_code)
            except ProcessGone:
                if self.follows:
                    return None
                raise
            if self.debugger is not debugger and self.follows:
                await channel.close()  # `lose_target` did not know of it; the client gets the next one
                return None
            self._hold(client, None, channel)
            return channel

    def _hold(self, client: ClientSession, child: int | None, channel: DebuggerChannel) -> None:
        self._held[client] = (child, channel)
        self._tasks.start(self._hang_up_when_closed(client, channel, follows=self.follows and child is None))

    async def _hang_up_when_closed(self, client: ClientSession, channel: DebuggerChannel, *, follows: bool) -> None:
        await channel.closed.wait()
        if follows and self._held.get(client, (None, None))[1] is channel:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _EXIT_S)
        if self._held.get(client, (None, None))[1] is channel:
            await client.hang_up("the process went away")

    async def close_debugger(self, client: ClientSession) -> None:
        """See Exchange.close_debugger."""
        if client is self._main:
            await self._close_target(client)
            return
        pid, channel = self._held.pop(client, (None, None))
        if channel is not None and pid is not None:
            await self._others.release(pid, channel)
        client.gone.set()

    async def _close_target(self, client: ClientSession | RpcClient) -> None:
        try:
            async with self._turn:
                has_it = isinstance(client, RpcClient) or self._held.pop(client, None) is not None
                if has_it and self.debugger is not None:
                    await self.debugger.release()
        except DebugtoolError as error:
            log.warning("%s %s", error.what, error.why)
        finally:
            self._main = None
            client.gone.set()
            self._on_client(False)
            for other, (pid, _) in list(self._held.items()):  # one Stop ends what one F5 began
                if pid is not None and self._others.is_instance(pid):
                    await other.hang_up("the editor left")

    def _on_child(self, pid: int, parent: int, channel: DebuggerChannel) -> None:
        self._tasks.start(self._others.offer_child(pid, channel))

    def _offer(self, pid: int, name: str) -> asyncio.Event | None:
        client = self._main
        if not isinstance(client, ClientSession) or not client.wants_children:
            return None
        client.notify_of_process(pid, name, reachable(self.host), self.port)
        return client.left
