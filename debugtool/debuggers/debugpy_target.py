"""debugpy inside a target: brought up when an editor comes, let go when it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from debugtool.debuggers.capabilities import CAPABILITIES
from debugtool.debuggers.control import ControlChannel
from debugtool.debuggers.dap import BadFrame, DapStream, DebuggerChannel
from debugtool.debuggers.debugger import ATTACH_AGAIN, ChildListener, HostCalls
from debugtool.debuggers.tasks import Tasks
from debugtool.errors import DebugtoolError, ProcessGone, TimedOut
from debugtool.model import Target
from debugtool.system import fault_point, loopback_peer_uid

log = logging.getLogger(__name__)

_LOAD_S = 30.0  # importing debugpy in a target that is busy
_CONNECT_S = 15.0
_RELEASE_S = 5.0
_LOOK_S = 2.0


class DebugpyTarget:
    """The debugger inside one target, through its control channel.

    An asynchronous context manager. Inside the block pydevd can be had with `connect` and is let go with `release`;
    without that no thread of pydevd exists in the target and nothing is traced. Child processes of a debugged target
    connect by themselves and are handed to `on_child`.

    Args:
        target: The process.
        control: Its control channel, with the payload connected.

    Attributes:
        on_child: Called with pid, parent's pid and channel of each child process that connected.
        capabilities: What pydevd can do.
        why_gone: Why the target runs on when `gone` is set.
        root: The directory that a frozen program runs from (`sys._MEIPASS`), known once `verify` was called; else None.
    """

    capabilities: Mapping[str, object] = CAPABILITIES
    why_gone = "it has put another program in its place (exec)"

    def __init__(self, target: Target, control: ControlChannel) -> None:
        self.target = target
        self.control = control
        self.on_child: ChildListener | None = None
        self.root: str | None = None
        self._token = ""  # another one each time: what an order that was given up brings up late is not taken
        self._arrival: asyncio.Future[DebuggerChannel] | None = None
        self._channel: DebuggerChannel | None = None
        self._is_up = False  # or coming up: there is something to let go
        self._coming_up: asyncio.Task[dict[str, Any]] | None = None
        self._turn = asyncio.Lock()  # connect and release never overlap
        self._tasks = Tasks()

    async def __aenter__(self) -> DebugpyTarget:
        self._server = await asyncio.start_server(
            lambda reader, writer: self._tasks.start(self._accept(reader, writer)), "127.0.0.1", 0
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(DebugtoolError):
            await self.release()
        with contextlib.suppress(DebugtoolError):
            await self.control.ask("end", "ended", timeout_s=_RELEASE_S)
        self._server.close()
        await self._tasks.close(grace_s=1)

    @property
    def gone(self) -> asyncio.Event:
        """Set once what is inside the target has gone: with the process, or because it ran another program (exec)."""
        return self.control.gone

    def hang_up(self) -> None:
        """Take note that the target has ended, though a child that it forked may hold its connections open."""
        self.control.hang_up()

    async def host_calls(self) -> HostCalls:
        """See TargetDebugger.host_calls."""
        try:
            looked = await self.control.ask("look", "looked", timeout_s=_LOOK_S)
        except DebugtoolError:  # it ends, or is a debug build that knows no such order
            return HostCalls.UNKNOWN
        return HostCalls.ANSWERED if looked.get("serves") else HostCalls.UNKNOWN

    async def stop_at_start(self, *, entry: bool) -> None:
        """Have a plugin on debugtool.plugin stand still after its handshake line, before it serves the first request.

        Args:
            entry: Have the program, held before its own code, stand still at the first line of that.

        Raises:
            DebugtoolError: It is gone, or its debug build is of an earlier debugtool.
        """
        await self.control.ask("stop_at_start", "stops_at_start", timeout_s=_LOOK_S, entry=entry)

    async def verify(self) -> str:
        """Load debugpy in the target, have one DAP handshake with it, and let it go; give its version.

        Raises:
            DebugtoolError: It does not come up; its traceback is in the message.
        """
        loaded = await self.control.ask("load", "loaded", timeout_s=_LOAD_S)
        self.root = loaded.get("root")
        channel = await self._bring_up("probe", "probed")
        try:
            answer = await channel.request("initialize", {"adapterID": "debugtool", "pathFormat": "path"})
        except TimeoutError as error:
            raise TimedOut(
                f"The debugger inside {self.target} did not answer `initialize`.", next_step=ATTACH_AGAIN
            ) from error
        if not answer.get("success"):
            raise DebugtoolError(
                f"The debugger inside {self.target} refused `initialize`.", why=str(answer), next_step=ATTACH_AGAIN
            )
        # nobody needs to wait until it is let go again
        self._tasks.start(self._release_unused(channel))
        return str(loaded.get("debugpy"))

    async def _release_unused(self, channel: DebuggerChannel) -> None:
        try:
            async with self._turn:
                if self._channel is channel:  # else an editor was faster
                    await self._let_go()
        except DebugtoolError as error:
            log.warning("%s %s", error.what, error.why)

    async def connect(self, own_code: Sequence[str] = ()) -> DebuggerChannel:
        """Bring pydevd up, with tracing on in all threads; give the DAP channel to it.

        Args:
            own_code: In a frozen program, the files and directories below `root` that are the user's own code; when
                empty, all but the standard library is.

        Raises:
            DebugtoolError: It does not come up, or the target is gone.
        """
        channel = await self._bring_up("connect", "connected", own_code=list(own_code))
        assert self._coming_up is not None
        try:
            await self._coming_up
        except BaseException:
            if self._channel is channel:  # else it has been let go meanwhile
                self._give_up()
                await channel.close()
            raise
        return channel

    async def _bring_up(self, order: str, done: str, **more: object) -> DebuggerChannel:
        """Have pydevd connect; its channel can be used before the target says that it is up (`_coming_up`)."""
        async with self._turn:
            await self._let_go()
            arrival: asyncio.Future[DebuggerChannel] = asyncio.get_running_loop().create_future()
            self._arrival = arrival
            self._is_up = True
            self._token = secrets.token_hex(16)
            where = {"host": "127.0.0.1", "port": self.port, "token": self._token, **more}
            self._coming_up = asyncio.create_task(self.control.ask(order, done, timeout_s=_CONNECT_S, **where))
            try:
                waits: list[asyncio.Future[Any]] = [arrival, self._coming_up]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if not arrival.done():
                    await self._coming_up  # raises when that is why there is no arrival
                channel = self._channel = await asyncio.wait_for(self._or_gone(arrival), _CONNECT_S)
            except BaseException as error:
                self._give_up()
                if not isinstance(error, TimeoutError):
                    raise
                raise TimedOut(
                    f"The debugger inside {self.target} did not connect within {_CONNECT_S:g} s.",
                    why="the process does not run, or is too busy to start it",
                    next_step="connect again once it answers",
                ) from error
            finally:
                self._arrival = None
            return channel

    async def _or_gone(self, arrival: asyncio.Future[DebuggerChannel]) -> DebuggerChannel:
        """Wait for pydevd; it does not come any more when the target ends after it has said that it is up.

        Raises:
            ProcessGone: The target has ended.
        """
        gone = asyncio.create_task(self.gone.wait())
        try:
            await asyncio.wait((arrival, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not arrival.done():
            raise ProcessGone(f"{self.target} ended.", why="while its debugger came up")
        return arrival.result()

    def _give_up(self) -> None:
        """Have nothing stay of what is coming up: a target that is stopped does as it was told once it goes on."""
        if self._coming_up is not None:
            self._coming_up.cancel()
        self._is_up, self._channel = False, None
        self.control.tell("release")

    async def release(self) -> None:
        """Let pydevd go: stopped threads continue, tracing is off. No error when it is gone already.

        Raises:
            TimedOut: The target did not answer.
        """
        async with self._turn:
            await self._let_go()

    async def _let_go(self) -> None:
        if not self._is_up:
            return
        self._is_up = False
        channel, self._channel = self._channel, None
        try:
            if self._coming_up is not None:
                with contextlib.suppress(DebugtoolError):  # what came up halfway is let go, too
                    await self._coming_up
            await self.control.ask("release", "released", timeout_s=_RELEASE_S)
            fault_point("released")
        except ProcessGone:
            pass
        finally:
            if channel is not None:
                await channel.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = loopback_peer_uid(writer.get_extra_info("socket"))
        if uid != self.target.uid:
            if uid is not None:  # else its process has ended meanwhile
                log.warning("refused a connection of user %s to the debugger's private port", uid)
            writer.close()
            return
        channel = DebuggerChannel(DapStream(reader, writer))
        fault_point("arrived")
        try:
            pid, parent = await identify(channel, self._token)
        except (BadFrame, TimeoutError) as error:
            log.warning("a connection to the debugger's private port was not pydevd: %s", error)
            await channel.close()
            return
        if pid == self.target.pid and self._arrival and not self._arrival.done():
            self._arrival.set_result(channel)
        elif self.on_child and pid != self.target.pid:
            self.on_child(pid, parent, channel)
        else:
            await let_run(channel, pid)


async def identify(channel: DebuggerChannel, token: str) -> tuple[int, int]:
    """Ask a connection whether it is pydevd in this session; give its process and that one's parent.

    Raises:
        BadFrame: It is something else, or has not got the session's token.
        TimeoutError: It does not answer.
    """
    answer = (await channel.request("pydevdAuthorize", {"debugServerAccessToken": token})).get("body") or {}
    if not secrets.compare_digest(str(answer.get("clientAccessToken")).encode(errors="replace"), token.encode()):
        raise BadFrame("it has not got the session's token")
    process = ((await channel.request("pydevdSystemInfo")).get("body") or {}).get("process")
    numbers = [process.get(name) for name in ("pid", "ppid")] if isinstance(process, dict) else []
    match numbers:
        case [int(pid), int(parent)]:
            return pid, parent
    raise BadFrame("it does not say which process it is")


async def let_run(channel: DebuggerChannel, pid: int) -> None:
    """Let a child process run undebugged: pydevd in it waits for a client before it runs anything.

    Source:
        debugpy's own adapter does the same with children that nobody debugs (adapter/servers.py).
    """
    with contextlib.suppress(TimeoutError):
        await channel.request("initialize", {"adapterID": "debugtool"})
        await channel.request("attach", {"subProcessId": pid})
        await channel.request("configurationDone")
        await channel.request("disconnect")
    await channel.close()
