"""`debugtool attach` to release builds: programs that plain PyInstaller made, which lack what a debugger imports."""

from __future__ import annotations

import importlib.util
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached, run_debugtool
from dap_client import DapClient
from frozen_driver import (
    BACKEND,
    MAIN,
    NAME,
    ORDERS,
    PACKAGE,
    PROJECT,
    TOOLS,
    Frozen,
    editing,
    frozen_program,
    line_of,
    running_frozen,
    stop_at,
)

STOPS = [
    ("IN ENTRY", MAIN, "entry", "entry", 2, 5),
    ("IN MODULE", TOOLS, "add_one", "entry", 3, 7),
    ("IN LAMBDA", TOOLS, "<lambda>", "apply", 3, 9),
    ("IN GENERATOR", TOOLS, "count", "take", 1, [0]),
    ("IN PACKAGE", PACKAGE, "price", "order", 2, 6),
    ("IN HANDLER", ORDERS, "handle", "order", 3, 9),
    ("IN THREAD", ORDERS, "<lambda>", "in_thread", 4, 12),
]
STALE = {"localRoot": str(BACKEND), "remoteRoot": "/tmp/_MEI0000gone"}
MOVED = {"localRoot": "/moved/backend", "remoteRoot": "/tmp/_MEI0000gone"}
DEFAULT = {"localRoot": str(PROJECT), "remoteRoot": "."}  # VS Code's own, where launch.json has none


@pytest.fixture(scope="module")
def program() -> Path:
    return frozen_program()


@pytest.fixture(scope="module")
def target(program: Path) -> Iterator[Frozen]:
    with running_frozen(program) as target:
        yield target


@pytest.fixture(scope="module")
def session(target: Frozen) -> Iterator[AttachSession]:
    before = target.call("traces")
    with attached("--pid", target.pid, cwd=PROJECT) as session:
        session.wait_for("ready")
        yield session
        assert session.stop() == 0
    assert target.call("traces") == before


@pytest.mark.parametrize(("mark", "path", "name", "function", "argument", "result"), STOPS, ids=[s[0] for s in STOPS])
def test_a_breakpoint_stops_without_any_path_mapping(
    target: Frozen,
    session: AttachSession,
    mark: str,
    path: Path,
    name: str,
    function: str,
    argument: object,
    result: object,
) -> None:
    with editing(session, {mark: path}) as editor:
        target.begin(function, argument)
        frame = stop_at(editor, mark, path)
        while frame["name"] != name:  # the line of a lambda runs once more, when it is made
            editor.resume(frame["threadId"])
            frame = stop_at(editor, mark, path)
        assert editor.variables(frame)
        editor.resume(frame["threadId"])
        assert target.result() == result


@pytest.mark.parametrize("mapping", [STALE, MOVED, DEFAULT], ids=["stale", "moved", "default"])
def test_a_launch_json_that_is_wrong_does_not_matter(
    target: Frozen, session: AttachSession, mapping: dict[str, str]
) -> None:
    with editing(session, {"IN HANDLER": ORDERS}, pathMappings=[mapping]) as editor:
        target.begin("order", 1)
        frame = stop_at(editor, "IN HANDLER", ORDERS)
        assert editor.evaluate("amount", frame) == "1"
        editor.resume(frame["threadId"])
        assert target.result() == 3


def test_a_breakpoint_moves_up_to_a_line_with_code_and_is_refused_for_what_is_not_in_the_program(
    target: Frozen, session: AttachSession
) -> None:
    after = line_of("LIBRARY", MAIN) + 1
    with DapClient(session.port) as editor:
        verified = editor.attach({MAIN: [after], BACKEND / "tests.py": [1]})
        [moved], [absent] = verified[str(MAIN)], verified[str(BACKEND / "tests.py")]
        assert (moved["verified"], moved["line"]) == (True, after - 1)
        assert not absent["verified"]
        assert "does not exist" in absent["message"]
        editor.disconnect()


def test_stepping_stays_in_the_users_code_unless_told_otherwise(target: Frozen, session: AttachSession) -> None:
    for just_my_code, where in ((True, "work"), (False, "dumps")):
        with editing(session, {"LIBRARY": MAIN}, justMyCode=just_my_code) as editor:
            target.begin("library", "text")
            thread = stop_at(editor, "LIBRARY", MAIN)["threadId"]
            editor.request("stepIn", {"threadId": thread})
            assert editor.wait_for_stop()["reason"] == "step"
            frame = editor.stack(thread)[0]
            assert frame["name"] == where
            # the program holds no source of its libraries: the editor asks us for it, and is told
            assert bool(frame["source"]["sourceReference"]) is not just_my_code
            editor.resume(thread)
            assert target.result() == '"text"'


def test_a_raised_exception_stops_where_it_is_raised(target: Frozen, session: AttachSession) -> None:
    with editing(session, {}, exceptions=["raised"]) as editor:
        target.begin("fail", "caught later")
        frame = stop_at(editor, "RAISED", MAIN, "exception")
        told = editor.request("exceptionInfo", {"threadId": frame["threadId"]})
        assert (told["exceptionId"], told["description"]) == ("ValueError", "caught later")
        editor.resume(frame["threadId"])
        assert target.result() == "caught later"


def test_the_programs_own_imports_find_what_they_found_before(target: Frozen, session: AttachSession) -> None:
    with editing(session, {"IN ENTRY": MAIN}) as editor:
        target.begin("entry", 1)
        frame = stop_at(editor, "IN ENTRY", MAIN)
        assert editor.evaluate("__import__('pprint').pformat(number)", frame) == "'1'"  # the debugger's user may
        editor.resume(frame["threadId"])
        assert target.result() == 3
        assert not any(target.call("can_import", name) for name in ("sqlite3", "wsgiref", "xml.dom", "tkinter"))


def test_the_program_started_again_is_no_interpreter_to_the_debugger(target: Frozen, session: AttachSession) -> None:
    with editing(session, {}):
        assert target.call("again", "argument") == ["--child", "argument"]
        assert target.call("spawn", "spawn") == [40]
        assert target.call("spawn", "forkserver") == [40]


def test_a_fork_of_the_program_is_debugged(target: Frozen, session: AttachSession) -> None:
    with editing(session, {"IN CHILD": MAIN}) as editor, DapClient(session.port) as second:
        target.begin("spawn", "fork")
        child = editor.wait_for("debugpyAttach")
        second.attach({MAIN: [line_of("IN CHILD", MAIN)]}, subProcessId=child["subProcessId"])
        frame = stop_at(second, "IN CHILD", MAIN)
        assert second.evaluate("number", frame) == "20"
        second.send("continue", {"threadId": frame["threadId"]})  # the pool ends it before it may have answered
        assert target.result() == [40]


def test_launch_json_names_the_directory_that_the_program_runs_from(target: Frozen) -> None:
    done = run_debugtool("launch-json", NAME, "--print", "--json", cwd=PROJECT)
    mapping = {"localRoot": "${workspaceFolder}/backend", "remoteRoot": target.call("where")["root"]}
    assert json.loads(done.stdout)["entry"]["pathMappings"] == [mapping]


def test_attach_detach_and_attach_again_leave_nothing(program: Path) -> None:
    with running_frozen(program) as target:
        before = target.call("traces")
        for _ in range(2):
            with attached("--pid", target.pid, cwd=PROJECT) as session:
                session.wait_for("ready")
                with editing(session, {"IN MODULE": TOOLS}) as editor:
                    target.begin("entry", 2)
                    editor.resume(stop_at(editor, "IN MODULE", TOOLS)["threadId"])
                    assert target.result() == 5
                assert session.stop() == 0
            assert target.call("traces") == before


def test_a_killed_debugtool_leaves_the_program_serving_and_as_it_was(program: Path) -> None:
    with running_frozen(program) as target:
        before = target.call("traces")
        with attached("--pid", target.pid, cwd=PROJECT) as session:
            session.wait_for("ready")
            with editing(session, {"IN ENTRY": MAIN}, leaves=False) as editor:
                target.begin("entry", 2)
                stop_at(editor, "IN ENTRY", MAIN)
                session.stop(signal.SIGKILL)
                assert target.result() == 5  # it was at the breakpoint
        target.wait_until_as(before)


def test_an_import_of_the_debugger_that_failed_before_does_not_matter(program: Path) -> None:
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None
    assert spec.origin is not None
    with running_frozen(program) as target:
        assert target.call("import_from", str(Path(spec.origin).parents[1])) == "__future__"
        with attached("--pid", target.pid, cwd=PROJECT) as session:
            session.wait_for("ready")
            assert session.stop() == 0
