"""Targets, attach sessions and the debugpy to compare with: started, spoken to, and always ended."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
TARGET = Path(__file__).with_name("target.py")
DEBUGTOOL = Path(sys.executable).with_name("debugtool")
VERSIONS = ("3.11", "3.12", "3.13")
LIMIT_S = 60.0


def find_pythons() -> dict[str, Path]:
    """Give the CPythons of this machine that targets run on: pyenv's and debugtool's own, by minor version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for version in VERSIONS:
        candidates = sorted((root / "versions").glob(f"{version}.*/bin/python3"))
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            candidates.append(Path(sys.base_prefix) / "bin" / "python3")
        if candidates:
            found[version] = candidates[-1]
    return found


def debugpy_for(version: str) -> Path:
    """Give a directory with the debugpy wheel made for that Python, in the version debugtool itself uses.

    Its compiled parts are for one Python only: a user of debugpy has those of his own.
    """
    release = importlib.metadata.version("debugpy")
    directory = CACHE / f"debugpy-{release}-{version}"
    if not directory.exists():
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        wanted = ["--python-version", version, "--target", str(directory), f"debugpy=={release}"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *wanted], check=True, timeout=300)
    return directory


def plugin_python(version: str, python: Path) -> Path:
    """Give an interpreter of that version that has what a plugin needs, in the versions debugtool itself has."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in ("grpcio", "protobuf", "pyarrow")]
    home = CACHE / f"plugin-{version}-{'-'.join(name.partition('==')[2] for name in wanted)}"
    ready = home / "ready"
    if not ready.exists():
        subprocess.run([python, "-m", "venv", home], check=True, timeout=300)
        options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        subprocess.run([home / "bin" / "python", "-m", "pip", "install", *options, *wanted], check=True, timeout=300)
        ready.touch()
    return home / "bin" / "python"


def environment(bytecode: Path) -> dict[str, str]:
    """Give our environment with compiled modules kept in a directory, so that nobody's installation is written to."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}


def read_line(process: subprocess.Popen[bytes], limit_s: float = LIMIT_S) -> str:
    """Read a line of a program whose pipes are not buffered here: select() knows nothing of what was read ahead.

    Raises:
        TimeoutError: It did not come in time, or the process ended.
    """
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], limit_s)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise TimeoutError(f"{process.args!r} said nothing within {limit_s:g} s, or ended")
    return line.decode()


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Kill a process at the end of the block, with what it started."""
    with process:
        try:
            yield process
        finally:
            family = []
            with contextlib.suppress(psutil.NoSuchProcess):
                family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


class Answering:
    """A process of ours that says one line when it is ready, and answers each line by one of JSON."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = read_line(process)

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        answer: dict[str, Any] = json.loads(read_line(self.process))
        return answer


class Running(Answering):
    """A running target.py."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self.said.split()[1])


@contextlib.contextmanager
def running_target(python: Path, bytecode: Path, *arguments: str) -> Iterator[Running]:
    """Run a target for the length of the block."""
    command = [str(python), "-u", str(TARGET), *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with ended(subprocess.Popen(command, env=environment(bytecode), bufsize=0, **pipes)) as process:
        yield Running(process)


class Session:
    """A running `debugtool attach --json`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def wait_for(self, name: str) -> dict[str, Any]:
        """Read its events up to one of that name.

        Raises:
            TimeoutError: It did not come, or the session ended.
            RuntimeError: It reported an error.
        """
        while True:
            event: dict[str, Any] = json.loads(read_line(self.process))
            if event["event"] == name:
                return event
            if event["event"] == "error":
                raise RuntimeError(f"{event['what']} {event['why']}")

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(LIMIT_S)


@contextlib.contextmanager
def attached(pid: int, bytecode: Path, *options: str) -> Iterator[Session]:
    """Run `debugtool attach` for the length of the block."""
    command = [str(DEBUGTOOL), "attach", "--pid", str(pid), "--port", "0", "--no-launch-json", "--json", *options]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment(bytecode), bufsize=0, **pipes) as process:
        try:
            yield Session(process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(LIMIT_S)
                finally:
                    process.kill()


def free_port() -> int:
    """Give a port that was free a moment ago, for a tool that cannot say which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_listener(port: int, command: subprocess.Popen[bytes], limit_s: float = LIMIT_S) -> None:
    """Wait until somebody listens on a port, without connecting: debugpy 1.8 serves nobody after such a probe.

    Raises:
        TimeoutError: Nobody does in time.
        RuntimeError: The command failed.
    """
    wanted = f" 0100007F:{port:04X} 00000000:0000 0A "
    deadline = time.monotonic() + limit_s
    while wanted not in Path("/proc/net/tcp").read_text():
        if command.poll():
            raise RuntimeError(f"{command.args!r} ended with {command.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens on port {port} after {limit_s:g} s")
        time.sleep(0.002)


def breakpoint_line(source: Path) -> int:
    """Give the line of the breakpoint in one of our files."""
    lines: Sequence[str] = source.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith("# BREAKPOINT"))
