"""Starts little programs for the tests of this directory, and ends them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WAITING = Path(__file__).parent.parent / "targets" / "waiting.py"
DEBUGTOOL = Path(sys.executable).parent / "debugtool"
NOBODY = 65534
DEADLINE_S = 20.0


@dataclass
class Running:
    """A program that has said that it is ready."""

    process: subprocess.Popen[str]
    words: list[str]

    @property
    def pid(self) -> int:
        return self.process.pid


def read_line(process: subprocess.Popen[str], deadline_s: float = DEADLINE_S) -> str:
    """Read one line of a program's output."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], deadline_s)
    assert ready, f"pid {process.pid} said nothing in {deadline_s} s"
    return process.stdout.readline()


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Running]:
    """Run a program in a process group of its own from its `ready` line to the end of the block."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env={"PATH": os.environ["PATH"], **(env or {})},
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        words = read_line(process).split()
        assert words[:1] == ["ready"], words
        yield Running(process, words)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run_debugtool(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    command = [str(DEBUGTOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
