"""Several attaches to one target, and an attach that is given up while it is on its way."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

from attach_driver import DEADLINE_S, DEBUGTOOL, attached, run_debugtool, running_worker

SPINNING = "import sys; print('ready', flush=True)\nwhile True: pass"


def test_of_four_attaches_at_once_one_has_the_session_and_three_tell_of_it() -> None:
    with running_worker("idle") as worker, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(attached("--pid", worker.pid)) for _ in range(4)]
        ready = [session.wait_for("ready") for session in sessions]
        assert len({event["port"] for event in ready}) == 1
        holders = [s for s, event in zip(sessions, ready, strict=True) if not event.get("reused")]
        assert len(holders) == 1
        for session in sessions:
            if session is not holders[0]:
                assert session.process.wait(DEADLINE_S) == 0
        assert run_debugtool("detach", worker.pid).returncode == 0
        assert holders[0].process.wait(DEADLINE_S) == 0
        assert not worker.ask()["tracing"]


def test_ctrl_c_before_the_debugger_is_in_ends_the_attach_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SPINNING], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None and busy.stdout.readline() == "ready\n"
            with attached("--pid", busy.pid, "--timeout", 50) as session:
                session.wait_for("target")
                session.process.send_signal(signal.SIGINT)
                # well before the 50 s in which a parked thread is waited for
                assert session.process.wait(20) == 130
            assert busy.poll() is None
        finally:
            busy.kill()


def test_a_killed_session_does_not_stand_in_the_way_of_the_next() -> None:
    with running_worker("idle") as worker:
        with attached("--pid", worker.pid) as session:
            session.wait_for("ready")
            subprocess.run([DEBUGTOOL, "ps"], check=True, capture_output=True, timeout=DEADLINE_S)
            session.process.kill()
            session.process.wait(DEADLINE_S)
        with attached("--pid", worker.pid) as session:
            assert not session.wait_for("ready").get("reused")
        assert not worker.ask()["tracing"]
