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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attach_driver import AttachSession, Lines, find_pythons
from build_lock import build_lock
from dap_client import DapClient, Message

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests" / "targets" / "frozen"
BACKEND = PROJECT / "backend"
MAIN, TOOLS, PACKAGE = BACKEND / "main.py", BACKEND / "tools.py", BACKEND / "shop" / "__init__.py"
ORDERS = BACKEND / "shop" / "orders.py"
CACHE = ROOT / ".cache" / "frozen"
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
    python = Path(sys.base_prefix) / "bin" / "python3"
    if version:
        known = [path for path in find_pythons() if path.parents[1].name.startswith(f"{version}.")]
        if not known:
            pytest.skip(f"no CPython {version}")
        python = known[0]
    version = python.parents[1].name
    sources = b"".join(path.read_bytes() for path in sorted(PROJECT.rglob("*.py")))
    mark = hashlib.sha256(repr((options, pyinstaller, version)).encode() + sources).hexdigest()[:12]
    home = CACHE / f"{version}-{mark}"
    with build_lock(home):
        if not home.exists():
            _freeze(python, pyinstaller, options, home)
    program = home / "dist" / NAME
    return program if program.is_file() else program / NAME


def _freeze(python: Path, pyinstaller: str, options: Sequence[str], home: Path) -> None:
    beside = Path(tempfile.mkdtemp(dir=home.parent))
    command = [python, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--name", NAME, *options, MAIN]
    environment = {**os.environ, "PYTHONPATH": str(_pyinstaller(python, pyinstaller))}
    done = subprocess.run(
        list(map(str, command)),
        cwd=beside,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(beside / "build")
    beside.chmod(0o755)
    beside.rename(home)


def _pyinstaller(python: Path, version: str) -> Path:
    """Install PyInstaller for a CPython into a directory of its own, once."""
    home = CACHE / f"pyinstaller-{version}-{python.parents[1].name}"
    with build_lock(home):
        if not home.exists():
            beside = Path(tempfile.mkdtemp(dir=home.parent))
            command = list(
                map(str, [python, "-m", "pip", "install", "--quiet", "--target", beside, f"pyinstaller=={version}"])
            )
            done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)
            assert done.returncode == 0, done.stderr
            beside.rename(home)
    return home


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
