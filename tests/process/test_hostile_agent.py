"""A target that was taken over, whose agent is not ours: debugtool, which may be root, gets an error in words of it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import DEADLINE_S, DEBUGTOOL, ROOT, WORKER, Worker, run_debugtool, running_worker

from debugtool.errors import ExitCode
from debugtool.plugin.agent import paths

HOSTILE = WORKER.with_name("hostile_agent.py")
ENDLESS = ""
NOT_OURS = "what it answered is not the agent's"


@contextlib.contextmanager
def hostile_agent(answer: str) -> Iterator[Worker]:
    """Run a process whose agent gives that answer, for the length of the block; ENDLESS is one without an end."""
    with running_worker(str(ROOT), answer, script=HOSTILE) as target:
        try:
            yield target
        finally:
            Path(paths.agent_socket(os.geteuid(), target.pid)).unlink()


@pytest.mark.parametrize("answer", ["nonsense\n", "[1]\n", "[" * 60_000 + "\n", ENDLESS], ids=len)
def test_an_answer_that_is_none_is_told_in_words(answer: str) -> None:
    with hostile_agent(answer) as target:
        result = run_debugtool("attach", "--pid", target.pid, "--port", 0, "--method", "agent", "--no-launch-json")
    assert result.returncode == ExitCode.UNSUPPORTED
    assert result.stderr.splitlines()[1:] == [
        f"Error: Could not reach the debug agent of pid {target.pid} (hostile_agent).",
        f"  why:  {NOT_OURS}",
        "  next: use --method ptrace",
    ]


def test_words_of_the_target_give_the_terminal_no_orders() -> None:
    """GIVEN an escape sequence in what the target answers WHEN it is shown on a terminal THEN it is not obeyed."""
    with hostile_agent('{"failed": "\\u001b]0;owned\\u0007"}\n') as target:
        shown = shown_on_a_terminal("attach", "--pid", str(target.pid), "--port", "0", "--method", "agent")
    assert "it answered: ?]0;owned?" in shown
    assert "\x1b" not in shown and "\x07" not in shown


def shown_on_a_terminal(*arguments: str) -> str:
    """Run debugtool on a terminal to its end; give all that it wrote there."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen([DEBUGTOOL, *arguments], stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown, deadline = b"", time.monotonic() + DEADLINE_S
            try:
                while select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0]:
                    shown += os.read(ours, 4096)
            except OSError:
                pass  # EIO: it has ended
            process.kill()
    finally:
        os.close(ours)
    return shown.decode()
