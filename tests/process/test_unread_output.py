"""Nobody reads what a session prints, for a while or for good: the editor does not notice, nor does the process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest
from attach_driver import DEADLINE_S, DEBUGTOOL, Lines, Worker, running_worker
from dap_client import DapClient
from debug_driver import CROWD, line_of

from debugtool import system

STOPS = 60  # some 12 KB of events
PIPE_BYTES = 4096


@pytest.fixture
def crowd() -> Iterator[Worker]:
    with running_worker(script=CROWD) as worker:
        yield worker


def command_for(worker: Worker, *options: str) -> list[str]:
    return [str(DEBUGTOOL), "attach", "--pid", str(worker.pid), "--port", "0", "--no-launch-json", *options]


def debug(port: int) -> None:
    with DapClient(port) as editor:
        editor.attach({CROWD: [line_of("EACH TURN", CROWD)]})
        for _ in range(STOPS):
            editor.resume(editor.wait_for("stopped")["threadId"])
        editor.disconnect()


@contextlib.contextmanager
def unread_session(crowd: Worker) -> Iterator[subprocess.Popen[str]]:
    """Debug with a session for a program that reads no more than `ready`; it must end in good order after the block."""
    with subprocess.Popen(command_for(crowd, "--json"), stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        while (event := json.loads(process.stdout.readline()))["event"] != "ready":
            pass
        debug(event["port"])
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert system.tracer_of(crowd.pid) == 0


def test_a_program_that_stops_reading(crowd: Worker) -> None:
    with unread_session(crowd):
        pass


def test_a_program_that_reads_again_misses_nothing(crowd: Worker) -> None:
    with unread_session(crowd) as process:
        lines = Lines(process.stdout)
        events: list[dict[str, object]] = []
        while not events or (events[-1]["event"], events[-1].get("connected")) != ("client", False):
            events.append(json.loads(lines.next()))
        assert [event["event"] for event in events].count("paused") >= STOPS


def warned(redirected: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-c", WARNED]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)


WARNED = """
import logging
from debugtool.session import Reporter
with Reporter(True) as report:
    report.take_warnings()
    logging.warning("nobody takes this")
    report("detached", pid=7)
"""


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_a_warning_that_cannot_be_written_keeps_no_event_back(redirected: str) -> None:
    assert [json.loads(line)["event"] for line in warned(redirected).stdout.splitlines()] == ["detached"]


def test_a_warning_is_told_in_its_own_words() -> None:
    assert warned("").stderr == "Warning: nobody takes this\n"


def test_a_terminal_that_ctrl_s_has_halted(crowd: Worker) -> None:
    ours, theirs = pty.openpty()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, ours)
        process = stack.enter_context(
            subprocess.Popen(
                command_for(crowd), stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
            )
        )
        shown = b""
        while b"Ready: listening on 127.0.0.1:" not in shown or not shown.endswith(b"\n"):
            shown += os.read(ours, 65536)
        port = int(shown.partition(b"127.0.0.1:")[2].split()[0])
        termios.tcflow(theirs, termios.TCOOFF)
        debug(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        os.close(theirs)
