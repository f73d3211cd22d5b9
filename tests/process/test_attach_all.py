"""`debugtool attach --all`: other instances and workers behind the one port, each a session of the editor's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attach_driver import AttachSession, attached, run_debugtool, running_worker
from dap_client import DapClient, Message
from debug_driver import DEBUGGEE, Debuggee, line_of, write_debug_build
from go_driver import delve_environment, delves_on
from test_attach_go_programs import BREAK_LINE, DEBUG, SOURCE, build_asked, running_asked
from test_trace_refused import WITHOUT_PTRACE

from debugtool.plugin.agent import paths

POOL = DEBUGGEE.with_name("pool.py")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A debuggee of a name that nothing else on this machine has."""
    path = tmp_path / f"several{os.getpid()}.py"
    shutil.copy(DEBUGGEE, path)
    return path


@contextlib.contextmanager
def running(program: Path) -> Iterator[Debuggee]:
    with running_worker(script=program) as worker:
        yield Debuggee(worker)


def wait_for_instance(session: AttachSession, pid: int, state: str = "armed") -> None:
    while (event := session.wait_for("instance"))["pid"] != pid or event["state"] != state:
        assert event["state"] != "left", event


def assert_left_to_another(session: AttachSession, pid: int) -> None:
    told = session.wait_for("instance")
    assert (told["pid"], told["state"], told["why"]) == (pid, "left", "another session has it")
    assert str(pid) in told["next"]


def offered(editor: DapClient) -> Message:
    """Wait for the next process that the editor is asked to open a session for; give that session's configuration."""
    deadline = time.monotonic() + editor.timeout_s
    while not editor.requests:
        editor.request("threads")  # reads what has come meanwhile
        assert time.monotonic() < deadline
    request = editor.requests.pop(0)
    assert (request["command"], request["arguments"]["request"]) == ("startDebugging", "attach")
    configuration: Message = request["arguments"]["configuration"]
    return configuration


def open_session(configuration: Message, breakpoints: dict[Any, Any]) -> DapClient:
    where = configuration.get("connect") or configuration
    client = DapClient(where["port"], where["host"])
    client.attach(breakpoints, **configuration)
    return client


def begin(session: AttachSession, breakpoints: dict[Any, Any], **arguments: Any) -> DapClient:
    editor = DapClient(session.port)
    editor.attach(breakpoints, initialize={"supportsStartDebuggingRequest": True}, **arguments)
    return editor


def stop_in(client: DapClient, target: Debuggee, program: Path) -> None:
    """Have a target stop in its client's session, and go on."""
    target.begin("double", 21)
    stop = client.wait_for_stop()
    frame = client.stack(stop["threadId"])[0]
    assert (frame["source"]["path"], frame["line"]) == (str(program), line_of("INSIDE"))
    client.resume(stop["threadId"])
    assert target.result() == 42


def left_of(session: AttachSession) -> list[Path]:
    base = Path(paths.runtime_dir(os.geteuid()))
    pid = session.process.pid
    return [*base.glob(f"session-{pid}-*"), *base.glob(f"session-{pid}.*"), *base.glob(f"rendezvous-{pid}-*")]


def test_one_f5_debugs_every_instance_and_one_stop_ends_it(program: Path) -> None:
    marks = {program: [line_of("INSIDE")]}
    with running(program) as first, running(program) as second:
        several = run_debugtool("attach", program.stem, "--port", 0)
        assert (several.returncode, "--all" in several.stderr) == (6, True), several.stderr
        with attached(program.stem, "--all") as session:
            assert session.wait_for("target")["pid"] == first.pid
            wait_for_instance(session, second.pid)
            with begin(session, marks) as editor:
                configuration = offered(editor)
                assert (configuration["subProcessId"], configuration["type"]) == (second.pid, "debugpy")
                with open_session(configuration, marks) as other:
                    stop_in(editor, first, program)
                    stop_in(other, second, program)
                    second.begin("double", 21)
                    other.wait_for_stop()
                    editor.disconnect()
                    other.wait_for("terminated")
                assert second.result() == 42
            first.wait_until_untraced()
            second.wait_until_untraced()
            again = run_debugtool("attach", "--pid", second.pid, "--port", 0, "--no-launch-json")
            assert (again.returncode, "Attached already" in again.stderr) == (0, True), again.stderr
            assert run_debugtool("detach", second.pid).returncode == 0
            assert session.process.wait(60) == 0
        assert left_of(session) == []
        first.assert_untraced()
        second.assert_untraced()
        assert (first.tracer(), second.tracer()) == (0, 0)


def test_instances_come_and_go_while_the_editor_stays(program: Path) -> None:
    marks = {program: [line_of("INSIDE")]}
    with running(program) as first, attached(program.stem, "--all") as session, begin(session, marks) as editor:
        for _ in range(2):
            with running(program) as second:
                wait_for_instance(session, second.pid)
                with open_session(offered(editor), marks) as other:
                    stop_in(other, second, program)
                    second.process.kill()
                    other.wait_for("terminated")
            wait_for_instance(session, second.pid, "ended")
        stop_in(editor, first, program)
        editor.disconnect()
        assert session.stop() == 0
        first.assert_untraced()


def test_the_first_process_is_started_again_beside_another(program: Path) -> None:
    """The editor's first session stays, with its breakpoints; that of the other process does not notice."""
    marks = {program: [line_of("INSIDE")]}
    with running(program) as first, running(program) as second, attached(program.stem, "--all") as session:
        wait_for_instance(session, second.pid)
        rows = json.loads(run_debugtool("ps", program.stem, "--json").stdout)
        of_session = f"debugtool on 127.0.0.1:{session.port} (pid {session.process.pid})"
        assert {row["pid"]: row["debugger"] for row in rows} == {first.pid: of_session, second.pid: of_session}
        with begin(session, marks) as editor, open_session(offered(editor), marks) as other:
            first.process.kill()
            assert session.wait_for("exited")["pid"] == first.pid
            stop_in(other, second, program)
            with running(program) as third:
                assert session.wait_for("rearmed")["pid"] == third.pid
                stop_in(editor, third, program)
                stop_in(other, second, program)
                assert [request["command"] for request in editor.requests] == []
                editor.disconnect()
                assert session.stop() == 0
                third.assert_untraced()
        second.assert_untraced()


def test_a_process_that_another_debugtool_has_is_left_to_that_until_it_ends(program: Path) -> None:
    marks = {program: [line_of("INSIDE")]}
    with running(program), running(program) as second, attached("--pid", second.pid) as other:
        other.wait_for("ready")
        with attached(program.stem, "--all") as session, begin(session, marks) as editor:
            assert_left_to_another(session, second.pid)
            assert other.stop() == 0
            wait_for_instance(session, second.pid)
            with open_session(offered(editor), marks) as client:
                stop_in(client, second, program)
                editor.disconnect()
            assert session.stop() == 0
        second.assert_untraced()


def test_a_process_that_ends_while_another_debugtool_has_it(program: Path) -> None:
    with running(program), running(program) as second, attached("--pid", second.pid) as other:
        other.wait_for("ready")
        with attached(program.stem, "--all") as session:
            assert_left_to_another(session, second.pid)
            second.process.kill()
            second.process.wait(60)
            wait_for_instance(session, second.pid, "ended")
            assert session.stop() == 0


def test_the_oldest_process_is_another_session_s_and_the_others_are_debugged(program: Path) -> None:
    marks = {program: [line_of("INSIDE")]}
    with running(program) as first, running(program) as second, running(program) as third:
        with attached("--pid", first.pid) as other:
            other.wait_for("ready")
            with attached(program.stem, "--all") as session, begin(session, marks) as editor:
                assert session.events[0]["pid"] == second.pid
                told = [session.wait_for("instance"), session.wait_for("instance")]
                assert {(event["pid"], event["state"]) for event in told} == {(first.pid, "left"), (third.pid, "armed")}
                with open_session(offered(editor), marks) as client:
                    stop_in(editor, second, program)
                    stop_in(client, third, program)
                again = run_debugtool("attach", program.stem, "--all", "--port", 0, "--no-launch-json", "--json")
                ready = [json.loads(line) for line in again.stdout.splitlines()][-1]
                assert (ready["reused"], ready["session_pid"]) == (True, session.process.pid)
                assert other.stop() == 0
                wait_for_instance(session, first.pid)
                with open_session(offered(editor), marks) as client:
                    stop_in(client, first, program)
                    editor.disconnect()
                assert session.stop() == 0
        for target in (first, second, third):
            target.assert_untraced()


def test_every_process_is_another_session_s(program: Path) -> None:
    """There is nothing left to debug: the session on the oldest is told of, as without `--all`."""
    with running(program) as only, attached("--pid", only.pid) as other:
        other.wait_for("ready")
        again = run_debugtool("attach", program.stem, "--all", "--port", 0, "--no-launch-json")
        assert (again.returncode, "Attached already" in again.stderr) == (0, True), again.stderr
        assert other.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("capsh"), reason="takes root, and capsh (libcap2-bin)")
def test_one_that_may_not_be_traced_is_told_with_what_to_do(program: Path) -> None:
    """The first has an agent, and nobody was asked about ptrace; the others are refused one by one."""
    build = program.with_suffix("")
    write_debug_build(build, Path(sys.executable), program)
    with running(build) as first, running(program) as second:
        with attached(program.stem, "--all", through=WITHOUT_PTRACE) as session:
            assert session.wait_for("target")["pid"] == first.pid
            assert session.wait_for("ready")["method"] == "agent"
            told = session.wait_for("instance")
            assert (told["pid"], told["state"], "CapPrm" in told["why"]) == (second.pid, "left", True)
            assert "Give debugtool CAP_SYS_PTRACE" in told["next"]
            assert session.stop() == 0
        second.assert_untraced()


def test_all_are_let_go_when_debugtool_is_killed(program: Path) -> None:
    marks = {program: [line_of("INSIDE")]}
    with running(program) as first, running(program) as second, attached(program.stem, "--all") as session:
        wait_for_instance(session, second.pid)
        with begin(session, marks) as editor, open_session(offered(editor), marks) as other:
            second.begin("double", 21)
            other.wait_for_stop()
            session.process.send_signal(signal.SIGKILL)
            session.process.wait(60)
        assert second.result() == 42
        first.wait_until_untraced()
        second.wait_until_untraced()
        with attached(program.stem, "--all") as next_one:
            wait_for_instance(next_one, second.pid)
            assert next_one.stop() == 0
        assert left_of(session) == []


def test_the_workers_of_a_pool_that_was_there_before(tmp_path: Path) -> None:
    program = tmp_path / f"pool{os.getpid()}.py"
    shutil.copy(POOL, program)
    line = line_of("IN WORKER", POOL)
    with running_worker(script=program, python=sys.executable) as pool, attached("--pid", pool.pid, "--all") as session:
        workers = {session.wait_for("instance")["pid"] for _ in range(2)}
        with begin(session, {}) as editor, contextlib.ExitStack() as sessions:
            opened = [offered(editor) for _ in workers]
            assert {configuration["subProcessId"] for configuration in opened} == workers
            clients = [sessions.enter_context(open_session(one, {program: [line]})) for one in opened]
            pool.send(21)
            client, thread = next((client, thread) for client in clients if (thread := stopped_thread(client)))
            assert client.evaluate("number", client.stack(thread)[0]) == "21"
            client.resume(thread)
            result, pid = json.loads(pool.lines.next())
            assert (result, pid in workers) == (42, True)
        assert session.stop() == 0
        pool.send(4)
        assert json.loads(pool.lines.next())[0] == 8


def test_the_first_process_is_held_at_its_start_and_the_others_are_armed_as_they_come(tmp_path: Path) -> None:
    """`--wait-at-start`: the first stops in code that runs before all other; the second, and children, are there."""
    source, program = tmp_path / "starting.py", tmp_path / f"starting{os.getpid()}"
    source.write_text(f"BEFORE = 1  # AT START\n{DEBUGGEE.read_text()}")
    write_debug_build(program, Path(sys.executable), source)
    lines = {mark: line_of(mark, source) for mark in ("AT START", "INSIDE")}
    with attached(program.name, "--all", "--wait", "--wait-at-start", cwd="/") as session, ThreadPoolExecutor() as pool:
        session.wait_for("waiting")
        with contextlib.ExitStack() as stack:
            starting = pool.submit(lambda: stack.enter_context(running(program)))  # comes back when it is ready
            pid = session.wait_for("held")["pid"]
            with running(program) as second:
                wait_for_instance(session, second.pid)
                with begin(session, {source: list(lines.values())}) as editor:
                    thread = editor.wait_for_stop()["threadId"]
                    assert editor.stack(thread)[0]["line"] == lines["AT START"]
                    assert not starting.done()
                    with open_session(offered(editor), {source: [lines["INSIDE"]]}) as other:
                        editor.resume(thread)
                        first = starting.result(60)
                        assert first.pid == pid
                        second.begin("double", 21)
                        other.resume(other.wait_for_stop()["threadId"])
                        assert second.result() == 42
                    first.begin("fork", 21)
                    with open_session(offered(editor), {source: [lines["INSIDE"]]}) as child:
                        child.send("continue", child.wait_for_stop())
                        assert first.result() == 42
                    editor.disconnect()
                assert session.stop() == 0


def stopped_thread(client: DapClient) -> int | None:
    """Give the thread that has stopped in a client's process, None where it is another process that stopped."""
    client.timeout_s, before = 2, client.timeout_s
    try:
        thread: int = client.wait_for_stop()["threadId"]
    except TimeoutError:
        return None
    finally:
        client.timeout_s = before
    return thread


def test_two_instances_in_go(tmp_path: Path) -> None:
    name = f"asked{os.getpid()}"
    marks = {SOURCE: [BREAK_LINE]}
    program = tmp_path / name
    shutil.copy(build_asked(DEBUG), program)
    with running_asked(program) as first, running_asked(program) as second:
        with attached(name, "--all", env=delve_environment()) as session:
            session.wait_for("ready")
            wait_for_instance(session, second.process.pid)
            with begin(session, marks, type="go", mode="remote", request="attach") as editor:
                configuration = offered(editor)
                assert configuration["type"] == "go"
                with open_session(configuration, marks) as other:
                    for client, target in ((editor, first), (other, second)):
                        target.say("ab")
                        stop = client.wait_for_stop()
                        assert client.stack(stop["threadId"])[0]["line"] == BREAK_LINE
                        client.resume(stop["threadId"])
                        assert target.lines.next() == "abab\n"
                    editor.disconnect()
                    other.wait_for("terminated")
            assert session.stop() == 0
        for target in (first, second):
            target.assert_answer()
            assert delves_on(target.process.pid) == []
