"""Which file starts a plugin, where its modules lie, and which Python runs it: read from the project alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from debugtool.builds import find_entry, find_interpreter, source_roots
from debugtool.errors import Ambiguous, DebugtoolError, ExitCode, NotFound

OWN = Path(sys.executable)


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONDA_PREFIX", "POETRY_VIRTUALENVS_PATH", "POETRY_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")


def make(root: Path, *files: str, pyproject: str | None = None) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    if pyproject is not None:
        (root / "pyproject.toml").write_text(pyproject)
    return root


def environment(directory: Path) -> Path:
    """Make what an environment is known by, which no interpreter is run for; give its Python."""
    python = directory / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(OWN)
    (directory / "pyvenv.cfg").write_text("")
    return python


@pytest.mark.parametrize(
    ("pyproject", "file"),
    [
        (None, "backend/main.py"),
        ("", "backend/__main__.py"),
        ('[tool.debugtool]\nentry = "start.py"', "start.py"),
        ('[tool.debugtool]\nentry = "pkg"', "pkg/__main__.py"),
        ("[tool.other]", "backend/main.py"),
        (None, "backend/src/plugin/__main__.py"),
        (None, "src/plugin/__main__.py"),
    ],
)
def test_entry_points(tmp_path: Path, pyproject: str | None, file: str) -> None:
    root = make(tmp_path, file, "src/plugin.json", pyproject=pyproject)
    assert find_entry(root) == tmp_path / file


def test_the_backends_own_pyproject_is_relative_to_itself(tmp_path: Path) -> None:
    root = make(tmp_path, "backend/start.py", "backend/lib/x.py", "package.json")
    make(root / "backend", pyproject='[tool.debugtool]\nentry = "start.py"\npaths = ["lib"]')
    assert find_entry(root) == root / "backend" / "start.py"
    assert source_roots(root, find_entry(root)) == [root / "backend", root / "backend" / "lib"]


def test_no_entry_point(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        find_entry(tmp_path)
    assert caught.value.why == f"There is no {tmp_path}/backend/main.py and no {tmp_path}/backend/__main__.py."


def test_several_entry_points(tmp_path: Path) -> None:
    root = make(tmp_path, "src/a/__main__.py", "src/b/__main__.py")
    with pytest.raises(Ambiguous) as caught:
        find_entry(root)
    assert caught.value.why == f"There are {root}/src/a/__main__.py and {root}/src/b/__main__.py."
    make(root, pyproject='[tool.debugtool]\nentry = "src/b"')
    assert find_entry(root) == root / "src" / "b" / "__main__.py"


@pytest.mark.parametrize("content", ["[tool", "[tool.debugtool]\nentry = 5", '[tool.debugtool]\nentry = ""'])
def test_a_broken_pyproject(tmp_path: Path, content: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(DebugtoolError) as caught:
        find_entry(tmp_path)
    assert str(tmp_path / "pyproject.toml") in caught.value.what
    assert caught.value.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    ("files", "roots"),
    [
        (["backend/main.py", "src/plugin.json", "src/module.ts"], ["backend"]),
        (["backend/__init__.py", "backend/__main__.py"], ["."]),
        (["backend/main.py", "src/plugin/__init__.py"], ["backend", "src"]),
        (["src/plugin/__init__.py", "src/plugin/__main__.py"], ["src"]),
        (["src/plugin/__main__.py"], ["src/plugin", "src"]),
        (["backend/main.py", "backend/src/helper.py", "src/plugin.json"], ["backend", "backend/src"]),
    ],
)
def test_where_the_users_own_modules_lie(tmp_path: Path, files: list[str], roots: list[str]) -> None:
    root = make(tmp_path, *files)
    assert source_roots(root, find_entry(root)) == [root / path for path in roots]


@pytest.mark.parametrize(
    ("paths", "exit_code"), [('["gone"]', ExitCode.NOT_FOUND), ('"lib"', ExitCode.FAILED), ("[5]", ExitCode.FAILED)]
)
def test_wrong_paths(tmp_path: Path, paths: str, exit_code: ExitCode) -> None:
    root = make(tmp_path, "backend/main.py", pyproject=f"[tool.debugtool]\npaths = {paths}")
    with pytest.raises(DebugtoolError) as caught:
        source_roots(root, find_entry(root))
    assert caught.value.exit_code is exit_code


def test_environments_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    root.mkdir()
    assert find_interpreter(root) == OWN
    conda, active = environment(tmp_path / "conda"), environment(tmp_path / "active")
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert find_interpreter(root) == conda
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert find_interpreter(root) == OWN
    assert find_interpreter(root, str(tmp_path / "gone")) == OWN
    assert find_interpreter(root, str(tmp_path / "active")) == active
    for name in ("backend/env", "backend/.venv", "env", "venv", ".venv"):
        assert find_interpreter(root, str(tmp_path / "active")) != root / name / "bin" / "python"
        assert environment(root / name) == find_interpreter(root, str(tmp_path / "active"))


def test_a_directory_that_is_only_called_env_is_none(tmp_path: Path) -> None:
    make(tmp_path, "env/bin/python")
    assert find_interpreter(tmp_path) == OWN


def test_a_broken_environment_is_the_projects_all_the_same(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python3")
    assert find_interpreter(tmp_path) == python


def test_a_uv_workspace_has_one_environment(tmp_path: Path) -> None:
    make(tmp_path, "uv.lock", pyproject='[tool.uv.workspace]\nmembers = ["plugins/*"]\nexclude = ["plugins/other"]')
    shared = environment(tmp_path / ".venv")
    for name, python in (("plugins/one", shared), ("plugins/other", OWN), ("elsewhere", OWN)):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        assert find_interpreter(tmp_path / name) == python
