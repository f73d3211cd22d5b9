"""Who hosts the plugin meanwhile: a `debugtool run` of our own, or whoever does so already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from debugtool import output, processes, system
from debugtool.dev.child import Child, Event
from debugtool.errors import ExitCode, ProcessGone
from debugtool.model import Target
from debugtool.reload import Instances, NotRestarted, has_ended, restarting_host
from debugtool.session import Report

_RESTART_POLL_S = 0.1  # a person waits for it


class Host(Protocol):
    """Starts the plugin, and starts it again when it has ended; tells of each process."""

    async def run(self) -> None:
        """Host the plugin until cancelled.

        Raises:
            DebugtoolError: It cannot be hosted any more.
        """

    @property
    def is_down(self) -> bool:
        """Whether it has given up, because the plugin failed at its start."""

    async def start_anew(self) -> bool:
        """Begin once more, with the plugin.json of now; False when that is not for us to do."""

    def hurry(self) -> None:
        """Stop it at once, when it is being stopped already."""

    async def stop(self) -> None:
        """Stop what we started, if it was us."""


class OwnHost:
    """`debugtool run` as a child.

    Args:
        directory: The project.
        port: TCP port of its HTTP API; 0 takes a free one.
        log_level: Least level of the plugin's log entries that are told.
        report: Told of its events.
        on_instance: Called with the pid of each process that it has started.
    """

    def __init__(
        self, directory: Path, port: int, log_level: str, report: Report, on_instance: Callable[[int], None]
    ) -> None:
        self._arguments = ["run", str(directory), "--restart-poll", str(_RESTART_POLL_S), "--log-level", log_level]
        self._port = port
        self._report = report
        self._on_instance = on_instance
        self._child: Child | None = None
        self._has_given_up = False
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """See Host. A plugin that fails at its start is tried again after the next save, by another child."""
        while True:
            self._wanted.clear()
            self._has_given_up = False
            self._child = child = await Child.start([*self._arguments, "--port", str(self._port)], self._take)
            await child.wait()
            if child.error is not None and child.error.exit_code is ExitCode.ADDRESS_IN_USE:
                raise child.error
            self._has_given_up = True
            if child.error is None and not self._wanted.is_set():
                self._report("error", **output.error_document(child.failure()))
            await self._wanted.wait()

    def _take(self, event: Event) -> None:
        name, fields = event["event"], {key: event[key] for key in event if key not in ("event", "time")}
        if name == "listening":
            self._port = fields["port"]
        is_raised = name == "error" and fields["code"] == ExitCode.ADDRESS_IN_USE  # by `run`, in time
        if name != "stopping" and not is_raised:  # that is told already
            self._report(name, **fields)
        if name == "error" and self._child is not None:
            self._has_given_up = True
            self._child.interrupt()  # Grafana would try each second; nothing changes before the next save
        if name in ("started", "restarted"):
            self._on_instance(fields["pid"])

    @property
    def is_down(self) -> bool:
        """See Host."""
        return self._has_given_up

    async def start_anew(self) -> bool:
        """See Host."""
        self._wanted.set()
        await self.stop()
        return True

    def hurry(self) -> None:
        """See Host."""
        if self._child is not None:
            self._child.interrupt()

    async def stop(self) -> None:
        """See Host."""
        if self._child is not None:
            await self._child.stop()


class OtherHost:
    """Grafana, or another `debugtool run`: it restarts the plugin, and goes on when we end.

    Args:
        target: The process that it has started.
        report: Told of `exited` and `restarted`.
        on_instance: Called with the pid of each process.

    Raises:
        NotRestarted: The process has no host that starts it again.
    """

    def __init__(self, target: Target, report: Report, on_instance: Callable[[int], None]) -> None:
        self._target = target
        self._host = restarting_host(target)
        self._report = report
        self._on_instance = on_instance

    async def run(self) -> None:
        """See Host."""
        self._report("hosted", pid=self._target.pid, host=str(self._host), host_pid=self._host.pid)
        while True:
            instances = Instances(self._target, self._host)
            self._on_instance(self._target.pid)
            await self._until_ended()
            self._report("exited", pid=self._target.pid, code=None, signal=None)
            successor = await instances.next_one()
            if successor is None:
                raise NotRestarted(
                    f"{self._target} has ended.",
                    why=f"Its host {self._host} has ended too.",
                    next_step="Run debugtool dev again: it hosts the plugin itself when nobody else does.",
                )
            self._target = successor
            self._report("restarted", pid=successor.pid, address=successor.grpc_address)

    async def _until_ended(self) -> None:
        try:
            with system.opened_pidfd(self._target.pid) as pidfd:
                await has_ended(pidfd, None)
        except ProcessGone:
            return

    @property
    def is_down(self) -> bool:
        """See Host."""
        return False

    async def start_anew(self) -> bool:
        """See Host."""
        return False

    def hurry(self) -> None:
        """See Host."""

    async def stop(self) -> None:
        """See Host."""


def find_hosted(program: Path) -> Target | None:
    """Find the process that a host has started from a program already.

    Raises:
        Ambiguous: Several have.
    """
    # Grafana's plugin directory often is a link to dist/.
    found = [one for one in processes.list_targets() if _runs(one, program.resolve()) and _is_hosted(one)]
    if len(found) > 1:
        return processes.find_target(found[0].plugin_id or found[0].name)
    return found[0] if found else None


def _runs(target: Target, program: Path) -> bool:
    return any(path is not None and path.resolve() == program for path in (target.script, target.executable))


def _is_hosted(target: Target) -> bool:
    try:
        restarting_host(target)
    except NotRestarted:
        return False
    return True
