"""One session: an endpoint for the editor, and behind it one process of a plugin after the other."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import signal
import time

from debugtool import system
from debugtool.debuggers import GuardAhead
from debugtool.errors import DebugtoolError, ProcessGone
from debugtool.plugin.agent import rendezvous
from debugtool.relay import Relay
from debugtool.session.arming import debugger_on, find_sources
from debugtool.session.configuration import write_configuration
from debugtool.session.ending import DebuggerGone, Stop, Stopped, stop_signals, until_exit_or_stop
from debugtool.session.follow import CrashLoop, Follower, Successor, letting_go_of
from debugtool.session.instances import Instances
from debugtool.session.opening import Opening
from debugtool.session.pauses import PauseNotices
from debugtool.session.rendezvous import Meeting
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest
from debugtool.session.start import Hold
from debugtool.session.way_in import WayIn

_RELOAD_S = 30.0


async def attach(
    request: AttachRequest, report: Report, opening: Opening, stop: Stop | None = None, meeting: Meeting | None = None
) -> signal.Signals | None:
    """Serve editors until we are told to stop, through any number of restarts of the target; then let go.

    Args:
        request: What to do; with `once` the session ends with the target.
        report: Told what happened, as the events of design.md section 3.
        opening: What has been begun of it.
        stop: Ends the session when it is done. None: SIGINT, SIGTERM and SIGHUP do, also those that came before.
        meeting: The target's agent, where that waits for us before the target's own code; the caller lets it go.

    Returns:
        The signal that ended the session; None when the target ended.

    Raises:
        DebugtoolError: The attach failed; the target runs on as before.
    """
    with contextlib.nullcontext(stop) if stop else stop_signals(opening.signals) as until:
        session = _Session(request, report, until, opening, Successor(request.target, meeting))
        try:
            stopped_by = await session.run()
        except Stopped as stopped:
            stopped_by = stopped.number
    report("detached", pid=session.target.pid)
    return stopped_by


class _Session:
    """What lives as long as the editor's endpoint does.

    Args:
        request: What to do.
        report: Told what happens.
        stop: Ends it.
        opening: What has been begun.
        first: The process to begin with.
    """

    def __init__(self, request: AttachRequest, report: Report, stop: Stop, opening: Opening, first: Successor) -> None:
        self._request = request
        self._first = first
        self._report = report
        self._stop = stop
        self._lock = opening.lock
        self._listeners = opening.listeners
        self._begun: WayIn | None = opening.way  # into the first target
        self._guards = GuardAhead()
        self._crashes = CrashLoop()
        self._pause_s = 0.0  # for how long the next process is left alone
        self._began = opening.began  # the attach, and later the end of the process before
        self._registration = contextlib.ExitStack()
        self._record: system.SessionRecord | None = None  # while it stands
        self._pauses = PauseNotices(report, lambda: self._relay.let_target_end())
        self._is_ready = False  # once it is, no single process ends the session
        self.target = request.target

    async def run(self) -> signal.Signals | None:
        """Listen, and serve one process after the other; give the signal that ended it, None when the target ended."""
        request = self._request
        async with (
            self._pauses,
            Relay(
                request.host,
                self._listeners,
                on_client=lambda connected: self._report("client", connected=connected),
                follows=not request.once,
                on_pause=self._pauses.take,
                on_restart=None if request.once else self._restart,
                on_terminate=self._terminate,
            ) as relay,
        ):
            self._relay = relay
            self._stop.add_done_callback(lambda _: self._tell_of_end())
            self._hold = None if request.hold_s is None else Hold(relay, self._report, self._stop, request.hold_s)
            with self._registration, self._guards:
                if not request.every:
                    stopped_by = await self._serve_all()
                else:
                    async with Instances(request, relay, self._report, lambda: self.target if self._is_ready else None):
                        stopped_by = await self._serve_all()
            system.fault_point("unregistered")
            return stopped_by

    async def _restart(self) -> None:
        """Have the process restarted, as an editor's "restart" asks for; the session follows.

        Raises:
            DebugtoolError: Nobody would start it again, and it runs on; or nobody has in time.
        """
        await asyncio.to_thread(importlib.import_module, "debugtool.reload")  # brings gRPC along; the relay goes on
        from debugtool.reload import reload_plugin

        await reload_plugin(self.target, _RELOAD_S)

    async def _terminate(self) -> None:
        """End the process, as its host would, for an editor whose configuration says so; its host may start it again.

        Raises:
            DebugtoolError: It could not be ended.
        """
        await asyncio.to_thread(importlib.import_module, "debugtool.reload")
        from debugtool.reload import end_instance

        await end_instance(self.target)

    async def _serve_all(self) -> signal.Signals | None:
        if self._request.once:
            return await self._serve_successor(self._first, None)
        successor, limit_s = self._first, self._request.hold_s or rendezvous.LIMIT_S
        while True:
            async with Follower(successor.target, limit_s) as follower:
                stopped_by = await self._serve_successor(successor, follower)
                if stopped_by is not None:
                    return stopped_by
                successor = await self._next(follower)

    async def _serve_successor(self, successor: Successor, follower: Follower | None) -> signal.Signals | None:
        """Serve a process; one that cannot be debugged after a restart ends the session no more than one that ends.

        Args:
            successor: The process.
            follower: Waits for the one after it; None where the session ends with it.
        """
        try:
            async with letting_go_of(successor.meeting):
                return await self._serve(successor, follower)
        except DebuggerGone:
            raise
        except ProcessGone:
            if not self._is_ready:
                raise
            await self._take_note_of_exit(follower)
        except (DebugtoolError, OSError) as error:
            if not self._is_ready or follower is None:
                raise
            await self._tell_failure(error, follower)
        return None

    async def _tell_failure(self, error: DebugtoolError | OSError, follower: Follower) -> None:
        """Tell that a process could not be armed; it runs on undebugged, and the session waits for the next one."""
        if isinstance(error, OSError):  # a full disk, no file descriptors left
            error = system.explain_os_error(f"Could not attach to {self.target}.", error)
        document = {"what": error.what, "why": error.why, "next": error.next_step}
        self._lock.close()  # whoever attaches to it may have it
        self._report("rearm_failed", pid=self.target.pid, waits_for=follower.waits_for, **document)
        await self._relay.lose_target(f"debugtool: {error.what} {error.why} Waiting for {follower.waits_for}.")

    async def _next(self, follower: Follower) -> Successor:
        pause_s, self._pause_s = self._pause_s, 0.0  # after an end that was seen, not while one runs on undebugged
        if pause_s and self._request.pauses:
            self._report("crash_loop", name=self.target.name, crashes=self._crashes.crashes, pause_s=pause_s)
            await follower.pause(pause_s, self._stop)
        while True:
            successor = await follower.next_process(self._stop)
            self._lock.close()
            target = successor.target
            if self._lock.enter_context(system.sole_session(target.pid, target.uid, every=self._request.every)):
                self.target = target
                system.fault_point("succeeded")
                return successor
            await follower.leave(successor)  # another debugtool was faster, or follows an instance beside ours

    async def _serve(self, successor: Successor, follower: Follower | None) -> signal.Signals | None:
        """Arm a process and stay with it; give the signal that ended the session, None when the process ended."""
        target = successor.target
        self._started = time.monotonic() - system.age_s(target.pid)
        begun, self._begun = self._begun, None
        way = debugger_on(self._request, target, self._stop, successor.meeting, begun, self._guards)
        async with way as (debugger, injected):
            self._pauses.debugger = debugger
            await self._relay.serve_target(debugger, find_sources(self._request, debugger))
            self._register(injected.method)
            if target is self._request.target:
                self._report_ready(injected.method, injected.stall_ms)
            if self._hold is not None:
                await self._hold.keep(successor, debugger)
            if target is not self._request.target:
                await self._report_rearmed(successor)
            elif successor.meeting is not None:
                await successor.meeting.let_go()
            if follower is not None:
                self._guards.prepare(target)
            try:
                stopped_by = await until_exit_or_stop(debugger, target.started_ticks, self._stop)
            except DebuggerGone:
                self._tell_of_end()
                raise
            if stopped_by is not None:
                await self._relay.hang_up("debugtool detaches")
                system.fault_point("hung_up")
            else:
                debugger.hang_up()
                await self._take_note_of_exit(follower)
        return stopped_by

    async def _take_note_of_exit(self, follower: Follower | None) -> None:
        system.fault_point("exited")
        self._began = time.monotonic()
        self._pause_s = self._crashes.pause_after(self._began - self._started)
        self._pauses.lose_process()
        if follower is None:
            self._report("exited", pid=self.target.pid)
            await self._relay.hang_up("the process ended")
            return
        follower.expect()
        words = f"debugtool: pid {self.target.pid} ended; waiting for {follower.waits_for}. Breakpoints stay."
        await self._relay.lose_target(words)
        self._report("exited", pid=self.target.pid, waits_for=follower.waits_for)
        system.give_back_memory()

    def _register(self, method: str) -> None:
        """Write the session's record, or write it anew; it stands until the end of the session."""
        follows = not self._request.once
        record = system.SessionRecord.of(self.target, self._relay.host, self._relay.port, method, follows=follows)
        if self.target is self._request.target:
            self._registration.enter_context(system.registered(record))
            self._registration.callback(self._forget_record)
        else:
            system.write_record(record)
        self._record = record
        if self._stop.done():
            self._tell_of_end()
        system.fault_point("registered")

    def _forget_record(self) -> None:
        self._record = None

    def _tell_of_end(self) -> None:
        """Have attaches that begin now wait for our end: they would tell of a session that is about to go."""
        if self._record is not None:
            with contextlib.suppress(OSError):  # a full disk
                system.write_record(dataclasses.replace(self._record, is_ending=True))

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)

    def _report_ready(self, method: str, stall_ms: float) -> None:
        relay = self._relay
        self._is_ready = True
        figures = {"elapsed_ms": self._elapsed_ms(), "stall_ms": round(stall_ms, 2)}
        self._report("ready", host=relay.host, port=relay.port, method=method, **figures)
        write_configuration(self._request, relay.port, self._report)

    async def _report_rearmed(self, successor: Successor) -> None:
        """Let a process that waited for us go on, and tell of it; or for how long it has run undebugged."""
        waited = successor.meeting is not None and await successor.meeting.let_go()
        pid = successor.target.pid
        window_ms = 0.0 if waited else round(system.age_s(pid) * 1000, 1)
        self._report(
            "rearmed", pid=pid, elapsed_ms=self._elapsed_ms(), before_first_request=waited, window_ms=window_ms
        )
        self._relay.say(f"debugtool: attached to pid {pid}, which was started again.")
        system.fault_point("rearmed")
