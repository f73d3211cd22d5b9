"""The other processes of a plugin behind a session's endpoint: other instances, and workers, as they come and go."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from types import TracebackType

from debugtool import processes, system
from debugtool.debuggers import Tasks
from debugtool.errors import DebugtoolError, ProcessGone
from debugtool.model import Target
from debugtool.relay import Relay
from debugtool.session.arming import debugger_on, find_sources
from debugtool.session.ending import Stop, Stopped, or_stop, until_exit_or_stop
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest

_PAUSE_S = 1.0  # between two looks: one takes 40 ms where 2,000 processes run
_READY_S = 0.05
_END_S = 10.0


class Instances:
    """Arms what runs beside a session's target, and whatever comes, until the block ends; then all are let go.

    Each has a debugger of its own, and the editor a session of its own for it. One that cannot be armed is told of and
    left alone. A context manager.

    Args:
        request: What the session was asked for.
        relay: The endpoint.
        report: Told `instance` with its `state`: `armed`, `ended`, or `left` with what, why and next.
        main: Gives the process that the session itself has, or had last; None until its debugger is up.
    """

    def __init__(self, request: AttachRequest, relay: Relay, report: Report, main: Callable[[], Target | None]) -> None:
        self._request = request
        self._relay = relay
        self._report = report
        self._main = main
        self._name = request.family or request.target.plugin_id or request.target.name
        self._known: set[tuple[int, int]] = set()  # pid and start time of what is served, or left alone
        self._over: Stop = asyncio.get_running_loop().create_future()
        self._tasks = Tasks()

    async def __aenter__(self) -> Instances:
        self._looking = asyncio.create_task(self._look_again_and_again(), name="instances")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])
        self._over.set_result(signal.SIGTERM)
        await self._tasks.close(grace_s=_END_S)

    async def _look_again_and_again(self) -> None:
        while (main := self._main()) is None:
            await asyncio.sleep(_READY_S)
        while True:
            for target in await asyncio.to_thread(self._find_others, main, self._relay.debugged_pids):
                self._tasks.start(self._serve(target))
            await asyncio.sleep(_PAUSE_S)
            main = self._main() or main

    def _find_others(self, main: Target, debugged: set[int]) -> list[Target]:
        """Look once. While the session's own process is gone nothing is found: what starts then is its next one."""
        ticks = system.start_ticks(main.pid)
        found = processes.find_family(self._name)
        new = []
        for target in found:
            key = (target.pid, system.start_ticks(target.pid) or 0)
            if target.pid == main.pid or target.uid != main.uid or key in self._known:
                continue
            new.append((key, target))
        if ticks is None or system.start_ticks(main.pid) != ticks or system.process_state(main.pid) in "XZ":
            return []
        self._known.update(key for key, _ in new)
        # pydevd in a child of a process that is being debugged comes to the relay by itself
        return [target for _, target in new if target.host is None or target.host.pid not in debugged]

    async def _serve(self, target: Target) -> None:
        try:
            with contextlib.ExitStack() as stack:
                if not self._lock(target, stack):
                    next_step = f"it is debugged here, too, once that session ends: debugtool detach {target.pid}"
                    self._tell_left(target, f"{target} was left alone.", "another session has it", next_step)
                    while not self._lock(target, stack):
                        await self._until_free(target)
                await self._debug(target, stack)
        except Stopped:
            pass
        except ProcessGone:
            self._tell(target, "ended")
        except (DebugtoolError, OSError) as error:
            if isinstance(error, OSError):  # a full disk, no file descriptors left
                error = system.explain_os_error(f"Could not attach to {target}.", error)
            self._tell_left(target, error.what, error.why, error.next_step)

    def _lock(self, target: Target, stack: contextlib.ExitStack) -> bool:
        return stack.enter_context(system.sole_session(target.pid, target.uid, every=True))

    async def _until_free(self, target: Target) -> None:
        """Wait until no session has a process.

        Raises:
            ProcessGone: It has ended.
            Stopped: Our session is to end.
        """
        while await asyncio.to_thread(system.session_kind_on, target.pid, target.uid):
            await or_stop(asyncio.ensure_future(asyncio.sleep(_PAUSE_S)), self._over)
            if not system.is_same_process(target.pid, target.started_ticks):
                raise ProcessGone(f"{target} has ended.")

    async def _debug(self, target: Target, stack: contextlib.ExitStack) -> None:
        ticks = system.start_ticks(target.pid)
        async with debugger_on(self._request, target, self._over) as (debugger, injected):
            record = system.SessionRecord.of(target, self._relay.host, self._relay.port, injected.method)
            stack.enter_context(system.registered_beside(record))
            self._relay.add_instance(debugger, find_sources(self._request, debugger))
            self._tell(target, "armed", method=injected.method, stall_ms=round(injected.stall_ms, 2))
            try:
                over = await until_exit_or_stop(debugger, ticks, self._over)
            finally:
                await self._relay.remove_instance(target.pid, "the process ended, or debugtool detaches")
            if over is None:
                debugger.hang_up()
                self._tell(target, "ended")

    def _tell_left(self, target: Target, what: str, why: str, next_step: str) -> None:
        self._tell(target, "left", what=what, why=why, next=next_step)

    def _tell(self, target: Target, state: str, **more: object) -> None:
        self._report("instance", pid=target.pid, name=target.name, state=state, **more)
