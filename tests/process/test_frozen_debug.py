"""`debugtool build --debug` of a project that PyInstaller freezes: breakpoints in code of every kind, by the agent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached, run_debugtool
from doctor_driver import doctor
from frozen_driver import NAME, Frozen, built_project, editing, running_frozen, stop_at

ENTRY, TOOLS, PACKAGE, ORDERS = (
    Path("backend", name) for name in ("main.py", "tools.py", "shop/__init__.py", "shop/orders.py")
)
STOPS = [
    ("IN ENTRY", ENTRY, "entry", "entry", 2, 5),
    ("IN MODULE", TOOLS, "add_one", "entry", 3, 7),
    ("IN LAMBDA", TOOLS, "<lambda>", "apply", 3, 9),
    ("IN GENERATOR", TOOLS, "count", "take", 1, [0]),
    ("IN PACKAGE", PACKAGE, "price", "order", 2, 6),
    ("IN HANDLER", ORDERS, "handle", "order", 3, 9),
    ("IN THREAD", ORDERS, "<lambda>", "in_thread", 4, 12),
]


@contextlib.contextmanager
def debugging(project: Path) -> Iterator[tuple[Frozen, AttachSession]]:
    """Run a debug build with a session on it that was started where nothing tells of the project."""
    with running_frozen(project / "dist" / NAME) as target:
        before = traces(target)
        with attached("--pid", target.pid, cwd="/") as session:
            assert session.wait_for("ready")["method"] == "agent"
            yield target, session
            assert session.stop() == 0
        assert traces(target) == before


def traces(target: Frozen) -> dict[str, list[str]]:
    """Tell what of a debugger is in a program; the agent's own thread is no longer listed after its first session."""
    found: dict[str, list[str]] = target.call("traces")
    return {**found, "threads": [name for name in found["threads"] if name != "debugtool agent"]}


def test_a_breakpoint_stops_in_code_of_every_kind() -> None:
    project = built_project("--debug")
    with debugging(project) as (target, session):
        for mark, path, name, function, argument, result in STOPS:
            with editing(session, {mark: project / path}) as editor:
                target.begin(function, argument)
                frame = stop_at(editor, mark, project / path)
                while frame["name"] != name:  # the line of a lambda runs once more, when it is made
                    editor.resume(frame["threadId"])
                    frame = stop_at(editor, mark, project / path)
                assert editor.variables(frame)
                editor.resume(frame["threadId"])
                assert target.result() == result


def test_a_debug_build_is_marked_and_is_not_started_again_by_the_debugger() -> None:
    project = built_project("--debug")
    with debugging(project) as (target, _):
        rows = json.loads(run_debugtool("ps", NAME, "--json").stdout)
        ours = [row for row in rows if row["pid"] == target.pid]
        assert [(row["runtime"], row["build"], row["grpc_address"]) for row in ours] == [("frozen", "debug", None)]
        assert [row for row in rows if row["host"] and row["host"]["pid"] == target.pid] == []
        assert target.call("where")["optimize"] == 0
        assert target.call("again", "x") == ["--child", "x"]
        assert target.call("spawn", "spawn") == [40]
    assert "PyInstaller's debug build, with CPython 3." in doctor(cwd=project)["artefact"][1]


@pytest.mark.parametrize(
    ("version", "options"),
    [("3.8", ("--onefile",)), ("3.10", ()), ("3.12", ("--onefile",)), ("3.13", ())],
    ids=lambda value: " ".join([*value]) or "onedir",
)
def test_a_full_round_and_another_after_a_restart(version: str, options: tuple[str, ...]) -> None:
    project = built_project("--debug", *options, version=version)
    marks = {"IN ENTRY": project / ENTRY, "IN MODULE": project / TOOLS, "IN PACKAGE": project / PACKAGE}
    for _ in range(2):
        with debugging(project) as (target, session), editing(session, marks) as editor:
            target.begin("entry", 2)
            frame = stop_at(editor, "IN ENTRY", marks["IN ENTRY"])
            assert editor.evaluate("doubled + number", frame) == "6"
            editor.resume(frame["threadId"])
            frame = stop_at(editor, "IN MODULE", marks["IN MODULE"])
            editor.request("next", {"threadId": frame["threadId"]})
            assert editor.wait_for_stop()["reason"] == "step"
            assert editor.variables(editor.stack(frame["threadId"])[0])["result"] == "5"
            editor.resume(frame["threadId"])
            assert target.result() == 5
            target.begin("order", 2)
            frame = stop_at(editor, "IN PACKAGE", marks["IN PACKAGE"])
            editor.resume(frame["threadId"])
            assert target.result() == 6


@pytest.mark.parametrize(("version", "options"), [("", ()), ("3.12", ("--onefile",))], ids=["onedir", "onefile"])
def test_a_start_is_held_and_stops_at_the_first_line_of_its_own_code(version: str, options: tuple[str, ...]) -> None:
    project = built_project("--debug", *options, version=version)
    entry = project / ENTRY
    with attached(NAME, "--wait", "--wait-at-start", cwd="/") as session, ThreadPoolExecutor() as pool:
        session.wait_for("waiting")
        with contextlib.ExitStack() as stack:
            starting = pool.submit(lambda: stack.enter_context(running_frozen(project / "dist" / NAME)))
            session.wait_for("held")
            with editing(session, {"IN ENTRY": entry}) as editor:
                assert session.wait_for("hold_ended")["by"] == "editor"
                stopped = editor.wait_for_stop()
                frame = editor.stack(stopped["threadId"])[0]
                assert (stopped["reason"], frame["source"]["path"], frame["line"]) == ("entry", str(entry), 1)
                assert not starting.done()
                editor.resume(stopped["threadId"])
                target = starting.result(60)
                target.begin("entry", 2)
                frame = stop_at(editor, "IN ENTRY", entry)
                editor.resume(frame["threadId"])
                assert target.result() == 5
            assert session.stop() == 0
