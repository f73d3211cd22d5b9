"""How sessions begin and end beside each other: signals, detach, a port in use, attaching twice, the background."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached, run_debugtool, running_worker
from dap_client import DapClient
from debug_driver import (
    DEBUGGEE,
    Debuggee,
    is_listening,
    line_of,
    listeners_of,
    running_debuggee,
    sharing_sessions,
    stop_at,
    with_own_sessions,
)
from fault_driver import held, kept_worker


@pytest.fixture
def target() -> Iterator[Debuggee]:
    with running_debuggee() as target:
        yield target


def assert_let_go(target: Debuggee, session: AttachSession, port: int) -> None:
    """Fail if anything of a session that has ended is left."""
    assert session.wait_for("detached")
    assert not is_listening(port)
    assert listeners_of(target.pid) == []
    target.assert_untraced()
    assert target.tracer() == 0
    assert "debugtool" not in target.call("trace_facts")["threads"]
    assert target.call("steps", 4) == 9


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)], ids=lambda value: str(value)
)
def test_a_signal_lets_go_of_a_process_at_a_breakpoint(target: Debuggee, number: signal.Signals, code: int) -> None:
    with attached("--pid", target.pid) as session, DapClient(session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        target.begin("steps", 7)
        stop_at(editor, "breakpoint", "INSIDE")
        assert session.stop(number) == code
        editor.wait_for("terminated")
        assert target.result() == 15
        assert_let_go(target, session, session.port)


@pytest.mark.parametrize("has_editor", [True, False])
def test_ctrl_c_lets_go_of_a_running_process(target: Debuggee, has_editor: bool) -> None:
    with attached("--pid", target.pid) as session, contextlib.ExitStack() as stack:
        port = session.port
        if has_editor:
            stack.enter_context(DapClient(port)).attach({DEBUGGEE: [line_of("INSIDE")]})
        assert session.stop(signal.SIGINT) == 130
        assert_let_go(target, session, port)


def test_a_second_ctrl_c_changes_nothing(target: Debuggee) -> None:
    with attached("--pid", target.pid) as session, DapClient(session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        target.begin("steps", 7)
        stop_at(editor, "breakpoint", "INSIDE")
        session.process.send_signal(signal.SIGINT)
        with contextlib.suppress(ProcessLookupError):
            session.process.send_signal(signal.SIGINT)
        assert session.process.wait(30) == 130
        assert target.result() == 15
        assert_let_go(target, session, session.port)


@pytest.mark.parametrize("by", ["name", "pid", "nothing"])
def test_detach_ends_a_session_from_elsewhere(by: str) -> None:
    with running_debuggee(command=with_own_sessions()) as target:
        detach_from_elsewhere(target, by, sharing_sessions(target))


def detach_from_elsewhere(target: Debuggee, by: str, there: list[str]) -> None:
    with attached("--pid", target.pid, through=there) as session, DapClient(session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        target.begin("steps", 7)
        stop_at(editor, "breakpoint", "INSIDE")
        named = {"name": ["debuggee"], "pid": [str(target.pid)], "nothing": []}[by]
        ended = run_debugtool("detach", *named, through=there)
        assert (ended.returncode, ended.stderr) == (0, f"Detached from debuggee (pid {target.pid}). It serves on.\n")
        assert session.process.wait(10) == 0
        assert target.result() == 15
        assert_let_go(target, session, session.port)
    again = run_debugtool("detach", *named, "--json", through=there)
    assert (again.returncode, json.loads(again.stdout)["error"]["code"]) == (3, 3)


def test_detach_asks_which_of_several_is_meant() -> None:
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(running_debuggee(command=with_own_sessions()))
        there = sharing_sessions(target)
        other = stack.enter_context(running_debuggee(command=there))
        first, second = (stack.enter_context(attached("--pid", t.pid, through=there)) for t in (target, other))
        ports = first.port, second.port
        refused = run_debugtool("detach", "debuggee", through=there)
        assert refused.returncode == 6
        for pid, port in zip((target.pid, other.pid), ports, strict=True):
            assert f"pid {pid}  debuggee  127.0.0.1:{port}" in refused.stderr
        assert run_debugtool("detach", target.pid, through=there).returncode == 0
        assert first.process.wait(10) == 0
        assert is_listening(ports[1])
        assert second.process.poll() is None


def test_attaching_twice_tells_of_the_session_that_is_there(target: Debuggee) -> None:
    with attached("--pid", target.pid) as session:
        port = session.port
        again = run_debugtool("attach", "--pid", target.pid, "--no-launch-json")
        assert again.returncode == 0
        assert f"Attached already, by pid {session.process.pid}: listening on 127.0.0.1:{port}." in again.stderr
        events = run_debugtool("attach", "--pid", target.pid, "--no-launch-json", "--json").stdout.splitlines()
        ready = next(event for event in map(json.loads, events) if event["event"] == "ready")
        assert (ready["port"], ready["reused"], ready["session_pid"]) == (port, True, session.process.pid)
        with DapClient(port) as editor:
            editor.attach()
            editor.disconnect()
        assert session.stop() == 0


def test_a_port_in_use_is_told_with_its_owner_and_the_process_is_left_alone(target: Debuggee) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        refused = run_debugtool("attach", "--pid", target.pid, "--port", port, "--no-launch-json")
    assert refused.returncode == 8
    name = Path("/proc/self/comm").read_text().strip()
    assert refused.stderr.splitlines()[-3:] == [
        f"Error: Could not listen on 127.0.0.1:{port}: the address is in use.",
        f"  why:  pid {os.getpid()} ({name}) of user {os.getuid()} listens there",
        "  next: end that process, or choose another --port (0 takes a free one)",
    ]
    assert "debugtool" not in target.call("trace_facts")["threads"]


def test_a_port_in_use_by_another_user_is_told_with_that_user(target: Debuggee) -> None:
    program = """
import os, socket
os.setuid(65534)
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            port = int(other.stdout.readline())
            refused = run_debugtool("attach", "--pid", target.pid, "--port", port, "--no-launch-json")
        finally:
            other.kill()
    assert refused.returncode == 8
    assert "of user 65534 listens there" in refused.stderr


def test_two_sessions_cannot_have_one_port(target: Debuggee) -> None:
    with running_debuggee() as other, attached("--pid", other.pid) as session:
        refused = run_debugtool("attach", "--pid", target.pid, "--port", session.port, "--no-launch-json")
        assert refused.returncode == 8
        assert f"pid {session.process.pid} (debugtool) of user" in refused.stderr
        assert session.stop() == 0


def test_a_session_in_the_background_is_ended_by_detach(target: Debuggee) -> None:
    begun = run_debugtool("attach", "--pid", target.pid, "--port", "0", "--no-launch-json", "--background", "--json")
    assert begun.returncode == 0, begun.stderr
    events = {event["event"]: event for event in map(json.loads, begun.stdout.splitlines())}
    port, pid = events["ready"]["port"], events["background"]["session_pid"]
    try:
        with DapClient(port) as editor:
            editor.attach({DEBUGGEE: [line_of("INSIDE")]})
            target.begin("steps", 7)
            stop_at(editor, "breakpoint", "INSIDE")
            assert run_debugtool("detach", target.pid).returncode == 0
        assert target.result() == 15
        assert not is_listening(port)
        target.assert_untraced()
        assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_background_session_that_cannot_begin_says_why(target: Debuggee) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        refused = run_debugtool("attach", "--pid", target.pid, "--port", port, "--no-launch-json", "--background")
    assert refused.returncode == 8
    assert f"Error: Could not listen on 127.0.0.1:{port}: the address is in use." in refused.stderr


def test_a_background_session_that_is_killed_says_what_to_do(target: Debuggee) -> None:
    environment = {**os.environ, "DEBUGTOOL_FAULT": "listening"}
    ended = run_debugtool("attach", "--pid", target.pid, "--port", 0, "--background", env=environment)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-3:] == [
        "Error: The session in the background ended.",
        "  why:  exit code -9",
        "  next: see what it says without --background",
    ]


def test_a_process_that_ends_as_soon_as_its_session_is_ready(tmp_path: Path) -> None:
    """With `--once` that is the session's own end: told as such, and no error."""
    with kept_worker(tmp_path) as kept, held(kept, tmp_path, "registered:stop", "--once") as session:
        session.wait_until_stopped()
        pid = kept.pid
        kept.kill()
        session.go_on()
        session.session.wait_for("ready")
        assert session.session.wait_for("exited")["pid"] == pid
        session.session.wait_for("detached")
        assert session.session.process.wait(20) == 0, session.session.error_text()


@pytest.mark.parametrize("has_editor", [True, False])
def test_a_program_that_replaces_itself_ends_the_session_and_may_be_attached_to_again(has_editor: bool) -> None:
    with running_worker(script=DEBUGGEE) as worker:
        with attached("--pid", worker.pid) as session, contextlib.ExitStack() as stack:
            port = session.port
            if has_editor:
                editor = stack.enter_context(DapClient(port))
                editor.attach()
            worker.send("1 replace null")
            assert worker.lines.next() == f"ready {worker.pid}\n"
            if has_editor:
                editor.wait_for("terminated")
            assert session.process.wait(20) == 1
            assert session.error_text().splitlines()[-3:] == [
                f"Error: The debugger of pid {worker.pid} (debuggee) is gone.",
                "  why:  the process runs on without it: it has put another program in its place (exec)",
                "  next: attach again",
            ]
        target = Debuggee(worker)
        with attached("--pid", worker.pid) as session, DapClient(session.port) as editor:
            editor.attach({DEBUGGEE: [line_of("INSIDE")]})
            target.begin("steps", 7)
            editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
            assert target.result() == 15
            assert session.stop() == 0
