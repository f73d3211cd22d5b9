"""What a debugger is used for, through the installed command, in a process that was running before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import attached, running_worker
from dap_client import DapClient, DapError
from debug_driver import CROWD, DEBUGGEE, Scene, debugging, line_of, pythons_of, stop_at
from gohost_driver import StartGoHost, queries, query

SAMPLE = DEBUGGEE.with_name("sample_plugin.py")


@pytest.fixture(scope="module", params=pythons_of("3.11", "3.13"), ids=lambda path: path.parents[1].name)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with debugging(request.param) as scene:
        yield scene


def test_a_condition_decides_where_a_breakpoint_stops(scene: Scene) -> None:
    point = {"line": line_of("IN LOOP"), "condition": "index == 7"}
    with scene.editor({DEBUGGEE: [point]}) as editor:
        scene.target.begin("count", 10)
        frame = stop_at(editor, "breakpoint", "IN LOOP")
        assert editor.evaluate("(index, total)", frame) == "(7, 21)"
        editor.resume(frame["threadId"])
        assert scene.target.result() == 45


def test_a_hit_count_decides_when_a_breakpoint_stops(scene: Scene) -> None:
    point = {"line": line_of("IN LOOP"), "hitCondition": "3"}
    with scene.editor({DEBUGGEE: [point]}) as editor:
        scene.target.begin("count", 10)
        frame = stop_at(editor, "breakpoint", "IN LOOP")
        assert editor.variables(frame) == {"number": "10", "index": "2", "total": "1"}
        editor.resume(frame["threadId"])
        assert scene.target.result() == 45


def test_a_logpoint_speaks_and_does_not_stop(scene: Scene) -> None:
    point = {"line": line_of("IN LOOP"), "logMessage": "index is {index}"}
    with scene.editor({DEBUGGEE: [point]}) as editor:
        assert scene.target.call("count", 3) == 3
        while len(said := [e["body"]["output"] for e in editor.events if e["event"] == "output"]) < 3:
            editor.wait_for("output")
        assert [text.strip() for text in said] == ["index is 0", "index is 1", "index is 2"]
        assert not [event for event in editor.events if event["event"] == "stopped"]


def test_breakpoints_are_set_and_removed_while_the_process_runs(scene: Scene) -> None:
    with scene.editor() as editor:
        assert scene.target.call("count", 3) == 3
        assert editor.set_breakpoints(DEBUGGEE, [line_of("INSIDE")])[0]["verified"]
        scene.target.begin("steps", 4)
        frame = stop_at(editor, "breakpoint", "INSIDE")
        assert editor.set_breakpoints(DEBUGGEE, []) == []
        editor.resume(frame["threadId"])
        assert scene.target.result() == 9
        assert scene.target.call("steps", 5) == 11


def test_a_function_breakpoint_stops_in_the_function(scene: Scene) -> None:
    with scene.editor() as editor:
        editor.request("setFunctionBreakpoints", {"breakpoints": [{"name": "double"}]})
        scene.target.begin("steps", 4)
        stopped = editor.wait_for_stop()
        assert stopped["reason"] == "function breakpoint"
        assert [frame["name"] for frame in editor.stack(stopped["threadId"])][:2] == ["double", "steps"]
        editor.resume(stopped["threadId"])
        assert scene.target.result() == 9


def test_stepping_into_out_of_and_over_calls(scene: Scene) -> None:
    with scene.editor({DEBUGGEE: [line_of("STEP HERE")]}) as editor:
        scene.target.begin("steps", 4)
        thread = stop_at(editor, "breakpoint", "STEP HERE")["threadId"]
        editor.request("stepIn", {"threadId": thread})
        stop_at(editor, "step", "INSIDE")
        editor.request("stepOut", {"threadId": thread})
        stop_at(editor, "step", "STEP HERE")
        editor.request("next", {"threadId": thread})
        frame = stop_at(editor, "step", "AFTER STEP")
        assert editor.variables(frame)["first"] == "8"
        editor.resume(thread)
        assert scene.target.result() == 9


def test_only_the_users_code_is_stepped_into_unless_told_otherwise(scene: Scene) -> None:
    for just_my_code, name, in_library in ((True, "library", False), (False, "indent", True)):
        with scene.editor({DEBUGGEE: [line_of("LIBRARY")]}, justMyCode=just_my_code) as editor:
            scene.target.begin("library", "text")
            thread = stop_at(editor, "breakpoint", "LIBRARY")["threadId"]
            editor.request("stepIn", {"threadId": thread})
            assert editor.wait_for_stop()["reason"] == "step"
            frame = editor.stack(thread)[0]
            assert (frame["name"], Path(frame["source"]["path"]).name == "textwrap.py") == (name, in_library)
            editor.resume(thread)
            assert scene.target.result() == "> text"


def test_a_value_is_seen_and_changed_in_every_way_an_editor_has(scene: Scene) -> None:
    with scene.editor({DEBUGGEE: [line_of("VALUES")]}) as editor:
        scene.target.begin("values", 1)
        frame = stop_at(editor, "breakpoint", "VALUES")
        assert editor.evaluate("names", frame, "hover") == "{'one': 1}"
        assert editor.evaluate("box.content + 1", frame, "watch") == "2"
        assert editor.evaluate("names['two'] = 2", frame) == ""
        scopes = editor.request("scopes", {"frameId": frame["id"]})["scopes"]
        assert [scope["name"] for scope in scopes] == ["Locals", "Globals"]
        listed = editor.request("variables", {"variablesReference": scopes[0]["variablesReference"]})["variables"]
        box = next(variable for variable in listed if variable["name"] == "box")
        editor.request(
            "setVariable", {"variablesReference": box["variablesReference"], "name": "content", "value": "'changed'"}
        )
        answer = editor.request("setExpression", {"frameId": frame["id"], "expression": "names['one']", "value": "11"})
        assert answer["value"] == "11"
        listed = editor.request("completions", {"frameId": frame["id"], "text": "box.con", "column": 8})["targets"]
        assert [target["label"] for target in listed] == ["content"]
        with pytest.raises(DapError, match="no_such_name"):
            editor.evaluate("no_such_name", frame)
        editor.resume(frame["threadId"])
        assert scene.target.result() == ["changed", {"one": 11, "two": 2}, "plain"]


def test_execution_jumps_to_another_line(scene: Scene) -> None:
    with scene.editor({DEBUGGEE: [line_of("EARLY")]}) as editor:
        scene.target.begin("jump", 1)
        thread = stop_at(editor, "breakpoint", "EARLY")["threadId"]
        source = {"source": {"path": str(DEBUGGEE)}, "line": line_of("LATE")}
        target = editor.request("gotoTargets", source)["targets"][0]
        editor.request("goto", {"threadId": thread, "targetId": target["id"]})
        stop_at(editor, "goto", "LATE")
        editor.resume(thread)
        assert scene.target.result() == ["late"]


def test_a_raised_exception_stops_where_it_is_raised(scene: Scene) -> None:
    with scene.editor(exceptions=["raised"]) as editor:
        scene.target.begin("catch", "caught later")
        frame = stop_at(editor, "exception", "RAISED")
        told = editor.request("exceptionInfo", {"threadId": frame["threadId"]})
        assert (told["exceptionId"], told["description"]) == ("ValueError", "caught later")
        assert "catch" in told["details"]["stackTrace"]
        editor.resume(frame["threadId"])
        assert scene.target.result() == "caught later"


def test_an_exception_that_leaves_the_users_code_stops_there(scene: Scene) -> None:
    with scene.editor(exceptions=["userUnhandled"]) as editor:
        assert scene.target.call("catch", "caught by the user") == "caught by the user"
        scene.target.begin("fail", "into the pool")  # the standard library's pool catches it
        frame = stop_at(editor, "exception", "ESCAPES")
        told = editor.request("exceptionInfo", {"threadId": frame["threadId"]})
        assert told["exceptionId"].startswith("LookupError")
        editor.resume(frame["threadId"])
        assert scene.target.result() == {"error": "into the pool"}


def test_an_exception_that_ends_a_thread_stops_there(scene: Scene) -> None:
    with scene.editor(exceptions=["uncaught"]) as editor:
        assert scene.target.call("fail", "caught by the pool") == {"error": "caught by the pool"}
        scene.target.begin("fail_thread", "nobody catches it")
        frame = stop_at(editor, "exception", "ESCAPES")
        told = editor.request("exceptionInfo", {"threadId": frame["threadId"]})
        assert told["description"] == "nobody catches it"
        editor.resume(frame["threadId"])
        assert scene.target.result() == "failed"


def test_a_running_process_is_paused_and_its_loop_ended(scene: Scene) -> None:
    with scene.editor() as editor:
        scene.target.begin("loop", 60)
        scene.target.wait_until("looping")
        threads = {thread["name"]: thread["id"] for thread in editor.request("threads")["threads"]}
        assert {"MainThread", "server", "pool_0", "pool_1", "pool_2"} <= set(threads)
        editor.request("pause", {"threadId": threads["MainThread"]})
        stopped = editor.wait_for("stopped", lambda body: editor.stack(body["threadId"])[0]["name"] == "loop")
        assert stopped["reason"] == "pause"
        frame = editor.stack(stopped["threadId"])[0]
        editor.evaluate("turns = 10**6", frame)
        editor.resume(stopped["threadId"])
        assert scene.target.result() is False


def test_a_query_of_a_plugin_runs_into_a_breakpoint_while_its_host_is_answered(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    at_once = [host.send("QueryData", queries(query(sleep_s=0.3)), **{"async": True}) for _ in range(3)]
    assert all([host.answer(number)["ok"] for number in at_once])  # gRPC's workers exist before the attach
    with attached("--pid", host.pid) as session, DapClient(session.port) as editor:
        editor.attach({SAMPLE: [_line_with("rows = int(wanted.get")]})
        names = {thread["name"] for thread in editor.request("threads")["threads"]}
        assert {"MainThread", "plugin-worker_0", "plugin-worker_1", "plugin-worker_2"} <= names
        asked = host.send("QueryData", queries(query(rows=2)), **{"async": True})
        stopped = editor.wait_for_stop()
        frames = editor.stack(stopped["threadId"])
        assert [frame["name"] for frame in frames][:2] == ["answer", "query_data"]
        assert editor.evaluate("wanted", frames[0]) == "{'rows': 2}"
        host.good("ping")
        editor.resume(stopped["threadId"])
        assert host.answer(asked)["ok"]
        editor.disconnect()
        assert session.stop() == 0
    host.good("QueryData", queries(query(rows=2)))


def _line_with(text: str) -> int:
    return next(number for number, line in enumerate(SAMPLE.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize("python", pythons_of("3.11", "3.13"), ids=lambda path: path.parents[1].name)
def test_each_continue_is_answered_though_many_threads_come_to_the_breakpoint_at_once(python: Path) -> None:
    with running_worker(python=python, script=CROWD) as crowd, attached("--pid", crowd.pid) as session:
        session.wait_for("ready")
        with DapClient(session.port) as editor:
            editor.attach({CROWD: [line_of("EACH TURN", CROWD)]})
            for _ in range(200):
                editor.resume(editor.wait_for("stopped")["threadId"])
            editor.disconnect()
        assert session.stop() == 0
