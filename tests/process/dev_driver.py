"""`debugtool dev --json` on a new project, and the saves of an editor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attach_driver import DEADLINE_S, DEBUGTOOL, AttachSession, run_debugtool

UID = "my-datasource"
QUERY = {"from": "now-1h", "to": "now", "queries": [{"refId": "A", "datasource": {"uid": UID}}]}


def new_project(root: Path) -> Path:
    """Make a plugin project without a build."""
    directory = root / "my datasource"
    assert run_debugtool("new", "my-datasource", "--dir", directory).returncode == 0
    return directory


def save(path: Path, old: str, new: str) -> None:
    """Replace a text in a file as most editors do: beside, then renamed."""
    text = path.read_text()
    assert old in text
    beside = path.with_name(path.name + "~")
    beside.write_text(text.replace(old, new))
    beside.replace(path)


class DevSession(AttachSession):
    """A running `debugtool dev`."""

    def wait_any(self, *names: str) -> dict[str, Any]:
        """Wait for the next event of one of these names, `error` or not."""
        while True:
            event: dict[str, Any] = json.loads(self.lines.next())
            self.events.append(event)
            if event["event"] in names:
                return event

    def last(self, name: str) -> dict[str, Any]:
        """Give the last event of a name that was read."""
        return next(event for event in reversed(self.events) if event["event"] == name)

    @property
    def url(self) -> str:
        """Base URL of the embedded host's HTTP API."""
        if not any(event["event"] == "listening" for event in self.events):
            self.wait_any("listening")
        return str(self.last("listening")["url"])


@contextlib.contextmanager
def developing(directory: Path, *options: str) -> Iterator[DevSession]:
    """Run it for the length of the block; where the test has not ended it, SIGTERM does."""
    command = [str(DEBUGTOOL), "dev", str(directory), "--port", "0", "--http-port", "0", "--json", *options]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield DevSession(process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(DEADLINE_S)
                finally:
                    process.kill()


def family(pid: int) -> set[int]:
    """List all processes below one."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            with contextlib.suppress(FileNotFoundError):
                found |= {child} | family(child)
    return found


def wait_for_ends(pids: set[int]) -> None:
    """Wait until processes have ended, whoever collects them; fail if they do not."""
    from debugtool.system import wait_for_exit

    for pid in pids:
        assert wait_for_exit(pid, DEADLINE_S), f"pid {pid} still runs"


def kill(session: DevSession) -> None:
    """SIGKILL it."""
    os.kill(session.process.pid, signal.SIGKILL)
    session.process.wait(DEADLINE_S)
