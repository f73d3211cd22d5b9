"""How many queries a second the Python runtime answers, and how late the slowest hundredth is, beside the Go SDK."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Row, Table, percentile, say
from benchmarks.processes import CACHE, LIMIT_S, ROOT, ended, read_line
from debugtool.devhost.environment import plugin_environment
from debugtool.devhost.handshake import grpc_target, parse_handshake

Command = Sequence[str | Path]

ROUNDS = 3
REQUESTS = 800
CALLERS = (1, 8)
_HERE = Path(__file__).parent
_GO_BUILD_S = 600


def build_go_plugin() -> Path:
    """Build the plugin on the Go SDK; seconds when it was built before.

    Raises:
        RuntimeError: There is no Go.
    """
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("handlers: the Go SDK's plugin needs Go: sudo apt-get install golang-go")
    program = CACHE / "sdkplugin"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-o", str(program), "./cmd/sdkplugin"]
    subprocess.run(command, cwd=ROOT / "tests" / "gohost", check=True, timeout=_GO_BUILD_S)
    return program


@contextlib.contextmanager
def serving(command: Command) -> Iterator[str]:
    """Run a plugin as Grafana does; give the address that gRPC dials."""
    variables = plugin_environment(os.environ)
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=variables, bufsize=0, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet)
    with ended(process):
        yield grpc_target(parse_handshake(read_line(process)).grpc_address)


def measure_once(table: Table, name: str, command: Command) -> None:
    """Start a plugin afresh and call it from one thread, then from several."""
    with serving(command) as address:
        for callers in CALLERS:
            caller: Command = [sys.executable, _HERE / "caller.py", address, str(callers), str(REQUESTS)]
            done = subprocess.run(caller, check=True, capture_output=True, text=True, timeout=LIMIT_S)
            seen = json.loads(done.stdout)
            latencies = seen["latencies_ms"]
            table.add(f"{name} {callers} rate", len(latencies) / seen["elapsed_s"])
            table.add(f"{name} {callers} p99", percentile(latencies, 0.99))


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure the runtimes in turn."""
    plugin: Command = [sys.executable, _HERE / "rows_plugin.py"]
    runtimes: dict[str, Command] = {"lists": plugin, "numpy": [*plugin, "numpy"], "go": [build_go_plugin()]}
    table = Table()
    for turn in range(1, rounds + 1):
        say(f"handlers: round {turn} of {rounds}")
        for name, command in runtimes.items():
            measure_once(table, name, command)
    rows = []
    for callers in CALLERS:
        who = f"{callers} caller{'s' if callers > 1 else ''}"
        for name in ("lists", "numpy"):
            rows += [
                Row(
                    f"{what}, {who}, {name}",
                    unit,
                    table[f"{name} {callers} {key}"],
                    "Go SDK",
                    table[f"go {callers} {key}"],
                )
                for what, unit, key in (("queries a second", "1/s", "rate"), ("slowest 1 %", "ms", "p99"))
            ]
    return rows
