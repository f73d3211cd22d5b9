"""An error is three lines: each that a user reads says what to do next, as the source has it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from debugtool import errors

PACKAGE = Path(errors.__file__).parent
# An editor shows the relay's errors in one line, what and why.
ROOMS = ("debuggers", "inject", "processes", "reload", "session", "system")
# Those whose next step is the same wherever they are raised.
OWN_NEXT_STEP = {"ProcessGone"}
ERRORS = {
    name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.DebugtoolError)
} - OWN_NEXT_STEP


def errors_made_in(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            yield node


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_says_what_to_do_next(room: str) -> None:
    silent, seen = [], 0
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for call in errors_made_in(path):
            seen += 1
            if not any(keyword.arg == "next_step" for keyword in call.keywords):
                silent.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert seen and silent == []
