"""How late a plugin answers under load, at 50 queries a second and at saturation, while a debugger is there or not.

The load comes from a second process with grpcio; the plugin is rows_plugin.py. Beside debugtool stand the plugin that
calls `debugpy.listen()` itself, for the attach `python -m debugpy --pid`, and for all the same plugin untouched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dap_client import DapClient

from benchmarks.hosted import Load, loaded
from benchmarks.measure import Row, Samples, Table, percentile, say
from benchmarks.overhead import ELSEWHERE, Points
from benchmarks.processes import (
    ROOT,
    attached,
    breakpoint_line,
    debugpy_for,
    ended,
    environment,
    find_pythons,
    free_port,
    plugin_python,
    read_line,
    wait_for_listener,
)
from debugtool.devhost.environment import plugin_environment
from debugtool.devhost.handshake import parse_handshake

ROUNDS = 2
WINDOW_S = 1.5
SETTLE_S = 0.3
ROWS = 1000
RATES = {"50/s": 50.0, "saturated": 0.0}
POINTS: Points = {ELSEWHERE: [breakpoint_line(ELSEWHERE)]}
_PLUGIN = Path(__file__).with_name("rows_plugin.py")
_LIMIT_S = 60.0
_PEER_S = 20.0

SHARES = {"p50": 0.5, "p99": 0.99}


@dataclass
class Subject:
    """A running plugin with the load on it, and the table that takes its latencies.

    Attributes:
        pid: The plugin's.
        load: The load.
        table: Named `WHO STATE RATE p50` and `... p99`, in ms.
        who: `ours`, `bare` or `pid`.
    """

    pid: int
    load: Load
    table: Table
    who: str

    def begin(self, rate: str) -> None:
        """Have that rate, and forget what was answered before."""
        self.load.ask(f"rate {RATES[rate]}")
        time.sleep(SETTLE_S)
        self.load.ask("tell")

    def note(self, state: str, rate: str) -> None:
        """Note the latencies since `begin`.

        Raises:
            RuntimeError: A query failed.
        """
        told = self.load.ask("tell")
        if told["failures"]:
            raise RuntimeError(f"{len(told['failures'])} queries failed, {self.who} {state}: {told['failures'][0]}")
        for name, share in SHARES.items():
            self.table.add(f"{self.who} {state} {rate} {name}", percentile(told["latencies_ms"], share))

    def window(self, state: str, rate: str) -> None:
        """Note the latencies of a while."""
        self.begin(rate)
        time.sleep(WINDOW_S)
        self.note(state, rate)


@contextlib.contextmanager
def queried(python: Path, bytecode: Path, table: Table, who: str, *arguments: str) -> Iterator[Subject]:
    """Run the plugin under load for the length of the block."""
    variables = {**plugin_environment(os.environ), **environment(bytecode), "PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [python, _PLUGIN, *arguments], env=variables, bufsize=0, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet
    )
    with ended(process):
        address = parse_handshake(read_line(process)).grpc_address
        with loaded(address, RATES["50/s"], ROWS) as load:
            yield Subject(process.pid, load, table, who)


def measure_debugtool(subject: Subject, bytecode: Path) -> None:
    """Take a plugin through the states of a session, under each load."""
    for rate in RATES:
        subject.window("untouched", rate)
    for rate in RATES:
        subject.begin(rate)
        with attached(subject.pid, bytecode, "--method", "ptrace", "--timeout", str(_LIMIT_S)) as session:
            port = session.wait_for("ready")["port"]
            subject.note("attach", rate)
            subject.window("armed", rate)
            with DapClient(port, timeout_s=_LIMIT_S) as editor:
                editor.attach(POINTS)
                subject.window("client", rate)
                editor.disconnect()
            session.stop()
        subject.window("left", rate)


def measure_listening(subject: Subject, port: int) -> None:
    """Take a plugin that called debugpy.listen() through the same."""
    for rate in RATES:
        subject.window("armed", rate)
    for rate in RATES:
        with DapClient(port, timeout_s=_LIMIT_S) as editor:
            editor.attach(POINTS)
            subject.window("client", rate)
            editor.disconnect()
        subject.window("left", rate)


def measure_injected(python: Path, bytecode: Path, table: Table, debugpy: Path, rate: str) -> None:
    """Have debugpy's own --pid attach to a fresh plugin; where it does not get in, that is counted."""
    with queried(python, bytecode, table, "pid") as subject:
        port = free_port()
        command = [str(python), "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "--pid", str(subject.pid)]
        variables = {**environment(bytecode), "PYTHONPATH": str(debugpy)}
        quiet = subprocess.DEVNULL
        subject.begin(rate)
        with ended(subprocess.Popen(command, env=variables, stdin=quiet, stdout=quiet, stderr=quiet)) as process:
            try:
                wait_for_listener(port, process, _PEER_S)
                process.wait(_PEER_S)
            except (TimeoutError, subprocess.TimeoutExpired):
                say(f"load: debugpy --pid is not done after {_PEER_S:g} s")
                table.add("not done", 1)
            else:
                subject.note("attach", rate)


def measure_version(version: str, python: Path, rounds: int) -> list[Row]:
    """Measure one Python; fresh plugins in each round, the tools in turn. The first attach compiles: not counted."""
    table, warm_up = Table(), Table()
    own, debugpy = plugin_python(version, python), debugpy_for(version)
    # an adapter that debugpy --pid leaves behind when it does not get in may still write its bytecode there
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-", ignore_cleanup_errors=True) as directory:
        bytecode = Path(directory)
        with queried(own, bytecode, warm_up, "ours") as subject, attached(subject.pid, bytecode) as session:
            session.wait_for("ready")
            session.stop()
        for turn in range(1, rounds + 1):
            say(f"load: Python {version}, round {turn} of {rounds}")
            with queried(own, bytecode, table, "ours") as subject:
                measure_debugtool(subject, bytecode)
            port = free_port()
            with queried(own, bytecode, table, "bare", "listen", str(debugpy), str(port)) as subject:
                measure_listening(subject, port)
            for rate in RATES:
                measure_injected(own, bytecode, table, debugpy, rate)
    return rows_of(version, table)


def rows_of(version: str, table: Table) -> list[Row]:
    """Put the latencies of one Python beside each other."""
    states = {
        "attach": ("during the attach", "pid", "debugpy --listen --pid"),
        "armed": ("armed, no client", "bare", "debugpy.listen()"),
        "client": ("client, breakpoint elsewhere", "bare", "debugpy.listen()"),
        "left": ("after detach", "bare", "debugpy.listen()"),
    }
    rows = []
    for rate in RATES:
        for state, (words, who, peer) in states.items():
            for share in SHARES:
                ours, name = table[f"ours {state} {rate} {share}"], f"{version} latency, {rate}, {words}, {share}"
                peers = table.find(f"{who} {state} {rate} {share}")
                if peers is not None and len(peers.values) < len(ours.values):
                    peers = None  # where debugpy --pid did not get in, there is nothing to compare with
                rows.append(Row(name, "ms", ours, peer if peers else "", peers))
                if share == "p50":
                    rows.append(Row(name, "ms", ours, "not attached", table[f"ours untouched {rate} {share}"]))
    late = table.find("not done")
    never = Samples([float(len(late.values)) if late else 0.0])
    rows.append(
        Row(
            f"{version} attaches under load not done after {_PEER_S:g} s",
            "",
            Samples([0.0]),
            states["attach"][2],
            never,
        )
    )
    return rows


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure every Python of this machine."""
    return [row for version, python in find_pythons().items() for row in measure_version(version, python, rounds)]
