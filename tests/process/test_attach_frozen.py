"""`debugtool attach` to release builds: programs that plain PyInstaller made, which lack what a debugger imports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached
from frozen_driver import (
    MAIN,
    ORDERS,
    PACKAGE,
    PROJECT,
    TOOLS,
    Frozen,
    editing,
    frozen_program,
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


@pytest.fixture(scope="module")
def program() -> Path:
    return frozen_program()


@pytest.fixture(scope="module")
def target(program: Path) -> Iterator[Frozen]:
    with running_frozen(program) as target:
        assert target.call("can_import", "xmlrpc.server") is False
        yield target


@pytest.fixture(scope="module")
def session(target: Frozen) -> Iterator[AttachSession]:
    with attached("--pid", target.pid, cwd=PROJECT) as session:
        session.wait_for("ready")
        yield session
        assert session.stop() == 0


@pytest.mark.parametrize(("mark", "path", "name", "function", "argument", "result"), STOPS, ids=[s[0] for s in STOPS])
def test_a_breakpoint_stops(
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
