"""From a plugin's death to the debugger in its next process, beside what the host needs to start it without one."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from dap_client import DapClient

from benchmarks.hosted import Place, breakpoint_source, hosting, make_project, own_place, session_on
from benchmarks.measure import Row, Table, say
from benchmarks.overhead import Points
from benchmarks.processes import Session, breakpoint_line

ROUNDS = 5
_PEER = "the host's own restart"

KINDS = {
    "Python, debug build": ("python", ("--debug", "--editable"), True),
    "Python, release build": ("python", (), False),
    "Go, debug build": ("go", ("--debug",), False),
}
"""What is measured: the runtime, options of `debugtool build`, and whether no query may come first.

Go has no agent that could hold the plugin back. A release build is frozen, with nothing of a debugger in it.
"""


def restarted_ms(host: Session, pid: int) -> tuple[float, int]:
    """Kill a plugin that nobody debugs; give the ms until its host has its handshake again, and the next pid."""
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    again = host.wait_for("restarted")
    return (time.perf_counter() - began) * 1000, int(again["pid"])


def rearmed_ms(place: Place, host: Session, pid: int, points: Points, *, first: bool) -> tuple[float, int]:
    """Kill a plugin that an editor is connected to; give the ms until the session is in the next one, and its pid.

    Raises:
        RuntimeError: It is `first` that the session has to be, and queries could come before it.
    """
    with session_on(place, pid, "--no-pause") as session, DapClient(session.wait_for("ready")["port"]) as editor:
        editor.attach(points)
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        rearmed = session.wait_for("rearmed")
        elapsed_ms = (time.perf_counter() - began) * 1000
        host.wait_for("restarted")
        if first and not rearmed["before_first_request"]:
            raise RuntimeError(f"a query could come before the debugger: {rearmed}")
        editor.disconnect()
        session.stop()
    return elapsed_ms, int(rearmed["pid"])


def measure_kind(table: Table, kind: str, rounds: int) -> None:
    """Restart one kind of plugin with and without a session, in turn."""
    runtime, options, first = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        say(f"restart: building {kind}")
        project = make_project(Path(directory), *options, runtime=runtime)
        points: Points = {project / "pkg" / "plugin" / "datasource.go": []}
        if runtime == "python":
            points = {breakpoint_source(project): [breakpoint_line(breakpoint_source(project))]}
        with own_place(Path(directory)) as place, hosting(place, project) as host:
            pid = int(host.wait_for("started")["pid"])
            for turn in range(rounds + 1):
                say(f"restart: {kind}, {f'round {turn} of {rounds}' if turn else 'first one, not counted'}")
                own_ms, pid = restarted_ms(host, pid)
                elapsed_ms, pid = rearmed_ms(place, host, pid, points, first=first)
                if turn:
                    table.add(f"{kind} own", own_ms)
                    table.add(kind, elapsed_ms)


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure each kind; Go's only on a machine with Go and delve."""
    table = Table()
    for kind, (runtime, _, _) in KINDS.items():
        if runtime == "go" and not (shutil.which("go") and shutil.which("dlv")):
            say("restart: Go plugins are left out: they need go and dlv (scripts/get-delve)")
            continue
        measure_kind(table, kind, rounds)
    return [
        Row(f"killed to armed again, {kind}", "ms", table[kind], _PEER, peers, more=300)
        for kind in KINDS
        if (peers := table.find(f"{kind} own"))
    ]
