"""delve on a Go process: held by its guard, spoken to in DAP for one editor at a time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from debugtool.debuggers.dap import DapStream, DebuggerChannel
from debugtool.debuggers.debugger import ATTACH_AGAIN, ChildListener, HostCalls
from debugtool.debuggers.delve_channel import DelveChannel
from debugtool.debuggers.delve_rpc import DelveError, DelveRpc, detach, release, resume
from debugtool.debuggers.delve_start import GuardProcess
from debugtool.errors import DebugtoolError, ProcessGone, TimedOut
from debugtool.model import Target
from debugtool.system import explain_refusal, fault_point, start_ticks

log = logging.getLogger(__name__)

_END_S = 30.0
_VERIFY_S = 10.0
# delve says it of every target, but cannot restart one that it did not start; editors then attach anew instead.
_NOT_OURS = {"supportsRestartRequest": False, "supportTerminateDebuggee": False}

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class DelveTarget:
    """delve on one Go process.

    An asynchronous context manager. Inside the block delve has the process, which runs: delve's DAP is had with
    `connect`, its JSON-RPC with `open_rpc`, and both are let go with `release`. While nobody has either, the process is
    kept running: a panic ends it as it would without a debugger.

    Args:
        target: The process.
        guard: Attaches delve to it; the target makes it let go.
        timeout_s: How long it may take to attach.

    Attributes:
        on_child: Never called: delve does not follow children.
        capabilities: What it can do, as it answered `initialize`.
        stall_ms: How long the target stood still for it.
        gone: Set once delve is gone, or the target.
        why_gone: In words.
    """

    def __init__(self, target: Target, guard: GuardProcess, timeout_s: float) -> None:
        self.target = target
        self.on_child: ChildListener | None = None
        self.capabilities: Mapping[str, object] = {}
        self.stall_ms = 0.0
        self.gone = asyncio.Event()
        self.why_gone = "the guard of its delve was killed"
        self._guard = guard
        self._timeout_s = timeout_s
        self._channel: DebuggerChannel | None = None
        self._clients_end: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._is_ending = False  # delve is the guard's alone from then on
        self._has_ended = False
        self._has_let_go = False
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> DelveTarget:
        return self

    async def start(self) -> None:
        """Wait until delve has attached; cancelled, it lets go as soon as it can. Called before the block is entered.

        Raises:
            DebugtoolError: It could not, in its own words.
        """
        self._said = asyncio.StreamReader()
        loop, output = asyncio.get_running_loop(), self._guard.process.stdout
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._said), output)
        try:
            await self._wait_for_attach()
        except BaseException:
            self._guard.close()  # it lets go by itself, as soon as delve can
            raise
        fault_point("traced")
        self._end = asyncio.create_task(self._follow_guard())
        self._watch = asyncio.create_task(self._keep_running())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self._turn:
            self._is_ending = True
            await self._hang_up_clients()
            self._guard.close()
            fault_point("asked_end")
        assert self._end is not None
        if self._has_ended:
            return  # the next process is not kept waiting for the end of delve and its guard
        try:
            await asyncio.wait_for(self._end, _END_S)
        except TimeoutError:
            log.warning("delve has not let %s go within %g s", self.target, _END_S)
            return
        if not self._has_let_go:
            await self._detach_without_guard()

    async def _detach_without_guard(self) -> None:
        """Do the guard's work: it was killed, nobody took over, and delve still has the target."""
        with contextlib.suppress(DelveError):
            await detach(self._socket, self.target.pid)
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    async def _wait_for_attach(self) -> None:
        try:
            said = await asyncio.wait_for(self._next_event(), self._timeout_s)
        except TimeoutError as error:
            raise TimedOut(
                f"delve did not attach to {self.target} within {self._timeout_s:g} s.",
                why="it reads the program's debug information first, which takes long for a large program",
                next_step="give it more time: --timeout 60. It lets go by itself now; the plugin serves on",
            ) from error
        if said.get("event") == "exited":
            raise ProcessGone(f"{self.target} ended.", why="while delve was attaching")
        if said.get("event") != "attached":
            words = str(said.get("words") or "its guard was killed")
            if "operation not permitted" in words:
                refused = PermissionError(errno.EPERM, words)
                raise explain_refusal(self.target.pid, refused, name=self.target.name, has_agent=False) from refused
            raise DebugtoolError(
                f"delve could not attach to {self.target}.",
                why=words,
                next_step="see what forbids it: debugtool doctor",
            )
        self._socket = Path(said["socket"])
        self.stall_ms = float(said["stall_ms"])

    async def _next_event(self) -> dict[str, Any]:
        line = await self._said.readline()
        event: dict[str, Any] = json.loads(line) if line else {}
        return event

    async def _follow_guard(self) -> None:
        """Read on what the guard says, until it ends."""
        while event := await self._next_event():
            if event.get("event") == "attached":  # said again, by the guard that took over
                continue
            self._has_let_go = True
            if self._is_ending and event.get("event") == "failed":
                log.warning("delve does not answer and still has %s; it lets go when it goes on", self.target)
            self.why_gone = " ".join(filter(None, ("delve ended by itself", event.get("words"))))
        await asyncio.to_thread(self._guard.process.wait)
        self.gone.set()

    async def verify(self) -> None:
        """Have one DAP handshake with it, in which the target is not stopped.

        Raises:
            DebugtoolError: It does not speak DAP.
        """
        channel = DebuggerChannel(DapStream(*await self._open()))
        arguments = {"adapterID": "debugtool", "pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True}
        try:
            answer = await channel.request("initialize", arguments, timeout_s=_VERIFY_S)
        except TimeoutError as error:
            raise TimedOut(
                f"The delve on {self.target} did not answer `initialize`.", next_step=ATTACH_AGAIN
            ) from error
        finally:
            await channel.close()
        if not answer.get("success"):
            raise DebugtoolError(
                f"The delve on {self.target} refused `initialize`.", why=str(answer), next_step=ATTACH_AGAIN
            )
        self.capabilities = {**answer["body"], **_NOT_OURS}

    async def _open(self) -> Connection:
        try:
            return await asyncio.open_unix_connection(self._socket)
        except OSError as error:
            raise ProcessGone(f"The delve on {self.target} is gone.", why=str(error)) from error

    async def connect(self, own_code: Sequence[str] = ()) -> DebuggerChannel:
        """Give delve's DAP to an editor.

        Args:
            own_code: Is for frozen Python programs.

        Raises:
            ProcessGone: delve is gone, or the target.
        """
        connection = await self._lend()
        self._channel = DelveChannel(DapStream(*connection))
        return self._channel

    async def open_rpc(self) -> Connection:
        """Give delve's JSON-RPC to a client, once delve has answered a call: clients wait for it without end.

        Raises:
            DebugtoolError: delve does not answer, or the target is gone.
        """
        try:
            async with DelveRpc(self._socket) as rpc:
                await rpc.is_running()
        except DelveError as error:
            raise DebugtoolError(
                f"The delve on {self.target} does not answer as it should.",
                why=str(error),
                next_step="end the session: debugtool detach",
            ) from error
        return await self._lend()

    async def _lend(self) -> Connection:
        async with self._turn:
            if self._is_ending:
                raise ProcessGone(f"The session on {self.target} ends.")
            await self._stop_watch()
            connection = await self._open()
            self._clients_end = connection[1]
            fault_point("lent")
            return connection

    async def release(self) -> None:
        """Make the target run on, without the breakpoints of the client that has left. No error when it is gone.

        Raises:
            DebugtoolError: It does not run on.
        """
        async with self._turn:
            await self._hang_up_clients()
            if self._is_ending:
                return
            fault_point("asked_release")
            try:
                await release(self._socket, self.target.pid)
                fault_point("released")
            except DelveError as error:
                if start_ticks(self.target.pid) is None or self.gone.is_set() or "exited" in str(error):
                    return
                raise DebugtoolError(
                    f"delve did not let {self.target} run on.",
                    why=str(error),
                    next_step="end the session: debugtool detach",
                ) from error
            self._watch = asyncio.create_task(self._keep_running())

    async def _hang_up_clients(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()  # by `disconnect` it would wait for a stop of the target first
        if self._clients_end is not None:
            self._clients_end.close()
        await self._stop_watch()

    async def _stop_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        if self._resuming is not None:  # cut short, its `continue` would come at any time
            await asyncio.wait((self._resuming,))

    async def _keep_running(self) -> None:
        """Let the target run on whenever it stops while nobody debugs it: at a panic, or at its own breakpoint."""
        with contextlib.suppress(DelveError):
            while True:
                async with DelveRpc(self._socket) as rpc:
                    await rpc.wait_until_stopped()
                self._resuming = asyncio.create_task(self._resume())
                await asyncio.shield(self._resuming)

    async def _resume(self) -> None:
        with contextlib.suppress(DelveError):  # it has ended
            await resume(self._socket, self.target.pid)

    async def host_calls(self) -> HostCalls:
        """See TargetDebugger.host_calls."""
        return HostCalls.STOPPED

    def hang_up(self) -> None:
        """Take note that the target has ended: nobody needs to be let go."""
        self._has_ended = True
        self._guard.close()
