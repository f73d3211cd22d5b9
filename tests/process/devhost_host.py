"""What the tests of `debugtool run` share: a project laid out for it, and the host running as a process."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEBUGTOOL = Path(sys.executable).parent / "debugtool"
TARGETS = Path(__file__).parent.parent / "targets"
PLUGIN_ID = "acme-sample-datasource"
WAIT_S = 30.0

BARE_PYTHON = f"#!{sys.executable} -IS\n"  # starts in 15 ms; knows the standard library only


def make_project(root: Path, program: str | bytes | None, **manifest: object) -> Path:
    """Lay out a plugin project whose executable is `program` (text is made a Python script); give the executable."""
    dist = root / "dist"
    dist.mkdir(parents=True, exist_ok=True)
    described: dict[str, object] = {"id": PLUGIN_ID, "type": "datasource", "name": "Sample", "backend": True}
    described |= {"executable": "sample-datasource", "info": {"version": "1.2.3"}} | manifest
    (dist / "plugin.json").write_text(json.dumps(described))
    executable = dist / "sample-datasource_linux_amd64"
    if program is not None:
        write_program(executable, program)
    return executable


def write_program(executable: Path, program: str | bytes) -> None:
    """Put a program in place as a build does: beside, then renamed."""
    if isinstance(program, str):
        program = program.encode()
    if program[:2] not in (b"#!", b"\x7fE"):
        program = BARE_PYTHON.encode() + program
    beside = executable.with_suffix(".new")
    beside.write_bytes(program)
    beside.chmod(stat.S_IRWXU)
    beside.rename(executable)


def run_target(name: str, *arguments: str) -> str:
    """Give the text of a program that runs one of tests/targets with our interpreter."""
    return (
        f"#!{sys.executable}\nimport runpy, sys\nsys.argv[1:] = {list(arguments)!r}\n"
        f"runpy.run_path({str(TARGETS / name)!r}, run_name='__main__')\n"
    )


@dataclass
class RunningHost:
    """`debugtool run --json` as a process, and the events it printed."""

    process: subprocess.Popen[bytes]
    events: list[dict[str, Any]] = field(default_factory=list)
    _arrived: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)
    stderr: bytes = b""

    def read(self) -> None:
        """Read events until the end of stdout (runs in a thread)."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def read_stderr(self) -> None:
        """Read stderr until its end (runs in a thread)."""
        assert self.process.stderr is not None
        self.stderr = self.process.stderr.read()

    def wait_event(self, name: str, **wanted: object) -> dict[str, Any]:
        """Wait for the next event of a name whose fields are as wanted; events before it are kept in `events`."""
        deadline = time.monotonic() + WAIT_S
        while True:
            event = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            assert event is not None, f"the host ended without {name}: {self.events}"
            self.events.append(event)
            if event["event"] == name and all(event.get(key) == value for key, value in wanted.items()):
                return event

    def wait_log(self, part: str) -> dict[str, Any]:
        """Wait for a log line that contains a text."""
        while True:
            event = self.wait_event("log")
            if part in event["message"]:
                return event

    def drain(self) -> list[dict[str, Any]]:
        """Take the events that are left, until the host has ended."""
        while (event := self._arrived.get(timeout=WAIT_S)) is not None:
            self.events.append(event)
        return self.events

    @property
    def url(self) -> str:
        """Base URL of the HTTP API; waits for it."""
        for event in self.events:
            if event["event"] == "listening":
                return str(event["url"])
        return str(self.wait_event("listening")["url"])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the host's end; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


@contextlib.contextmanager
def running_host(project: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningHost]:
    """Run `debugtool run PROJECT --port 0 --json`; whatever happens, neither it nor its plugin outlives the block."""
    process = subprocess.Popen(
        [DEBUGTOOL, "run", project, "--port", "0", "--json", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ) if environment is None else dict(environment),
        start_new_session=True,
    )
    host = RunningHost(process)
    threads = [threading.Thread(target=work) for work in (host.read, host.read_stderr)]
    for thread in threads:
        thread.start()
    try:
        yield host
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: the host and its plugin, nobody else
                process.wait()
        for thread in threads:
            thread.join(WAIT_S)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def call(
    url: str, body: object = None, *, method: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """Send an HTTP request; gives status, headers and body whatever the status."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.status, dict(answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers.items()), error.read()


def call_json(url: str, body: object = None, **options: Any) -> tuple[int, Any]:
    """Send an HTTP request; gives status and JSON body."""
    status, _, answer = call(url, body, **options)
    return status, json.loads(answer)


def is_running(pid: int) -> bool:
    """Whether a process lives: there, and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
