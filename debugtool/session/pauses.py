"""What a session tells while the process stands still: where, what its host gets answered, which limits run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from debugtool import processes, system
from debugtool.debuggers import HostCalls, TargetDebugger
from debugtool.errors import DebugtoolError
from debugtool.model import Target
from debugtool.relay import Pause
from debugtool.session.report import Report
from debugtool.session.shutdown import until_it_is_to_end

log = logging.getLogger(__name__)

ALERT_S = 30.0
"""How long Grafana lets the evaluation of an alert rule take. Source: wire-spec 2.5, `evaluation_timeout`."""

HANDSHAKE_S = 60.0
"""How long go-plugin's host waits for the handshake line. Source: go-plugin client.go, StartTimeout."""


@dataclass(frozen=True)
class Limit:
    """A limit of the host that runs while a process stands still.

    Attributes:
        name: `handshake`, from the start of the process; `alert`, from the query that stopped at the latest.
        limit_s: How long it is.
        left_s: What is left of it when the process stops.
    """

    name: str
    limit_s: float
    left_s: float


def limits_of(target: Target, alert_s: float = ALERT_S) -> list[Limit]:
    """Say which limits run for a process that has just stopped; none for one that is no plugin of Grafana's."""
    if target.plugin_id is None:
        return []
    if target.launcher_pid is None and processes.grpc_address(target.pid) is None:  # it listens, then says where
        return [Limit("handshake", HANDSHAKE_S, round(HANDSHAKE_S - system.age_s(target.pid), 1))]
    return [Limit("alert", alert_s, alert_s)]


class PauseNotices:
    """Tells of pauses, one after the other and each from its beginning to its end. An asynchronous context manager.

    A target that stands still as a whole cannot answer the Shutdown of a host that stops: it is let go for it.

    Args:
        report: Told `paused`, `pause_limit` for each limit that passes, `let_go`, `continued`.
        let_end: Lets the target run to its end, past every breakpoint.
        alert_s: See `ALERT_S`.

    Attributes:
        debugger: That of the process that runs now.
    """

    def __init__(self, report: Report, let_end: Callable[[], Awaitable[None]], alert_s: float = ALERT_S) -> None:
        self.debugger: TargetDebugger | None = None
        self._report = report
        self._let_end = let_end
        self._watch: asyncio.Task[None] | None = None  # for what tells it to end
        self._letting_go: asyncio.Task[None] | None = None
        self._alert_s = alert_s
        self._news: asyncio.Queue[Pause | None] = asyncio.Queue()
        self._pid: int | None = None  # of the process whose pause was told
        self._since = 0.0

    async def __aenter__(self) -> PauseNotices:
        self._task = asyncio.create_task(self._tell_all(), name="pauses")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        self._end()
        self._stop_watch()
        if self._letting_go is not None:
            await asyncio.wait([self._letting_go])

    def take(self, pause: Pause | None) -> None:
        """Take note that the process stands still, or (None) runs on."""
        self._news.put_nowait(pause)

    def lose_process(self) -> None:
        """Take note that the process has ended: what is to come of its pause is told no more."""
        self.debugger = None
        self._pid = None
        self._stop_watch()

    async def _tell_all(self) -> None:
        limits: list[Limit] = []
        while True:
            due = limits[0].left_s - self._paused_s() if limits else None
            try:
                pause = await asyncio.wait_for(self._news.get(), due)
            except TimeoutError:
                self._tell_limit(limits.pop(0))
                continue
            self._end()
            limits = await self._begin(pause) if pause is not None else []

    async def _begin(self, pause: Pause) -> list[Limit]:
        debugger = self.debugger
        if debugger is None:
            return []
        target = debugger.target
        calls = await debugger.host_calls()
        limits = await asyncio.to_thread(limits_of, target, self._alert_s)
        if debugger is not self.debugger:
            return []
        self._pid, self._since = target.pid, pause.since
        place = {"thread": pause.thread, "function": pause.function, "path": pause.path, "line": pause.line}
        told = [{"limit": limit.name, "limit_s": limit.limit_s, "left_s": limit.left_s} for limit in limits]
        self._report("paused", pid=target.pid, reason=pause.reason, **place, host_calls=calls, limits=told)
        if calls is HostCalls.STOPPED:
            self._stop_watch()
            self._watch = asyncio.create_task(self._let_go_to_end(target), name="to end")
        return limits

    async def _let_go_to_end(self, target: Target) -> None:
        why = await until_it_is_to_end(target)
        self._watch, self._letting_go = None, self._watch  # what follows ends the pause, and is not to be cut short
        self._report("let_go", pid=target.pid, why=why)
        try:
            await self._let_end()
        except DebugtoolError as error:
            log.warning("%s %s", error.what, error.why)

    def _stop_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()

    def _tell_limit(self, limit: Limit) -> None:
        if self._pid is not None:
            fields = {"limit": limit.name, "limit_s": limit.limit_s, "paused_s": self._paused_s()}
            self._report("pause_limit", pid=self._pid, **fields)

    def _end(self) -> None:
        pid, self._pid = self._pid, None
        if pid is not None:
            self._stop_watch()
            self._report("continued", pid=pid, paused_s=self._paused_s())

    def _paused_s(self) -> float:
        return round(time.monotonic() - self._since, 1)
