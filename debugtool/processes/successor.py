"""The process that comes after another: the same plugin, started again by the same host."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from debugtool.errors import NotFound
from debugtool.model import Target
from debugtool.processes.find import find_target, find_targets
from debugtool.processes.scan import PROC, see_all, see_process
from debugtool.system import has_ended, start_ticks

_AT_ONCE_S = 2.0

Instance = tuple[int, int]
"""A pid with its start time in ticks: one process, whoever gets its pid later."""


def child_pids(pid: int, proc: Path = PROC) -> list[int]:
    """List the children of a process; none when it is gone.

    A few small reads, so that it can be asked for many times a second.

    Source:
        /proc/PID/task/TID/children, proc(5); kernels without CONFIG_PROC_CHILDREN lack the file.
    """
    found: list[int] = []
    try:
        for task in (proc / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        if not (proc / "self/task" / str(os.getpid()) / "children").exists():
            return [seen.pid for seen in see_all(proc) if seen.ppid == pid]
    return found


class SuccessorFinder:
    """Looks for the process that comes after a target.

    Where the target has a host that lives, only that host's children are looked at; else every process of the target's
    name. What ran beside the target when this was made is none.

    Args:
        target: The process that runs now, or has just ended.
        proc: Where procfs is mounted.
    """

    def __init__(self, target: Target, proc: Path = PROC) -> None:
        self._target = target
        self._proc = proc
        self._host = target.host.pid if target.host else None
        self._host_ticks = start_ticks(target.host.pid, proc) if target.host else None
        self._first_look = math.inf
        self._rejected: dict[Instance, tuple[str, ...] | None] = {}
        self._reject_those_beside()

    def _reject_those_beside(self) -> None:
        """Leave out what runs beside the target; where that has ended already, what runs may have come after it."""
        target = self._target
        self._rejected[target.pid, target.started_ticks] = None
        beside = [(pid, start_ticks(pid, self._proc) or 0) for pid in self._pids()]
        lives = not has_ended(target.pid, target.started_ticks, proc=self._proc)
        for pid, started_ticks in beside:
            if lives or started_ticks < target.started_ticks:
                self._rejected[pid, started_ticks] = None

    def reject(self, pid: int) -> None:
        """Never take this process, whatever it becomes."""
        self._rejected[pid, start_ticks(pid, self._proc) or 0] = None

    @property
    def waits_for(self) -> str:
        """What is waited for, in words."""
        name, host = self._target.name, self._target.host
        if self._has_host() and host is not None:
            return f"{host.name} (pid {host.pid}) to start {name} again"
        return f"{name} to be started again"

    def _has_host(self) -> bool:
        return self._host_ticks is not None and start_ticks(self._host or 0, self._proc) == self._host_ticks

    def _pids(self) -> list[int]:
        if self._has_host():
            return child_pids(self._host or 0, self._proc)
        name = self._target.plugin_id or self._target.name
        return [found.pid for found in find_targets(name, missing_ok=True, proc=self._proc)]

    @property
    def pause_s(self) -> float:
        """How long to wait between two looks, by what one of them costs; most hosts start the next process at once."""
        if not self._has_host():
            return 0.5
        return 0.005 if time.monotonic() - self._first_look < _AT_ONCE_S else 0.02

    def look(self) -> Target | None:
        """Look once; None when it is not there yet, or does not run the plugin's program yet."""
        self._first_look = min(self._first_look, time.monotonic())
        for pid in self._pids():
            seen = see_process(pid, self._proc)
            if seen is None or seen.state in "ZX":
                continue
            key = (pid, seen.started_ticks)
            # a child that has just been forked is its host's likeness until it runs a program of its own
            if key in self._rejected and self._rejected[key] in (None, seen.argv):
                continue
            if (target := self.recognise(pid)) is not None:
                return target
            self._rejected[key] = seen.argv
        return None

    def recognise(self, pid: int) -> Target | None:
        """Give a process as a target if it is another instance of the plugin; None when it is something else."""
        try:
            found = find_target(None, pid=pid, proc=self._proc)
        except NotFound:
            return None
        return found if self._is_same_plugin(found) and self._is_same_host(found) else None

    def _is_same_plugin(self, found: Target) -> bool:
        before = self._target
        if (found.pid, found.started_ticks) == (before.pid, before.started_ticks):
            return False
        if (found.uid, found.name) != (before.uid, before.name) or found.plugin_id != before.plugin_id:
            return False
        return found.plugin_id is not None or (found.script or found.executable) == (before.script or before.executable)

    def _is_same_host(self, found: Target) -> bool:
        return not self._has_host() or (found.host is not None and found.host.pid == self._host)
