"""What doctor's checks say of other machines and other Pythons than the one at hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from debugtool import doctor
from debugtool.doctor import Diagnosis, Finding, Status, finding_text
from debugtool.doctor.artefact import find_program
from debugtool.doctor.finding import at_most
from debugtool.doctor.machine import check_platform
from debugtool.doctor.project import Interpreter, check_pyinstaller
from debugtool.doctor.target import check_runtime, interpreter_options
from debugtool.doctor.tools import is_within
from debugtool.manifest import artefact_name, read_manifest
from debugtool.model import Build, Runtime, Target

PROBLEM = Finding("port", Status.PROBLEM, "3222 is taken.", "pid 7 listens there,\nor did", "choose another")


@pytest.mark.parametrize(
    ("name", "machine", "status"),
    [("linux", "x86_64", "ok"), ("linux", "aarch64", "warning"), ("darwin", "arm64", "problem")],
)
def test_platforms(name: str, machine: str, status: str) -> None:
    assert check_platform(name, machine).status == status


@pytest.mark.parametrize(
    ("version", "wanted", "inside"),
    [
        ("1.8.22", "<1.9,>=1.8.22", True),
        ("1.8.23rc1", "<1.9,>=1.8.22", True),
        ("1.8.9", "<1.9,>=1.8.22", False),
        ("1.9", "<1.9,>=1.8.22", False),
        ("1.10.0", "<1.9,>=1.8.22", False),
        ("of unknown version", "<1.9,>=1.8.22", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, wanted: str, inside: bool) -> None:
    assert is_within(version, wanted) == inside


@pytest.mark.parametrize(
    ("command_line", "flags", "extras"),
    [
        (("python", "-O", "main.py", "-X", "no"), "O", []),
        (("python", "-uBX", "frozen_modules=off", "-OO", "main.py"), "uBOO", ["frozen_modules=off"]),
        (("python", "-Xfrozen_modules=off", "-Werror", "-m", "main", "-O"), "", ["frozen_modules=off"]),
        (("python", "-c", "pass", "-O"), "", []),
        (("python", "--version", "-O"), "", []),
        (("python",), "", []),
        ((), "", []),
    ],
)
def test_options_of_the_interpreter_end_where_the_program_begins(
    command_line: tuple[str, ...], flags: str, extras: list[str]
) -> None:
    assert interpreter_options(command_line) == (flags, extras)


@pytest.mark.parametrize(
    ("version", "implementation", "status"),
    [
        ((3, 7, 17), "cpython", "problem"),
        ((3, 8, 18), "cpython", "ok"),
        ((3, 15, 0), "cpython", "ok"),
        ((3, 16, 0), "cpython", "problem"),
        ((3, 11, 13), "pypy", "problem"),
    ],
)
def test_pythons_that_pyinstaller_freezes(version: tuple[int, ...], implementation: str, status: str) -> None:
    interpreter = Interpreter(Path("/v/bin/python"), version, implementation, has_pyinstaller=True, has_library=True)
    assert check_pyinstaller(interpreter).status == status


@pytest.mark.parametrize(("version", "status"), [("3.7.17", "problem"), ("3.8", "ok"), ("3.14.0", "ok"), (None, "ok")])
def test_pythons_that_debugpy_debugs(version: str | None, status: str) -> None:
    target = Target(7, "my-ds", None, Runtime.CPYTHON, version, Build.SOURCE, None, "me", 1000, 0.0)
    assert check_runtime(target).status == status


def test_what_is_not_needed_is_no_problem() -> None:
    softened = at_most(Status.INFO, PROBLEM)
    assert softened is not None and softened.status is Status.INFO and softened.what == PROBLEM.what
    assert at_most(Status.PROBLEM, PROBLEM) is PROBLEM
    assert at_most(Status.INFO, None) is None


def test_a_finding_in_words() -> None:
    assert finding_text(PROBLEM) == (
        "port              3222 is taken.\n"
        "                           why:  pid 7 listens there,\n"
        "                                 or did\n"
        "                           next: choose another"
    )


@pytest.mark.parametrize("status", Status)
def test_only_problems_count(status: Status) -> None:
    diagnosis = Diagnosis((Finding("gdb", status, "What."),), None, None)
    assert diagnosis.document["ok"] == (status is not Status.PROBLEM)


@pytest.mark.parametrize(
    ("plugin_json", "executable", "program"),
    [
        ("src/plugin.json", "gpx_x", "dist/gpx_x"),
        ("src/datasource/plugin.json", "../gpx_x", "dist/gpx_x"),
        ("src/datasource/plugin.json", "gpx_x", "dist/datasource/gpx_x"),
        ("plugin.json", "gpx_x", "dist/gpx_x"),
        ("dist/plugin.json", "gpx_x", "dist/gpx_x"),
    ],
)
def test_where_the_program_is(tmp_path: Path, plugin_json: str, executable: str, program: str) -> None:
    path = tmp_path / plugin_json
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"id": "x", "executable": "{executable}", "backend": true}}')
    assert find_program(read_manifest(path)) == tmp_path / artefact_name(program)


def test_every_check_is_in_the_documentation() -> None:
    package = Path(doctor.__file__).parent
    calls = [node for file in package.glob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    names = {
        str(node.args[0].value)
        for node in calls
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("Finding", "of_error", "_version_of")
        and isinstance(node.args[0], ast.Constant)
    }
    text = (package.parents[1] / "docs" / "doctor.md").read_text()
    assert len(names) > 20 and [name for name in names if f"`{name}`" not in text] == []
