"""The start of a delve: its guard comes up ahead, and is told which process to attach to when that is known."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from debugtool.errors import ProcessGone
from debugtool.model import Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.system import fault_point, start_ticks

_COLLECT_S = 0.1
_GUARD = Path(__file__).with_name("delve_guard.py")


class GuardProcess:
    """A guard (`delve_guard.py`) that is starting; without an order it ends as soon as it is closed.

    Args:
        pid: The process that it is for; None when that is not there yet.

    Attributes:
        process: Its standard input and output are ours.
        has_attached: Set once its delve has the process, by whoever sees to it from then on.
    """

    def __init__(self, pid: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), *([] if pid is None else [str(pid)])],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.has_attached = False
        self._target: Target | None = None  # once delve is on its way to it
        self._directory = Path()

    def attach(self, target: Target, program: str) -> None:
        """Have it attach delve to a process.

        Args:
            target: The process.
            program: delve.

        Raises:
            ProcessGone: The process has ended.
        """
        if start_ticks(target.pid) != target.started_ticks:
            raise ProcessGone(f"{target} ended.")
        base = Path(paths.make_runtime_dir(os.geteuid()))
        self._directory = base / f"delve-{self.process.pid}-{os.urandom(4).hex()}"
        self._target = target
        self._order(target, program, self._directory)
        fault_point("guarded")

    def _order(self, target: Target, program: str, directory: Path) -> None:
        order = (str(target.pid), str(target.started_ticks), program, str(directory))
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; the end of its output says so, too
            self.process.stdin.write(os.fsencode("\0".join(order)) + b"\n")

    def close(self) -> None:
        """Let it go: it makes delve let go of the process, as soon as delve can. No error when it was done before.

        When it was killed while delve was attaching, another one does so.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        target, self._target = self._target, None
        if target is not None and not self.has_attached and self._was_killed():
            heir = GuardProcess(target.pid)
            heir._order(target, "", self._directory)
            heir.close()

    def _was_killed(self) -> bool:
        """Tell whether it has been ended by a signal: it ignores all that can be, so delve was not let go."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_COLLECT_S)  # its pipe may have ended just before itself
        return (self.process.returncode or 0) < 0


class GuardAhead:
    """Keeps a guard at hand for the Go process that comes after a session's own; a context manager.

    The next process runs undebugged until delve has it. With a guard that waits for it, that is only as long as delve
    itself takes.
    """

    def __init__(self) -> None:
        self._guard: GuardProcess | None = None

    def __enter__(self) -> GuardAhead:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._guard is not None:
            self._guard.close()

    def prepare(self, target: Target) -> None:
        """Start a guard for the process that comes after a Go process, unless one waits already."""
        if target.runtime is Runtime.GO and self._guard is None:
            self._guard = GuardProcess()

    def take(self) -> GuardProcess | None:
        """Give the guard to whoever closes it from now on; None when there is none, or it was killed."""
        guard, self._guard = self._guard, None
        if guard is not None and guard.process.poll() is not None:
            guard.close()
            return None
        return guard
