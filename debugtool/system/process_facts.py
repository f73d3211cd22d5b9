"""Holding on to one process: that it is still the same one, and waiting for its end."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from debugtool.errors import ProcessGone
from debugtool.system.sessions import start_ticks

PROC = Path("/proc")


@contextlib.contextmanager
def opened_pidfd(pid: int, *, started_ticks: int | None = None) -> Iterator[int]:
    """Open a file descriptor that stays with this process, whoever gets its pid later.

    Args:
        pid: Process id.
        started_ticks: Start time the process must have (`start_ticks`); any by default.

    Raises:
        ProcessGone: There is no such process, or another one has its pid now.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise _gone(pid) from None
    try:
        # Looked at after the open: from here on the pid cannot go to another process unnoticed.
        if started_ticks is not None and start_ticks(pid) != started_ticks:
            raise _gone(pid)
        yield descriptor
    finally:
        os.close(descriptor)


def _gone(pid: int) -> ProcessGone:
    return ProcessGone(f"Process {pid} is gone.", why="It ended.", next_step="List the running plugins: debugtool ps")


def wait_for_exit(pid: int, timeout_s: float, *, started_ticks: int | None = None) -> bool:
    """Wait until a process has ended, also one that is not our child.

    Args:
        pid: Process id.
        timeout_s: How long to wait at most, in seconds.
        started_ticks: Start time of the process that is meant; another one with its pid means that it has ended.

    Returns:
        Whether it has ended. A zombie that its parent has not collected has ended.
    """
    try:
        with opened_pidfd(pid, started_ticks=started_ticks) as descriptor:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(timeout_s * 1000))
    except ProcessGone:
        return True


def is_same_process(pid: int, started_ticks: int, *, proc: Path = PROC) -> bool:
    """Tell whether a pid still belongs to the process that started at that time (ticks since boot)."""
    return start_ticks(pid, proc) == started_ticks


def age_s(pid: int, *, proc: Path = PROC) -> float:
    """Say how long ago a process was started, in seconds, to a hundredth; 0 when it is gone."""
    started = start_ticks(pid, proc)
    return 0.0 if started is None else time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
