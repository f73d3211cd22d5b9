"""Child processes of a debugged process: offered to the editor, debugged in sessions of their own, or left alone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attach_driver import attached
from dap_client import DapClient, DapError, Message
from debug_driver import CHILD, DEBUGGEE, Scene, debugging, line_of, pythons_of, running_debuggee, stop_at


@pytest.fixture(scope="module", params=pythons_of("3.11", "3.13"), ids=lambda path: path.parents[1].name)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with debugging(request.param) as scene:
        yield scene


def open_session(offer: Message, breakpoints: dict[Any, Any]) -> DapClient:
    """Open a session for a child as the editor does: with the arguments that came with the offer."""
    client = DapClient(offer["connect"]["port"], offer["connect"]["host"])
    client.attach(breakpoints, **{key: value for key, value in offer.items() if key != "justMyCode"})
    return client


def finish(client: DapClient, thread: int) -> None:
    """Let a child run to its end, which ends its session."""
    client.resume(thread)
    client.wait_for("terminated")
    client.close()


def test_a_python_subprocess_is_debugged_by_the_editor_it_is_offered_to(scene: Scene) -> None:
    with scene.editor() as editor:
        scene.target.begin("run_child", [str(CHILD), "14"])
        offer = editor.wait_for("debugpyAttach")
        assert offer["request"] == "attach"
        child = open_session(offer, {CHILD: [line_of("IN CHILD", CHILD)]})
        frame = stop_at(child, "breakpoint", "IN CHILD", CHILD)
        assert child.variables(frame) == {"number": "14"}
        child.evaluate("number = 5", frame)
        finish(child, frame["threadId"])
        assert scene.target.result() == [0, "15\n", ""]


def test_an_editor_that_knows_start_debugging_is_asked_to(scene: Scene) -> None:
    with scene.editor(initialize={"supportsStartDebuggingRequest": True}) as editor:
        scene.target.begin("run_child", [str(CHILD), "14"])
        while not editor.requests:
            editor.request("threads")
        (request,) = editor.requests
        assert (request["command"], request["arguments"]["request"]) == ("startDebugging", "attach")
        child = open_session(request["arguments"]["configuration"], {CHILD: [line_of("IN CHILD", CHILD)]})
        finish(child, stop_at(child, "breakpoint", "IN CHILD", CHILD)["threadId"])
        assert scene.target.result() == [0, "42\n", ""]


def test_a_forked_child_is_debugged(scene: Scene) -> None:
    with scene.editor() as editor:
        scene.target.begin("fork", 20)
        child = open_session(editor.wait_for("debugpyAttach"), {DEBUGGEE: [line_of("INSIDE")]})
        frame = stop_at(child, "breakpoint", "INSIDE")
        child.evaluate("number = 3", frame)
        finish(child, frame["threadId"])
        assert scene.target.result() == 6


@pytest.mark.parametrize("command", ["continue", "next"])
def test_a_child_that_is_let_go_to_its_sudden_end_has_been_let_go(scene: Scene, command: str) -> None:
    # it is gone before its debugger has answered, most of the time: VS Code would show the failure in a pop-up
    with scene.editor() as editor:
        for _ in range(5):
            scene.target.begin("fork_to_be_killed")
            child = open_session(editor.wait_for("debugpyAttach"), {DEBUGGEE: [line_of("KILLS ITSELF")]})
            child.request(command, {"threadId": stop_at(child, "breakpoint", "KILLS ITSELF")["threadId"]})
            child.wait_for("terminated")
            child.close()
            assert scene.target.result() == signal.SIGKILL


def is_helper(pid: int, parent: int) -> bool:
    """Tell whether a process is one that multiprocessing starts for itself, and that works on nothing."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    is_child = f"\nPPid:\t{parent}\n" in Path(f"/proc/{pid}/status").read_text()
    # what the fork server forks has its command line
    return b"resource_tracker import main" in command or (b"forkserver import main" in command and is_child)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_multiprocessing_is_debugged(scene: Scene, method: str) -> None:
    with scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
        scene.target.begin("spawn", method)
        with contextlib.ExitStack() as sessions:
            while True:
                offer = editor.wait_for("debugpyAttach")
                child = sessions.enter_context(open_session(offer, {DEBUGGEE: [line_of("INSIDE")]}))
                if not is_helper(offer["subProcessId"], scene.target.pid):
                    break
            frame = stop_at(child, "breakpoint", "INSIDE")
            child.evaluate("number = 4", frame)
            child.resume(frame["threadId"])  # a pool kills its workers when it is done with them: not before this
            assert scene.target.result() == [8]
            scene.target.call("end_workers")


def test_a_child_that_the_editor_opens_no_session_for_runs_undebugged(scene: Scene) -> None:
    with scene.editor() as editor:
        scene.target.begin("run_child", [str(CHILD), "14"])
        offer = editor.wait_for("debugpyAttach")
        assert scene.target.result() == [0, "42\n", ""]
        with DapClient(offer["connect"]["port"]) as late:
            late.initialize()
            with pytest.raises(DapError, match=r"No child process \d+ waits"):
                late.request("attach", offer)


def test_a_child_runs_undebugged_when_the_editor_leaves_without_opening_its_session(scene: Scene) -> None:
    with DapClient(scene.session.port) as editor:
        editor.attach()
        scene.target.begin("run_child", [str(CHILD), "14"])
        editor.wait_for("debugpyAttach")
        editor.disconnect()
    assert scene.target.result() == [0, "42\n", ""]


def test_a_child_whose_session_is_left_at_a_breakpoint_runs_on(scene: Scene) -> None:
    with scene.editor() as editor:
        scene.target.begin("run_child", [str(CHILD), "14"])
        child = open_session(editor.wait_for("debugpyAttach"), {CHILD: [line_of("IN CHILD", CHILD)]})
        stop_at(child, "breakpoint", "IN CHILD", CHILD)
        child.close()
        assert scene.target.result() == [0, "42\n", ""]


def test_a_child_runs_undebugged_while_no_editor_is_there(scene: Scene) -> None:
    assert scene.target.call("run_child", [str(CHILD), "14"]) == [0, "42\n", ""]
    assert scene.target.call("fork", 20) == 40


def test_with_subprocess_off_children_are_none_of_the_editors_business(scene: Scene) -> None:
    with scene.editor(subProcess=False) as editor:
        assert scene.target.call("run_child", [str(CHILD), "14"]) == [0, "42\n", ""]
        assert not [event for event in editor.events if event["event"] == "debugpyAttach"]


def test_the_end_of_the_process_is_seen_though_a_child_of_it_lives_on() -> None:
    with running_debuggee() as target, attached("--pid", target.pid, "--once") as session:
        session.wait_for("ready")
        child = target.call("fork_and_leave", 20)
        target.process.kill()
        session.wait_for("exited", 5)
        assert session.process.wait(5) == 0
        os.kill(child, signal.SIGKILL)
