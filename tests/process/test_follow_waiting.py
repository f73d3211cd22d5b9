"""A session between two processes of a program: what an editor gets, what ends it, what it is found by."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached, run_debugtool, running_worker
from dap_client import DapClient, DapError, Message
from debug_driver import DEBUGGEE, line_of, stop_at
from frozen_driver import NAME, built_project
from obedient_host import Host, obedient_host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    program = tmp_path / "shop.py"
    program.write_text(DEBUGGEE.read_text())
    with obedient_host(program) as host:
        yield host


@contextlib.contextmanager
def waiting(host: Host, editor_points: list[int | Message]) -> Iterator[tuple[AttachSession, DapClient, list[Message]]]:
    """Attach an editor and end the process; the session waits in the block."""
    pid = host.start()
    with attached("--pid", pid) as session, DapClient(session.port) as editor:
        told = editor.attach({host.program: editor_points}, exceptions=["uncaught"])[str(host.program)]
        host.kill()
        assert session.wait_for("exited")["pid"] == pid
        yield session, editor, told


def test_a_stopped_process_that_dies_leaves_nothing_open_in_the_editor(host: Host) -> None:
    pid = host.start()
    with attached("--pid", pid) as session, DapClient(session.port) as editor:
        editor.attach({host.program: [line_of("INSIDE")]})
        host.begin("steps 4")
        frame = stop_at(editor, "breakpoint", "INSIDE", host.program)
        known = {thread["id"] for thread in editor.request("threads")["threads"]}
        sleep = {"expression": "__import__('time').sleep(60)", "frameId": frame["id"], "context": "repl"}
        asked = editor.send("evaluate", sleep)
        host.kill()
        with pytest.raises(DapError, match="the debugged process went away"):
            editor.response(asked)
        assert editor.wait_for("continued")["threadId"] == frame["threadId"]
        ended = {editor.wait_for("thread", lambda body: body["reason"] == "exited")["threadId"] for _ in known}
        assert ended == known
        assert not [event for event in editor.events if event["event"] == "terminated"]
        host.start()
        session.wait_for("rearmed")
        host.begin("steps 4")
        editor.resume(stop_at(editor, "breakpoint", "INSIDE", host.program)["threadId"])
        assert host.result() == 9
        assert session.stop() == 0


def test_what_is_asked_meanwhile_is_answered_and_what_is_set_is_kept(host: Host) -> None:
    with waiting(host, [line_of("INSIDE")]) as (session, editor, told):
        assert editor.request("threads")["threads"] == []
        for command in ("evaluate", "pause", "stackTrace", "continue"):
            with pytest.raises(DapError, match="the process is restarting"):
                editor.request(command, {"threadId": 1, "expression": "1"})
        for command in ("setInstructionBreakpoints", "setDataBreakpoints"):
            assert editor.request(command, {"breakpoints": []}) == {"breakpoints": []}
        points = editor.set_breakpoints(host.program, [line_of("AFTER STEP")])
        assert points[0]["verified"] is False and points[0]["message"] == "the process is restarting"
        assert points[0]["id"] != told[0]["id"]
        host.start()
        changed = editor.wait_for("breakpoint")["breakpoint"]
        assert (changed["id"], changed["verified"], changed["line"]) == (points[0]["id"], True, line_of("AFTER STEP"))
        session.wait_for("rearmed")
        host.begin("steps 4")
        stop_at(editor, "breakpoint", "AFTER STEP", host.program)
        editor.disconnect()
        assert host.result() == 9
        assert session.stop() == 0


def test_conditions_functions_and_exceptions_are_replayed_and_moved_lines_are_told(host: Host) -> None:
    line = line_of("IN LOOP")
    with waiting(host, [{"line": line, "condition": "total == 21"}]) as (session, editor, told):
        editor.request("setFunctionBreakpoints", {"breakpoints": [{"name": "values"}]})
        text = host.program.read_text()
        host.program.write_text(
            text.replace("        total += index  # IN LOOP", "        # as before\n        total += index", 1)
        )
        host.start()
        changed = editor.wait_for("breakpoint")["breakpoint"]
        assert (changed["id"], changed["verified"], changed["line"]) == (told[0]["id"], True, line - 1)
        session.wait_for("rearmed")
        host.begin("count 10")
        stopped = editor.wait_for_stop()
        assert stopped["hitBreakpointIds"] == [told[0]["id"]]
        frame = editor.stack(stopped["threadId"])[0]
        assert editor.evaluate("total", frame) == "21"
        editor.resume(stopped["threadId"])
        assert host.result() == 45
        host.begin("values 1")
        stopped = editor.wait_for_stop()
        assert stopped["reason"] == "function breakpoint"
        editor.resume(stopped["threadId"])
        host.result()
        host.begin('fail_thread "nobody catches it"')
        assert editor.wait_for_stop()["reason"] == "exception"
        editor.disconnect()
        assert host.result() == "failed"
        assert session.stop() == 0


def test_an_editor_may_come_while_there_is_no_process(host: Host) -> None:
    with waiting(host, []) as (session, first, _):
        first.disconnect()
        with DapClient(session.port) as editor:
            points = editor.attach({host.program: [line_of("INSIDE")]})[str(host.program)]
            assert points[0]["verified"] is False
            editor.wait_for("output", lambda body: "is not running" in body["output"])
            host.start()
            session.wait_for("rearmed")
            host.begin("steps 4")
            editor.resume(stop_at(editor, "breakpoint", "INSIDE", host.program)["threadId"])
            assert host.result() == 9
            editor.disconnect()
        assert session.stop() == 0


@pytest.mark.parametrize("by", ["ctrl-c", "detach"])
def test_the_wait_can_be_ended(host: Host, by: str) -> None:
    with waiting(host, []) as (session, editor, _):
        if by == "detach":
            assert run_debugtool("detach", "shop").returncode == 0
            assert session.process.wait(20) == 0
        else:
            assert session.stop(signal.SIGINT) == 130
        editor.wait_for("terminated")
        session.wait_for("detached")


def test_the_record_follows_the_process(host: Host) -> None:
    pid = host.start()
    with attached("--pid", pid) as session:
        session.wait_for("ready")
        host.kill()
        session.wait_for("exited")
        next_pid = host.start()
        session.wait_for("rearmed")
        again = run_debugtool("attach", "--pid", next_pid, "--no-launch-json", "--json")
        ready = json.loads(again.stdout.splitlines()[-1])
        assert (ready["reused"], ready["session_pid"]) == (True, session.process.pid)
        assert run_debugtool("detach", next_pid).returncode == 0
        assert session.process.wait(20) == 0


def test_another_program_of_the_same_host_is_not_taken_for_the_next_process(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "shop_two.py"
    other.write_text(DEBUGGEE.read_text())
    with waiting(host, []) as (session, _, _):
        host.start(other)
        pid = host.start()
        assert session.wait_for("rearmed")["pid"] == pid


def test_when_the_host_is_gone_too_the_program_is_waited_for_by_its_name(host: Host) -> None:
    pid = host.start()
    with attached("--pid", pid) as session:
        session.wait_for("ready")
        host.process.kill()  # the program sees the end of its stdin, and ends
        host.process.wait(20)
        assert session.wait_for("exited")["pid"] == pid
        with running_worker(script=host.program) as worker:
            assert session.wait_for("rearmed")["pid"] == worker.pid
            assert session.stop() == 0


def test_who_else_calls_is_told_to_go_on(host: Host) -> None:
    with waiting(host, []) as (session, _, _):
        (place,) = Path(f"/tmp/debugtool-{os.getuid()}").glob(f"rendezvous-{session.process.pid}-*.sock")
        assert place.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(20)
            caller.connect(str(place))
            orders = [
                json.loads(line)["do"] for line in iter(caller.makefile("rb").readline, b"") if b"wait" not in line
            ]
        assert orders == ["go"]
        pid = host.start()
        assert session.wait_for("rearmed")["pid"] == pid


def test_a_crash_loop_is_left_alone_for_a_while(host: Host) -> None:
    pid = host.start()
    with attached("--pid", pid) as session:
        session.wait_for("ready")
        for _ in range(2):
            host.kill()
            host.start()
            session.wait_for("rearmed")
        host.kill()
        assert session.wait_for("crash_loop")["crashes"] == 3
        host.start()
        session.wait_for("rearmed")
        assert session.stop() == 0


def test_a_killed_session_leaves_the_next_start_alone(host: Host) -> None:
    with waiting(host, []) as (session, _, _):
        session.process.kill()
        session.process.wait(20)
        pid = host.start()
        host.begin("steps 4")
        assert host.result() == 9
        with attached("--pid", pid) as another:
            another.wait_for("ready")
            assert another.stop() == 0
        runtime, killed = Path(f"/tmp/debugtool-{os.getuid()}"), session.process.pid
        left = [*runtime.glob(f"session-{killed}[-.]*"), *runtime.glob(f"rendezvous-{killed}-*")]
        assert left == []


@pytest.mark.timeout(600)  # the build
def test_a_onefile_debug_build_is_armed_before_its_own_code(host: Host) -> None:
    project = built_project("--debug", "--onefile")
    tools = project / "backend" / "tools.py"
    line = line_of("IN MODULE", tools)
    pid = host.start(project / "dist" / NAME)
    with attached("--pid", pid, cwd="/") as session, DapClient(session.port) as editor:
        editor.attach({tools: [line]})
        os.kill(pid, signal.SIGKILL)  # the child, as a crash: its parent ends and removes the directory
        assert session.wait_for("exited")["pid"] == pid
        next_pid = host.start(project / "dist" / NAME)
        host.begin("entry 3")
        frame = stop_at(editor, "breakpoint", "IN MODULE", tools)
        editor.resume(frame["threadId"])
        assert host.result() == 7
        rearmed = session.wait_for("rearmed")
        assert (rearmed["pid"], rearmed["before_first_request"]) == (next_pid, True)
        assert session.stop() == 0
