"""A plugin as its users have it, for the benchmarks: a project, its embedded host, and the load on it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import say
from benchmarks.processes import DEBUGTOOL, LIMIT_S, ROOT, Answering, Session, environment, read_line
from debugtool.devhost.handshake import grpc_target
from debugtool.plugin.agent import paths

RESTART_POLL_S = "0.05"
"""How often the host looks after its plugin. Grafana does so once a second, which would only add chance."""

BREAKPOINT = "# BREAKPOINT"
_LOAD_CLIENT = Path(__file__).with_name("load_client.py")


@dataclass(frozen=True)
class Place:
    """Where processes run: with a directory for temporary files and sessions that nobody else has.

    Attributes:
        directory: For temporary files, and for all the benchmark makes.
        command: What stands before a command that runs there.
    """

    directory: Path
    command: Sequence[str] = ()

    @property
    def temporary(self) -> Path:
        """Give the TMPDIR of what runs there."""
        return self.directory / "tmp"

    def environment(self) -> dict[str, str]:
        """Give the environment of what runs there: compiled modules are kept, as on every user's machine."""
        return {**environment(self.directory / "bytecode"), "TMPDIR": str(self.temporary)}


@contextlib.contextmanager
def own_place(directory: Path) -> Iterator[Place]:
    """Make a place for the length of the block.

    Root has a mount namespace for it, in which the user's runtime directory is empty; others have to see to it that
    no other session of theirs begins or ends meanwhile.
    """
    (directory / "tmp").mkdir()
    if os.geteuid() != 0:
        yield Place(directory)
        return
    runtime = paths.make_runtime_dir(0)
    holder = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o mode=700 own {runtime} && echo ready && exec cat"]
    with subprocess.Popen(holder, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            read_line(process)
            yield Place(directory, ["nsenter", "--mount", "--wdns=.", "--target", str(process.pid)])
        finally:
            process.kill()


@contextlib.contextmanager
def running(place: Place, *arguments: str | Path) -> Iterator[Session]:
    """Run a long-running `debugtool ... --json` in a place for the length of the block; SIGTERM ends it."""
    command = [*place.command, DEBUGTOOL, *arguments, "--json"]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=place.environment(), cwd=place.directory, bufsize=0, **pipes) as process:
        session = Session(process)
        try:
            yield session
        finally:
            if process.poll() is None:
                try:
                    session.stop()
                finally:
                    process.kill()


@contextlib.contextmanager
def hosting(place: Place, project: Path) -> Iterator[Session]:
    """Run the embedded host for the length of the block; its first event to wait for is `started`."""
    temporary = f"TMPDIR={place.temporary}"
    options = ["--port", "0", "--restart-poll", RESTART_POLL_S, "--log-level", "error", "--env", temporary]
    with running(place, "run", project, *options) as host:
        yield host


@contextlib.contextmanager
def session_on(place: Place, pid: int, *options: str) -> Iterator[Session]:
    """Run `debugtool attach` for the length of the block."""
    with running(place, "attach", "--pid", str(pid), "--port", "0", "--no-launch-json", *options) as session:
        yield session


def make_project(directory: Path, *build: str, runtime: str = "python") -> Path:
    """Make the data source of `debugtool new` and build it; one that is queried with `{"stop": true}` runs into a line.

    Args:
        directory: Where the project's directory is made.
        build: Options of `debugtool build`.
        runtime: `python` or `go`; Go's has no such line.
    """
    project = directory / "bench-datasource"
    new = ["new", project.name, "--dir", str(project), "--runtime", runtime]
    for command in (new, ["build", *build, str(project)]):
        if command[0] == "build" and runtime == "python":
            _add_line(breakpoint_source(project))
        done = subprocess.run([DEBUGTOOL, *command], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            say(done.stderr)
        done.check_returncode()
    return project


def breakpoint_source(project: Path) -> Path:
    """Give the file of a Python project in which the line is."""
    return project / "backend" / "datasource" / "query.py"


def _add_line(source: Path) -> None:
    lines = source.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.lstrip().startswith("amplitude ="))
    lines[at:at] = ['    if query.json.get("stop"):', f"        amplitude = 1.0  {BREAKPOINT}"]
    source.write_text("\n".join(lines) + "\n")


class Load(Answering):
    """A running load_client.py."""


@contextlib.contextmanager
def loaded(address: str, rate: float, rows: int) -> Iterator[Load]:
    """Query a plugin for the length of the block.

    Args:
        address: As the host's `started` event and `debugtool ps` give it.
        rate: Queries a second; 0 for as many as it answers.
        rows: Of each answer.
    """
    command: list[str | Path] = [sys.executable, _LOAD_CLIENT, grpc_target(address), str(rate), str(rows)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    with subprocess.Popen(command, env=variables, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Load(process)
        finally:
            process.kill()
            process.wait(LIMIT_S)
