"""Holding on to one process: that it is still the same one, and waiting for its end."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from debugtool.errors import ProcessGone

PROC = Path("/proc")
_OWN = PROC / "self" / "ns"


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


def start_ticks(pid: int, proc: Path = PROC) -> int | None:
    """Give the start time of a process in clock ticks since boot, None when there is no such process.

    Source:
        Field 22 of /proc/PID/stat, proc(5). With the pid it names a process for good: pids are used again.
    """
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def is_same_process(pid: int, started_ticks: int, *, proc: Path = PROC) -> bool:
    """Tell whether a pid still belongs to the process that started at that time (ticks since boot)."""
    return start_ticks(pid, proc) == started_ticks


def has_ended(pid: int, started_ticks: int, *, proc: Path = PROC) -> bool:
    """Tell whether the process that started at that time is gone, or a zombie that its parent has not collected."""
    return not is_same_process(pid, started_ticks, proc=proc) or process_state(pid, proc=proc) in "XZ"


def age_s(pid: int, *, proc: Path = PROC) -> float:
    """Say how long ago a process was started, in seconds, to a hundredth; 0 when it is gone."""
    started = start_ticks(pid, proc)
    return 0.0 if started is None else time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def process_state(pid: int, *, proc: Path = PROC) -> str:
    """Give the one-letter state of a process as ps(1) shows it, `X` (dead) when there is none of that pid.

    Source:
        Field 3 of /proc/PID/stat, proc(5).
    """
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]


def tracer_of(pid: int, *, proc: Path = PROC) -> int:
    """Give the pid of a process's tracer, 0 without one or without such a process.

    /proc names the thread that traces, which need not be the first of its process: delve has one for it.
    """
    thread = int(_status_field(proc / str(pid) / "status", "TracerPid") or 0)
    return int(_status_field(proc / str(thread) / "status", "Tgid") or thread) if thread else 0


def pending_signals(pid: int, *, proc: Path = PROC) -> set[int]:
    """List the signals that are on their way to a process or to any of its threads.

    Source:
        ShdPnd and SigPnd in /proc/PID/task/TID/status, proc(5): masks in which bit 0 is signal 1.
    """
    mask = 0
    for status in (proc / str(pid) / "task").glob("*/status"):
        for field in ("SigPnd", "ShdPnd"):
            mask |= int(_status_field(status, field) or "0", 16)
    return {bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1}


def _status_field(status: Path, name: str) -> str | None:
    try:
        lines = status.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), None)


def namespace_mark() -> str:
    """Name the namespaces in which our pids and start times count, as `PID.TIME`.

    What debugtool leaves in a directory that containers share is another's to judge: there, ours do not seem to run.

    Source:
        namespaces(7): the inode of /proc/PID/ns/*. Before Linux 5.6 there are no time namespaces.
    """
    return ".".join(str(path.stat().st_ino if path.exists() else 0) for path in (_OWN / "pid", _OWN / "time"))
