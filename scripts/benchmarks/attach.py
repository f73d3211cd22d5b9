"""How long an attach takes, and how long the target's other threads stand still for it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dap_client import DapClient

from benchmarks import attach_go
from benchmarks.measure import Row, Samples, Table, say
from benchmarks.processes import (
    ROOT,
    Running,
    attached,
    debugpy_for,
    ended,
    environment,
    find_pythons,
    free_port,
    running_target,
    wait_for_listener,
)

ROUNDS = 5
_WAIT_S = 60.0
HANGS = 3
_PEER = "debugpy --listen --pid"

Tool = Callable[[Running, Path], tuple[float, float]]
"""Attaches to a target; gives the ms until `initialize` was answered, and the target's longest gap in ms."""


def by_debugtool(running: Running, bytecode: Path, *, method: str) -> tuple[float, float]:
    """Attach with debugtool, see Tool."""
    running.ask("watch")
    began = time.perf_counter()
    with attached(running.pid, bytecode, "--method", method) as session:
        with DapClient(session.wait_for("ready")["port"]) as editor:
            editor.initialize()
            elapsed_ms = (time.perf_counter() - began) * 1000
            gap_ms = float(running.ask("gap")["gap_ms"])
        session.stop()
    return elapsed_ms, gap_ms


def by_debugpy(running: Running, bytecode: Path, *, python: Path, debugpy: Path) -> tuple[float, float]:
    """Attach with debugpy's own --pid, with the target's own Python and the debugpy made for it; see Tool."""
    port = free_port()
    command = [str(python), "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "--pid", str(running.pid)]
    variables = {**environment(bytecode), "PYTHONPATH": str(debugpy)}
    quiet = subprocess.DEVNULL
    running.ask("watch")
    began = time.perf_counter()
    with ended(subprocess.Popen(command, env=variables, stdin=quiet, stdout=quiet, stderr=quiet)) as process:
        wait_for_listener(port, process)
        with DapClient(port, timeout_s=_WAIT_S) as editor:
            editor.initialize()
            elapsed_ms = (time.perf_counter() - began) * 1000
            process.wait(_WAIT_S)  # it is still at work in the target when its adapter answers already
            return elapsed_ms, float(running.ask("gap")["gap_ms"])


def untouched_gap(running: Running, length_ms: float) -> float:
    """Give the longest gap of a target that nobody touches, in as long a time: the noise of the machine."""
    running.ask("watch")
    time.sleep(length_ms / 1000)
    return float(running.ask("gap")["gap_ms"])


def measure_once(tool: Tool, python: Path, bytecode: Path, extra: Sequence[str], patience: int) -> tuple[float, float]:
    """Attach to a fresh target, see Tool; where the tool hangs, as debugpy does now and then, to another one."""
    try:
        with running_target(python, bytecode, "--ticker", *extra) as running:
            return tool(running, bytecode)
    except (TimeoutError, subprocess.TimeoutExpired):
        if not patience:
            raise
    say(f"attach: {_PEER} has not come to its end in {_WAIT_S:g} s; once more")
    return measure_once(tool, python, bytecode, extra, patience - 1)


def measure_version(version: str, python: Path, rounds: int) -> list[Row]:
    """Measure one Python; a fresh target each time, the tools in turn."""
    tools: dict[str, Tool] = {
        "ptrace": partial(by_debugtool, method="ptrace"),
        "agent": partial(by_debugtool, method="agent"),
        "debugpy": partial(by_debugpy, python=python, debugpy=debugpy_for(version)),
    }
    table = Table()
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        for turn in range(rounds + 1):
            say(f"attach: Python {version}, {f'round {turn} of {rounds}' if turn else 'first attach'}")
            for name, tool in tools.items():
                bytecode = Path(directory, name)  # its own, so that each has a first time
                extra = ["--agent", str(ROOT)] if name == "agent" else []
                elapsed_ms, gap_ms = measure_once(
                    tool, python, bytecode, extra, patience=HANGS if name == "debugpy" else 0
                )
                table.add(f"{name} {'ms' if turn else 'first ms'}", elapsed_ms)
                table.add(f"{name} {'gap' if turn else 'first gap'}", gap_ms)
                if turn and name != "agent":
                    with running_target(python, bytecode, "--ticker") as running:
                        table.add(f"{name} floor", untouched_gap(running, elapsed_ms))
    return rows_of(version, table)


def rows_of(version: str, table: Table) -> list[Row]:
    """Put the samples of one Python beside each other."""
    peer, stall = table["debugpy ms"], table["debugpy gap"]
    first: Samples = table["debugpy first ms"]
    return [
        Row(f"{version} attach, --method ptrace", "ms", table["ptrace ms"], _PEER, peer, at_most=0.25),
        Row(f"{version} attach, --method agent", "ms", table["agent ms"], _PEER, peer, at_most=0.25),
        Row(f"{version} first attach, nothing compiled", "ms", table["ptrace first ms"], _PEER, first),
        Row(f"{version} longest stall, --method ptrace", "ms", table["ptrace gap"], _PEER, stall, 0.03, 15),
        Row(f"{version} longest stall, --method agent", "ms", table["agent gap"], _PEER, stall, 0.03, 15),
        Row(
            f"{version} longest stall, first attach", "ms", table["ptrace first gap"], _PEER, table["debugpy first gap"]
        ),
        Row(
            f"{version} longest gap untouched meanwhile",
            "ms",
            table["ptrace floor"],
            "as long as debugpy",
            table["debugpy floor"],
        ),
    ]


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure every Python of this machine, and Go."""
    rows = [row for version, python in find_pythons().items() for row in measure_version(version, python, rounds)]
    return rows + attach_go.run(rounds)
