"""tests/targets/frozen as PyInstaller programs: built once, run, asked, and looked at for traces of the debugger."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attach_driver import AttachSession, Lines, find_pythons, run_debugtool
from build_lock import build_lock
from dap_client import DapClient, Message

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests" / "targets" / "frozen"
BACKEND = PROJECT / "backend"
MAIN, TOOLS, PACKAGE = BACKEND / "main.py", BACKEND / "tools.py", BACKEND / "shop" / "__init__.py"
ORDERS = BACKEND / "shop" / "orders.py"
CACHE = (ROOT / ".cache" / "frozen").resolve()  # .cache may be a link, shared by several working copies
NEWEST = "6.22.3"
NAME = "gpx_python_shop_linux_amd64"  # with `python` in it, which is what pydevd takes interpreters by
_BUILD_S = 300


def frozen_program(*options: str, version: str = "", pyinstaller: str = NEWEST) -> Path:
    """Freeze the project with plain PyInstaller; what was built from the same sources before is used again.

    Args:
        options: More of PyInstaller's command line, such as `--onefile`.
        version: Of the CPython to freeze with, such as "3.8"; that of the tests by default.
        pyinstaller: PyInstaller's version.

    Returns:
        The executable.
    """
    python = cpython(version)
    release = python.parents[1].name
    mark = _mark(_sources(PROJECT), options, pyinstaller, release)

    def fill(beside: Path) -> None:
        command: list[str | Path] = [
            python,
            "-m",
            "PyInstaller",
            "--noconfirm",
            "--log-level",
            "ERROR",
            "--name",
            NAME,
            *options,
            MAIN,
        ]
        _run(command, beside, PYTHONPATH=str(_pyinstaller(python, pyinstaller)))
        shutil.rmtree(beside / "build")

    program = _made_once(CACHE / f"{release}-{mark}", fill) / "dist" / NAME
    return program if program.is_file() else program / NAME


def built_project(*options: str, version: str = "") -> Path:
    """Have `debugtool build` freeze the project in an environment of its own; what was built before is used again.

    Args:
        options: Of `debugtool build`.
        version: As for `frozen_program`.

    Returns:
        A project like `PROJECT`, built.
    """
    python = cpython(version)
    release = python.parents[1].name
    ours = b"".join(map(_sources, (ROOT / "debugtool" / "builds", ROOT / "debugtool" / "plugin" / "agent")))
    mark = _mark(_sources(PROJECT) + ours, options, release)

    def fill(beside: Path) -> None:
        shutil.copytree(PROJECT, beside, dirs_exist_ok=True)
        _run([python, "-m", "venv", "--without-pip", beside / ".venv"], beside)
        done = run_debugtool("build", "--no-verify", *options, cwd=beside, env=build_environment())
        assert done.returncode == 0, done.stderr
        shutil.rmtree(beside / "build")

    return _made_once(CACHE / f"built-{release}-{mark}", fill)


def build_environment() -> dict[str, str]:
    """Give the environment for `debugtool build`: the PyInstaller that it brings along is kept with the programs."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {**kept, "XDG_CACHE_HOME": str(CACHE)}


def cpython(version: str = "") -> Path:
    """Find a CPython of this machine by its minor version; that of the tests by default."""
    if not version:
        return Path(sys.base_prefix) / "bin" / "python3"
    known = [path for path in find_pythons() if path.parents[1].name.startswith(f"{version}.")]
    if not known:
        pytest.skip(f"no CPython {version}")
    return known[0]


def _sources(directory: Path) -> bytes:
    wanted = [path for path in sorted(directory.rglob("*")) if path.suffix in (".py", ".tmpl")]
    return b"".join(path.read_bytes() for path in wanted)


def _mark(content: bytes, *facts: object) -> str:
    return hashlib.sha256(repr(facts).encode() + content).hexdigest()[:12]


def _made_once(home: Path, fill: Callable[[Path], None]) -> Path:
    """Make a directory unless it is there: beside, then renamed, and by one of several runs of the tests only."""
    with build_lock(home):
        if not home.exists():
            beside = Path(tempfile.mkdtemp(dir=home.parent))
            fill(beside)
            beside.chmod(0o755)
            beside.rename(home)
    return home


def _run(command: Sequence[str | Path], directory: Path, **variables: str) -> None:
    done = subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _pyinstaller(python: Path, version: str) -> Path:
    """Install PyInstaller for a CPython into a directory of its own, once."""

    def fill(beside: Path) -> None:
        _run([python, "-m", "pip", "install", "--quiet", "--target", beside, f"pyinstaller=={version}"], beside)

    return _made_once(CACHE / f"pyinstaller-{version}-{python.parents[1].name}", fill)


class Frozen:
    """A running frozen program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        self.pid = int(self.lines.next().split()[1])
        self._calls = 0

    def begin(self, function: str, argument: object = None) -> None:
        """Have a function called, without waiting for its result."""
        assert self.process.stdin is not None
        self._calls += 1
        self.process.stdin.write(f"{self._calls} {function} {json.dumps(argument)}\n")
        self.process.stdin.flush()

    def result(self) -> Any:
        """Wait for the result of the last call; nothing else may be on its stdout."""
        call, result = json.loads(self.lines.next())
        assert call == self._calls
        return result

    def call(self, function: str, argument: object = None) -> Any:
        """Have a function called and give its result."""
        self.begin(function, argument)
        return self.result()

    def wait_until_as(self, before: Any) -> None:
        """Wait until no more of a debugger is in it than there was."""
        deadline = time.monotonic() + 10
        while (now := self.call("traces")) != before:
            assert time.monotonic() < deadline, now


@contextlib.contextmanager
def running_frozen(program: Path, command: Sequence[str | Path] = (), **popen: Any) -> Iterator[Frozen]:
    """Run a frozen program for the length of the block, in an empty environment, and end it.

    Args:
        program: Its executable.
        command: What stands before it, such as setpriv.
        popen: More arguments for Popen.
    """
    popen = {"cwd": "/", "env": {}, **popen}
    with subprocess.Popen(
        [*command, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    ) as process:
        try:
            target = Frozen(process)
            yield target
        finally:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()  # it ends by itself then, and a onefile program's parent removes its directory
            try:
                process.wait(20)
            finally:
                process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def line_of(mark: str, path: Path) -> int:
    """Find the line of a source that ends with `# MARK`."""
    lines = path.read_text().splitlines()
    return next(number for number, text in enumerate(lines, 1) if text.endswith(f"# {mark}"))


@contextlib.contextmanager
def editing(
    session: AttachSession, marks: dict[str, Path], *, leaves: bool = True, **arguments: Any
) -> Iterator[DapClient]:
    """Attach an editor with breakpoints at marks for the length of the block.

    Args:
        session: A running `debugtool attach`.
        marks: For each mark its source.
        leaves: Whether it leaves as by Stop at the end.
        arguments: Of DapClient.attach.
    """
    points: dict[str | Path, list[int]] = {}
    for mark, path in marks.items():
        points.setdefault(path, []).append(line_of(mark, path))
    with DapClient(session.port) as editor:
        verified = editor.attach(points, **arguments)  # type: ignore[arg-type]
        assert all(point["verified"] for found in verified.values() for point in found), verified
        yield editor
        if leaves:
            editor.disconnect()


def stop_at(editor: DapClient, mark: str, path: Path, reason: str = "breakpoint") -> Message:
    """Wait for a stop at a mark; give the thread's innermost frame, with `threadId` in it."""
    stopped = editor.wait_for_stop()
    assert stopped["reason"] == reason, stopped
    frame = editor.stack(stopped["threadId"])[0]
    assert (frame["source"]["path"], frame["line"]) == (str(path), line_of(mark, path))
    assert not frame["source"].get("sourceReference")  # the editor opens its own file
    return {**frame, "threadId": stopped["threadId"]}
