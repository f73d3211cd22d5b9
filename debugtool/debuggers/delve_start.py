"""The start of a delve: its guard comes up ahead, and is told which process to attach to when that is known."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from debugtool.debuggers.abandoned import prefix_for, remove_abandoned
from debugtool.errors import ProcessGone
from debugtool.model import Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.system import fault_point, start_ticks

_KIND = "delve"
_GUARD = Path(__file__).with_name("delve_guard.py")


class GuardProcess:
    """A guard (`delve_guard.py`) that is starting; without an order it ends as soon as it is closed.

    Args:
        pid: The process that it is for; None when that is not there yet.

    Attributes:
        process: Its standard input and output are ours.
    """

    def __init__(self, pid: int | None = None) -> None:
        # Nothing in its command line names debugtool: `pkill -f debugtool` is to leave it alone. An environment may lie
        # in a directory of that name, hence the interpreter itself.
        self.process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-I", "-S", _GUARD.name, *([] if pid is None else [str(pid)])],
            cwd=_GUARD.parent,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

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
        directory = base / f"{prefix_for(_KIND, self.process.pid)}{os.urandom(4).hex()}"
        order = (str(target.pid), str(target.started_ticks), program, str(directory))
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; the end of its output says so, too
            self.process.stdin.write(os.fsencode("\0".join(order)) + b"\n")
        fault_point("guarded")
        remove_abandoned(base, _KIND, is_used=_has_delve)  # while delve is at work

    def close(self) -> None:
        """Let it go: it makes delve let go of the process, as soon as delve can. No error when it was done before."""
        assert self.process.stdin is not None
        self.process.stdin.close()


def _has_delve(directory: Path) -> bool:
    """Tell whether a delve is left that nobody guards any more: it may still be spoken to."""
    from debugtool.debuggers.delve_hold import find_left_delve  # seldom needed

    return find_left_delve(directory) is not None


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
