"""The arrows between the rooms, read from the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "debugtool"

# The rooms, lowest first; those of one level stand beside each other. A room imports from lower levels only.
LEVELS: list[set[str]] = [
    {"errors", "model", "plugin", "parts"},
    {"output", "files"},
    {"system"},
    {"manifest"},
    {"build_record"},
    {"processes", "inject", "debuggers", "editors"},
    {"relay", "devhost"},
    {"builds"},
    {"reload"},
    {"session", "doctor"},
    {"dev"},
    {"commands"},
    {"cli"},
    {"__main__"},
]


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts and "_pb2" not in path.name]


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            if node.module == "debugtool":
                yield from (f"debugtool.{alias.name}" for alias in node.names)


def level(name: str) -> int:
    return next(number for number, names in enumerate(LEVELS) if name in names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "debugtool" or len(parts) < 2 or parts[1] in (here, "__version__"):
            continue
        assert level(parts[1]) < level(here), f"{here} imports {name}"


def test_the_plugin_room_imports_nothing_of_the_rest() -> None:
    for path in modules():
        if room(path) == "plugin":
            outside = [n for n in imports(path) if n.startswith("debugtool.") and not n.startswith("debugtool.plugin")]
            assert outside == [], path


def test_click_stays_in_its_rooms() -> None:
    for path in modules():
        if "click" in {name.split(".")[0] for name in imports(path)}:
            assert room(path) in ("cli", "commands"), path


def test_the_platform_is_asked_for_in_one_place() -> None:
    def asks(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text()))
        return any(isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.platform" for node in nodes)

    assert [path for path in modules() if asks(path)] == [PACKAGE / "system" / "__init__.py"]


def test_rooms_are_entered_by_their_front_door() -> None:
    # plugin is no room of the tool: its parts are meant to be imported one by one, so that each costs what it needs
    low = {"plugin", "commands"}
    for path in modules():
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "debugtool" and len(parts) > 2 and parts[1] != room(path) and parts[1] not in low:
                assert not (PACKAGE / parts[1] / f"{parts[2]}.py").exists(), f"{path} imports {name}"


def test_modules_are_short_and_say_what_they_are_for() -> None:
    for path in modules():
        text = path.read_text()
        assert len(text.splitlines()) <= 400, path
        assert not text.strip() or ast.get_docstring(ast.parse(text)), path


def test_the_time_of_day_is_shown_and_nothing_hangs_on_it() -> None:
    """It can be set at any moment; deadlines and ages count by clocks that cannot."""

    def asks(path: Path) -> bool:
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        return bool(calls & {"time.time", "datetime.now", "datetime.utcnow", "time.localtime"})

    shown = ["builds/project.py", "devhost/queries.py", "devhost/timerange.py", "output.py", "plugin/logs.py"]
    assert sorted(str(path.relative_to(PACKAGE)) for path in modules() if asks(path)) == [*shown, "processes/rows.py"]


def test_no_shell_strings_and_no_pickle() -> None:
    for path in modules():
        assert "shell=True" not in path.read_text(), path
        assert "pickle" not in {name.split(".")[0] for name in imports(path)}, path
