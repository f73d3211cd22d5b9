"""`debugtool dev`: saves, the host and the debugger, tied together in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debugtool import devhost, output, processes, reload, system
from debugtool.dev.builder import Builder, Built, choose_builder
from debugtool.dev.changes import Changes, saves
from debugtool.dev.debugger import Debugger
from debugtool.dev.hosts import Host, OtherHost, OwnHost, find_hosted
from debugtool.errors import DebugtoolError, ExitCode, ProcessGone
from debugtool.session import Report


@dataclass(frozen=True)
class DevRequest:
    """What `debugtool dev` was asked for.

    Attributes:
        directory: The project, or a directory in it.
        port: Where the editor connects; 0 takes a free one.
        http_port: Of the HTTP API of the embedded host; 0 takes a free one.
        log_level: Least level of the plugin's log entries that are told.
        launch_json: Whether the editor's configuration is written.
        editable: Make editable builds also where the program in dist/ is a frozen one.
    """

    directory: Path
    port: int = 3222
    http_port: int = devhost.DEFAULT_PORT
    log_level: str = "info"
    launch_json: bool = True
    editable: bool = False


def run_dev(request: DevRequest, report: Report) -> signal.Signals:
    """Build the plugin, host it unless somebody does, have the debugger in it, and restart it on each save.

    Call it in the main thread. What it has started ends with it, in order; also when it is killed.

    Returns:
        The signal that ended it.

    Raises:
        DebugtoolError: The first build failed, a port is taken, or the plugin's host has ended.
    """
    builder = choose_builder(
        request.directory, editable=request.editable, say=lambda step: report("building", step=step)
    )
    report("built", **_built_fields(builder.first))
    return asyncio.run(_Loop(request, builder, report).run())


class _Loop:
    """The processes of the plugin, and what is to happen to them."""

    def __init__(self, request: DevRequest, builder: Builder, report: Report) -> None:
        self._builder = builder
        self._report = report
        options = () if request.launch_json else ("--no-launch-json",)
        self._debugger = Debugger(request.port, options, report, self._take_rearmed)
        self._host = self._choose_host(request)
        self._instances: asyncio.Queue[int] = asyncio.Queue()
        self._pid: int | None = None
        # On the clock that processes' starts are told on: the last save, and while it is not debugged yet once more.
        self._saved_at: float | None = None
        self._waiting_since: float | None = None

    def _choose_host(self, request: DevRequest) -> Host:
        target = find_hosted(self._builder.first.artefact)
        if target is not None:
            return OtherHost(target, self._report, self._take_instance)
        return OwnHost(self._builder.root, request.http_port, request.log_level, self._report, self._take_instance)

    def _take_instance(self, pid: int) -> None:
        self._pid = pid
        self._instances.put_nowait(pid)

    async def run(self) -> signal.Signals:
        """Run until a signal; then end what was started, the debugger first."""
        await asyncio.to_thread(devhost.import_grpc)  # a third of a second that no save has to wait for
        with _signals(self._host) as stop:
            work: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(part) for part in (self._host.run(), self._arm_each(), self._follow_saves())
            ]
            try:
                done, _ = await asyncio.wait([*work, stop], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for part in work:
                    part.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                self._report("stopping")
                await self._debugger.stop()
                await self._host.stop()
            for failed in done - {stop}:
                failed.result()
            return stop.result()

    async def _arm_each(self) -> None:
        """Have the debugger in the first process that the host starts, and see that no outdated one stays."""
        while True:
            pid = await self._instances.get()
            if self._is_stale(pid):
                try:
                    await self._end(pid)
                except DebugtoolError as error:
                    self._report("error", **output.error_document(error))
            elif not self._debugger.is_attached and self._instances.empty():
                await self._attach(pid)

    async def _attach(self, pid: int) -> None:
        try:
            ready = await self._debugger.attach(pid)
        except DebugtoolError as error:
            if error.exit_code is ExitCode.ADDRESS_IN_USE:
                raise
            if system.start_ticks(pid) is not None:  # else it has ended, which the host tells of
                self._report("error", **output.error_document(error))
        else:
            self._report("ready", pid=pid, **ready)

    def _take_rearmed(self, fields: dict[str, Any]) -> None:
        if self._is_stale(fields["pid"]):
            return
        if self._waiting_since is not None:
            fields["save_ms"] = round((_now() - self._waiting_since) * 1000, 1)
            self._waiting_since = None
        self._report("rearmed", **fields)

    def _is_stale(self, pid: int) -> bool:
        """Whether a process was started before the last save, and may run what was there before."""
        ticks = system.start_ticks(pid)
        if ticks is None or self._saved_at is None:
            return False
        return ticks / os.sysconf("SC_CLK_TCK") < self._saved_at

    async def _follow_saves(self) -> None:
        root = self._builder.root
        self._report("watching", directory=str(root))
        async for changes in saves(root, self._builder.source_roots):
            names = [str(path.relative_to(root)) for path in (*changes.sources, *changes.others)]
            self._report("saved", files=names)
            try:
                await self._take_save(changes)
            except DebugtoolError as error:
                self._report("error", **output.error_document(error), kept_pid=self._running_pid())

    def _running_pid(self) -> int | None:
        return self._pid if self._pid is not None and system.start_ticks(self._pid) is not None else None

    async def _take_save(self, changes: Changes) -> None:
        saved_at = _now()
        built = await asyncio.to_thread(self._builder.rebuild, changes)
        if built.elapsed_ms:
            self._report("built", **_built_fields(built))
        if not built.restart:
            return
        self._saved_at = self._waiting_since = saved_at
        if (self._host.is_down or built.new_manifest) and await self._host.start_anew():
            return
        if self._pid is not None:
            await self._end(self._pid)

    async def _end(self, pid: int) -> None:
        """End a process of the plugin; that its host starts the next one is for `_arm_each` to see."""
        with contextlib.suppress(ProcessGone):  # the next one is on its way already
            target = processes.find_target(None, pid=pid)
            self._report("reloading", pid=pid)
            ending = await reload.end_instance(target)
            self._report("ended", pid=pid, by=ending.by, steps_ms=ending.steps_ms)


def _built_fields(built: Built) -> dict[str, object]:
    copied: Sequence[str] = [str(path) for path in built.copied]
    return {"artefact": str(built.artefact), "copied": copied, "elapsed_ms": built.elapsed_ms}


def _now() -> float:
    """Give the time since boot in seconds, as the starts of processes are told."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def _signals(host: Host) -> Iterator[asyncio.Future[signal.Signals]]:
    """Make the first signal a result; a later one stops the plugin at once."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def take(number: signal.Signals) -> None:
        if stop.done():
            host.hurry()
        else:
            stop.set_result(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, take, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
