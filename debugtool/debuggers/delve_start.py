"""The start of a delve: its guard comes up ahead, and is told which process to attach to when that is known."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from debugtool.errors import ProcessGone
from debugtool.model import Target
from debugtool.plugin.agent import paths
from debugtool.system import fault_point, start_ticks

_GUARD = Path(__file__).with_name("delve_guard.py")


class GuardProcess:
    """A guard (`delve_guard.py`) that is starting; without an order it ends as soon as it is closed.

    Args:
        pid: The process that it is for.

    Attributes:
        process: Its standard input and output are ours.
    """

    def __init__(self, pid: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(pid)],
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
        ticks = start_ticks(target.pid)
        if ticks is None:
            raise ProcessGone(f"{target} ended.")
        directory = paths.make_runtime_dir(os.geteuid())
        order = {"started": ticks, "program": program, "directory": directory}
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; the end of its output says so, too
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
        fault_point("guarded")

    def close(self) -> None:
        """Let it go: it makes delve let go of the process, as soon as delve can. No error when it was done before."""
        assert self.process.stdin is not None
        self.process.stdin.close()
