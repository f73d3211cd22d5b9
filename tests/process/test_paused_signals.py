"""A signal for a Python program whose main thread stands in the debugger: what its own handler raises ends it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from attach_driver import attached, running_worker
from dap_client import DapClient
from debug_driver import line_of, pythons_of

PROGRAM = """
import os, signal, sys, time

def on_term(number, frame):
    sys.exit(6)

def work():
    number = 1  # LINE
    try:
        raise ValueError(number)  # EXCEPTION
    except ValueError:
        time.sleep(0.01)

signal.signal(signal.SIGTERM, on_term)
print("ready", os.getpid(), flush=True)
try:
    while True:
        work()
finally:
    leave = sys.exit  # what comes after runs, too
    leave(7)
"""


@pytest.mark.parametrize("mark", ["LINE", "EXCEPTION"])
@pytest.mark.parametrize("python", pythons_of("3.11", "3.13"), ids=lambda path: path.parents[1].name)
def test_sigterm_ends_a_program_by_its_own_handler(python: Path, mark: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with running_worker(script=program, python=python) as target, attached("--pid", target.pid, "--once") as session:
        with DapClient(session.port) as editor:
            if mark == "LINE":
                editor.attach({program: [line_of("LINE", program)]})
            else:
                editor.attach(exceptions=["raised"])
            frame = editor.stack(editor.wait_for_stop()["threadId"])[0]
            assert frame["line"] == line_of(mark, program)
            editor.request("setExceptionBreakpoints", {"filters": []})  # else it may stop at what the handler raises
            target.process.send_signal(signal.SIGTERM)
            assert target.process.wait(30) == 7
        assert session.wait_for("exited")["pid"] == target.pid
