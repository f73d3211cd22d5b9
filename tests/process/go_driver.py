"""A plugin on Grafana's Go SDK, built for debugging, under the genuine host and `debugtool attach`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from attach_driver import ROOT, AttachSession, attached
from dap_client import DapClient, Message
from gohost_driver import Answer, GoHost, queries

MODULE = ROOT / "tests" / "gohost"
SOURCE = MODULE / "cmd" / "sdkplugin" / "main.go"
BREAK_LINE = next(n for n, text in enumerate(SOURCE.read_text().splitlines(), 1) if "times := make" in text)
BUILD_LIMIT_S = 600
GO_TOOLS = ROOT / ".cache" / "go" / "bin"  # where scripts/get-delve puts the delve that is tested with


def delve_environment() -> dict[str, str]:
    """Give the environment with our delve first on the PATH."""
    return {**os.environ, "PATH": f"{GO_TOOLS}{os.pathsep}{os.environ['PATH']}"}


def find_dlv() -> str:
    """Find that delve; none is an error in CI."""
    dlv = shutil.which("dlv", path=delve_environment()["PATH"])
    if dlv is None:
        pytest.skip("no delve: scripts/get-delve .cache/go/bin")
    return dlv


def build_plugin(name: str, *flags: str, package: str = "./cmd/sdkplugin") -> Path:
    """Build a program of tests/gohost with flags."""
    program = ROOT / ".cache" / "gohost" / name
    command = ["go", "build", *flags, "-o", str(program), package]
    environment = {**os.environ, "CGO_ENABLED": "0"}  # as debugtool builds: what is compiled serves both
    built = subprocess.run(
        command, cwd=MODULE, env=environment, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
    )
    assert built.returncode == 0, built.stderr
    return program


def delves_on(pid: int) -> list[int]:
    """List the processes that are a delve, its guard, or the shell that waits for the guard's end, for a process."""
    found = []
    for process in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        words = words_of(process)
        if str(pid).encode() in words and any(b"GUARD" in w or is_guard(w) or w.endswith(b"dlv") for w in words):
            found.append(process)
    return found


def is_guard(word: bytes) -> bool:
    """Tell a guard by a word of its command line."""
    return word == b"delve_guard.py"


def guards_on(pid: int) -> list[int]:
    """List the guards of a delve for a process."""
    return [found for found in delves_on(pid) if any(map(is_guard, words_of(found)))]


def words_of(pid: int) -> list[bytes]:
    """Give the command line of a process, nothing when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def tracer(pid: int) -> int:
    """Give what traces a process, 0 for nothing."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("TracerPid")))


@dataclass
class GoScene:
    """A Go plugin with a host, and a session on it."""

    host: GoHost
    session: AttachSession

    @property
    def pid(self) -> int:
        return self.host.pid

    def ask(self) -> int:
        """Have the plugin asked for data; give the number of the question."""
        return self.host.send("QueryData", queries(), **{"async": True})

    def assert_answer(self, question: int | None = None) -> None:
        """Fail unless the plugin answers."""
        answer: Answer = self.host.answer(self.ask() if question is None else question)
        assert answer["ok"] and answer["reply"]["responses"]["A"], answer

    def assert_free(self, timeout_s: float = 30.0) -> None:
        """Fail unless the plugin is let go in time, serves, and nothing of delve is left."""
        deadline = time.monotonic() + timeout_s
        while (left := delves_on(self.pid)) or tracer(self.pid):
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        self.assert_answer()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[tuple[DapClient, Message, int]]:
        """Have an editor stop the plugin at BREAK_LINE; gives it, the stop and the question that waits."""
        with DapClient(self.session.port) as editor:
            editor.attach({SOURCE: [BREAK_LINE]})
            question = self.ask()
            stop = editor.wait_for_stop()
            assert stop["reason"] == "breakpoint", stop
            yield editor, stop, question


@contextlib.contextmanager
def debugging_go(host: GoHost, *arguments: str, **environment: str) -> Iterator[GoScene]:
    """Attach to a host's plugin for the length of the block; `environment` is added to the session's."""
    with attached("--pid", host.pid, *arguments, env={**delve_environment(), **environment}) as session:
        yield GoScene(host, session)
