"""Editors that come and go, in all the ways they do, and what the process does meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from attach_driver import attached
from dap_client import DapClient, DapError
from debug_driver import DEBUGGEE, Scene, debugging, line_of, pythons_of, running_debuggee, stop_at


@pytest.fixture(scope="module", params=pythons_of("3.11", "3.13"), ids=lambda path: path.parents[1].name)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with debugging(request.param) as scene:
        yield scene


def test_an_editor_may_come_back_any_number_of_times(scene: Scene) -> None:
    for number in range(20):
        with scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
            scene.target.begin("steps", number)
            editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
            assert scene.target.result() == number * 2 + 1


def test_an_editor_that_dies_while_the_process_runs_costs_nothing_any_more(scene: Scene) -> None:
    with DapClient(scene.session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
    scene.target.wait_until_untraced()
    assert scene.target.call("steps", 4) == 9


def test_the_process_continues_when_its_editor_dies_at_a_breakpoint(scene: Scene) -> None:
    with DapClient(scene.session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        scene.target.begin("steps", 4)
        stop_at(editor, "breakpoint", "INSIDE")
    assert scene.target.result() == 9
    scene.target.wait_until_untraced()


def test_an_editor_is_served_though_it_comes_before_the_last_one_has_been_let_go(scene: Scene) -> None:
    for _ in range(5):
        with DapClient(scene.session.port) as editor:
            editor.attach()
    with scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
        scene.target.begin("steps", 4)
        editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
        assert scene.target.result() == 9


def test_a_second_editor_is_told_so_and_the_first_is_not_disturbed(scene: Scene) -> None:
    with scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
        scene.target.begin("steps", 4)
        frame = stop_at(editor, "breakpoint", "INSIDE")
        with DapClient(scene.session.port) as second:
            second.initialize()
            with pytest.raises(DapError, match="Another editor debugs this process"):
                second.request("attach")
        assert editor.evaluate("number", frame) == "4"
        editor.resume(frame["threadId"])
        assert scene.target.result() == 9


@pytest.mark.parametrize(
    ("command", "arguments"), [("terminate", {}), ("disconnect", {"terminateDebuggee": True}), ("disconnect", {})]
)
def test_no_way_to_stop_in_an_editor_ends_the_process(scene: Scene, command: str, arguments: dict[str, object]) -> None:
    with DapClient(scene.session.port) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        scene.target.begin("steps", 4)
        stop_at(editor, "breakpoint", "INSIDE")
        editor.request(command, arguments)
        editor.wait_for("terminated")
    assert scene.target.result() == 9
    scene.target.assert_untraced()


def test_a_configuration_may_ask_that_stop_ends_the_process() -> None:
    with running_debuggee() as target, attached("--pid", target.pid, "--once") as session:
        with DapClient(session.port) as editor:
            editor.attach({DEBUGGEE: [line_of("INSIDE")]}, terminateDebuggee=True)
            target.begin("steps", 4)
            stop_at(editor, "breakpoint", "INSIDE")
            editor.disconnect()
        assert target.process.wait(30) == -signal.SIGTERM
        assert session.wait_for("exited")["pid"] == target.pid
        assert session.process.wait(30) == 0


def test_an_editor_may_send_everything_at_once(scene: Scene) -> None:
    with DapClient(scene.session.port) as editor:
        editor.send("initialize", {"adapterID": "debugpy"})
        attached_at = editor.send("attach", {"justMyCode": True})
        point = {"source": {"path": str(DEBUGGEE)}, "breakpoints": [{"line": line_of("INSIDE")}]}
        set_at = editor.send("setBreakpoints", point)
        editor.send("configurationDone")
        threads_at = editor.send("threads")
        assert editor.response(set_at)["breakpoints"][0]["verified"]
        editor.response(attached_at)
        assert editor.response(threads_at)["threads"]
        scene.target.begin("steps", 4)
        editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
        assert scene.target.result() == 9
        editor.disconnect()
    scene.target.assert_untraced()


def test_requests_at_the_wrong_time_are_refused_in_words(scene: Scene) -> None:
    with DapClient(scene.session.port) as editor:
        editor.initialize()
        for command, words in (
            ("threads", "before a successful attach"),
            ("configurationDone", 'only allowed once, after "attach"'),
            ("launch", 'use "request": "attach"'),
        ):
            with pytest.raises(DapError, match=words):
                editor.request(command)
        editor.attach()
        for command, words in (("attach", "attached already"), ("noSuchRequest", "noSuchRequest")):
            with pytest.raises(DapError, match=words):
                editor.request(command)
        editor.disconnect()
    scene.target.assert_untraced()


@pytest.mark.parametrize("is_stopped", [True, False])
def test_an_editor_is_told_when_the_process_ends(is_stopped: bool) -> None:
    with (
        running_debuggee() as target,
        attached("--pid", target.pid, "--once") as session,
        DapClient(session.port) as editor,
    ):
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        if is_stopped:
            target.begin("steps", 4)
            frame = stop_at(editor, "breakpoint", "INSIDE")
            asked = editor.send(
                "evaluate", {"expression": "__import__('time').sleep(60)", "frameId": frame["id"], "context": "repl"}
            )
        target.process.kill()
        if is_stopped:
            with pytest.raises(DapError, match="the debugged process went away"):
                editor.response(asked)
        editor.wait_for("terminated")
        session.wait_for("exited")
        session.wait_for("detached")
        assert session.process.wait(20) == 0
