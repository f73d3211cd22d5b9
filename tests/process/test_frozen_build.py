"""`debugtool build` of a small plugin: what is in dist/, and that it stays whole whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attach_driver import DEADLINE_S, DEBUGTOOL, Lines, run_debugtool
from devhost_host import is_running
from frozen_driver import build_environment, cpython

from debugtool.system import BUILD_FAULT_POINTS, elf_sections

NAME = "gpx_small_linux_amd64"
# Prints the handshake, then answers each line on stdin: with what it says of itself, or what a late import gives.
MAIN = """\
import json, sys
from small import VERSION

def serve():
    print("1|2|unix|/tmp/nobody.sock|grpc", flush=True)
    for line in sys.stdin:
        if line == "late\\n":
            import small.late
        assert line != "assert\\n"
        print(json.dumps([VERSION, serve.__code__.co_filename, sorted(sys.modules)]), flush=True)

if __name__ == "__main__":
    serve()
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_project(root: Path) -> Path:
    """A nested plugin of an app, in an environment without debugtool and PyInstaller."""
    write(root / "src" / "plugin.json", '{"id": "acme-app", "type": "app"}')
    name_program(root, "../gpx_small")
    write(root / "backend" / "main.py", MAIN)
    write(root / "backend" / "small" / "late.py", "LATE = 1\n")
    write(root / "backend" / "small" / "notes.txt", "taken along")
    name_version(root, "first")
    subprocess.run([cpython(), "-m", "venv", "--without-pip", root / ".venv"], check=True, timeout=DEADLINE_S)
    return root


def name_program(root: Path, executable: str) -> None:
    described = {"id": "acme-small-datasource", "type": "datasource", "backend": True, "executable": executable}
    write(root / "src" / "datasource" / "plugin.json", json.dumps(described))


def name_version(root: Path, version: str) -> None:
    write(root / "backend" / "small" / "__init__.py", f"VERSION = {version!r}\n")


def build(root: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_debugtool("build", *options, cwd=root, env={**build_environment(), **variables})


def built(root: Path, *options: str) -> dict[str, Any]:
    done = build(root, "--json", *options)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


class Small:
    """A running small plugin."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        assert self.lines.next().startswith("1|2|unix|")

    def ask(self, line: str = "") -> tuple[str, str, list[str]]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        version, name, modules = json.loads(self.lines.next())
        return version, name, modules


@contextlib.contextmanager
def running(root: Path, name: str = NAME) -> Iterator[Small]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([root / "dist" / name], cwd="/", env={}, text=True, **pipes) as process:
        try:
            yield Small(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # it ends by itself then, also behind the bootloader of a onefile program
            try:
                process.wait(DEADLINE_S)
            finally:
                process.kill()


def support_directories(root: Path) -> set[str]:
    return {path.name for path in (root / "dist").glob(f"{NAME}-*")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("small"))
    built(project, "--no-verify")
    return project


def test_a_release_is_optimised_stripped_and_tells_nobody_where_it_was_built(project: Path) -> None:
    document = built(project)
    assert document["start_ms"] > 0  # it was tried
    support = Path(document["support"])
    files = [path for path in support.rglob("*") if path.is_file()]
    assert [path for path in files if "agent" in path.name or "debugpy" in str(path)] == []
    assert (support / "small" / "notes.txt").read_text() == "taken along"
    assert not (support / "small" / "__init__.py").exists()
    for path in [project / "dist" / NAME, *files]:
        assert os.fsencode(project) not in path.read_bytes(), path
    (library,) = support.glob("libpython*")
    with library.open("rb") as file:
        assert ".symtab" not in elf_sections(file)
    with running(project) as plugin:
        version, name, modules = plugin.ask("assert")  # which is no longer in it
    assert (version, name) == ("first", "main.py")
    assert "setuptools" not in modules
    assert (project / "build" / "debugtool" / ".gitignore").read_text() == "*\n"
    assert Path(document["spec"]).is_file() and Path(document["log"]).is_file()


def test_a_plugin_that_runs_meanwhile_runs_on_from_its_own_files(project: Path) -> None:
    name_version(project, "before")
    write(project / "backend" / "small" / "late.py", "LATE = 1\n")
    before = built(project, "--no-verify")
    with running(project) as plugin:
        name_version(project, "after")
        write(project / "backend" / "small" / "late.py", "LATE = 1\nraise RuntimeError\n")
        after = built(project, "--no-verify")
        assert after["still_used"] == [before["support"]]
        assert plugin.ask("late")[0] == "before"  # the module that the new build cannot import
        with running(project) as other:
            assert other.ask()[0] == "after"
    write(project / "backend" / "small" / "late.py", "LATE = 1\n")
    last = built(project, "--no-verify")
    assert last["still_used"] == []
    assert support_directories(project) == {Path(last["support"]).name}


def test_sigkill_at_any_moment_leaves_a_whole_program(project: Path) -> None:
    name_version(project, "old")
    built(project, "--no-verify")
    for point in BUILD_FAULT_POINTS:
        name_version(project, point)
        assert build(project, "--no-verify", DEBUGTOOL_FAULT=point).returncode == -signal.SIGKILL
        with running(project) as plugin:
            assert plugin.ask("late")[0] == ("swapped" if point == "swapped" else "old"), point
    document = built(project, "--no-verify")
    assert support_directories(project) == {Path(document["support"]).name}
    assert list((project / "dist").glob(".*")) == []


def test_sigkill_while_pyinstaller_works_ends_that_too(project: Path) -> None:
    name_version(project, "old")
    built(project, "--no-verify")
    write(project / "backend" / "small" / "__init__.py", "VERSION = 'new'\nimport asyncio\n")  # a new analysis
    command: list[str | Path] = [DEBUGTOOL, "build", "--no-verify"]
    log = project / "build" / "debugtool" / f"{NAME}-release" / "pyinstaller.log"
    log.unlink()
    with subprocess.Popen(command, cwd=project, env=build_environment(), stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: log.is_file() and "Analyzing" in log.read_text())
        (pyinstaller,) = children(process.pid)
        process.kill()
    wait_for(lambda: not is_running(pyinstaller))
    with running(project) as plugin:
        assert plugin.ask("late")[0] == "old"
    built(project, "--no-verify")
    assert list((project / "dist").glob(".*")) == []


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_modules_that_are_missing_are_named_and_the_old_program_stays(project: Path) -> None:
    name_version(project, "old")
    built(project, "--no-verify")
    by_name = "VERSION = 'new'\nimport importlib\nimportlib.import_module('wave'[:2] + 've')\n"
    write(project / "backend" / "small" / "__init__.py", by_name)
    done = build(project)
    assert done.returncode == 1
    assert "No module named 'wave' in it" in done.stderr
    assert 'next: Add to pyproject.toml, in [tool.debugtool]: imports = ["wave"]' in done.stderr
    with running(project) as plugin:
        assert plugin.ask()[0] == "old"
    write(project / "pyproject.toml", '[tool.debugtool]\nimports = ["wave"]\n')
    built(project)
    (project / "pyproject.toml").unlink()
    write(project / "backend" / "small" / "__init__.py", "VERSION = 'new'\nimport nowhere\n")
    done = build(project)
    assert f"No module named 'nowhere': {project}/.venv/bin/python does not find it either." in done.stderr


def test_a_mistake_in_a_source_is_named_with_its_place(project: Path) -> None:
    write(project / "backend" / "small" / "__init__.py", "VERSION = 'new'\ndef wrong(:\n")
    done = build(project)
    assert done.returncode == 1
    log = project / "build" / "debugtool" / f"{NAME}-release" / "pyinstaller.log"
    assert done.stderr == (
        "Error: PyInstaller could not freeze the plugin (exit code 1).\n"
        f"  why:  {project}/backend/small/__init__.py, line 2: SyntaxError: invalid syntax\n"
        f"  next: Correct that; all that PyInstaller said is in {log}\n"
    )
    assert list((project / "dist").glob(".*")) == []


def test_what_cannot_be_built_is_refused(project: Path) -> None:
    name_version(project, "old")
    done = build(project, "--target", "linux/s390x")
    assert done.returncode == 7
    assert "for linux/s390x" in done.stderr and "Run debugtool build on linux/s390x" in done.stderr
    for options in (["--editable"], ["--debug", "--editable", "--onefile"]):
        assert build(project, *options).returncode == 2
    name_program(project, "../in_the_way")
    (project / "dist" / "in_the_way_linux_amd64").mkdir()
    done = build(project, "--no-verify")
    assert (done.returncode, "A directory of that name is in the way" in done.stderr) == (1, True)
    name_program(project, "../gpx_small")


def test_two_plugins_in_one_dist_and_a_onefile_program(project: Path) -> None:
    name_version(project, "one")
    one = built(project, "--no-verify")
    name_program(project, "../gpx_small_too")
    name_version(project, "two")
    two = built(project, "--no-verify", "--onefile")
    name_program(project, "../gpx_small")
    assert two["support"] is None
    with running(project) as first, running(project, "gpx_small_too_linux_amd64") as second:
        assert (first.ask()[0], second.ask()[0]) == ("one", "two")
    assert support_directories(project) == {Path(one["support"]).name}


def test_pyinstaller_is_brought_along_once_and_not_without_a_network(tmp_path: Path) -> None:
    projects = [make_project(tmp_path / name) for name in ("a", "b")]
    cache = tmp_path / "cache"
    environments = [sorted(project.glob(".venv/lib/*/site-packages/*")) for project in projects]
    nobody = {"XDG_CACHE_HOME": str(cache), "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    done = build(projects[0], **nobody, PIP_CONFIG_FILE=os.devnull, PIP_EXTRA_INDEX_URL="", PIP_FIND_LINKS="")
    python = projects[0] / ".venv" / "bin" / "python"
    assert done.returncode == 1
    assert f"Error: {python} has no PyInstaller, and none could be brought along.\n" in done.stderr
    assert done.stderr.endswith(
        f"  next: Install it when there is a network: {python} -m pip install 'pyinstaller>=6.16,<7'\n"
    )
    with ThreadPoolExecutor() as pool:
        for finished in pool.map(lambda project: build(project, "--no-verify", XDG_CACHE_HOME=str(cache)), projects):
            assert finished.returncode == 0, finished.stderr
    (home,) = [path for path in (cache / "debugtool").iterdir() if path.is_dir()]
    assert (home / "PyInstaller").is_dir()
    assert [sorted(project.glob(".venv/lib/*/site-packages/*")) for project in projects] == environments
