"""How long the command line takes: its help, and the list of plugins among 2,000 processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Row, Table, say, timed_ms
from benchmarks.processes import DEBUGTOOL, LIMIT_S, environment, read_line

Pair = dict[str, tuple[Sequence[str | Path], str]]
"""Ours and the peer's: a command, and what it has to say."""

ROUNDS = 15
PROCESSES = 2000
PLUGIN = "bench-datasource"

# Starts as many processes as told, forks of itself or /bin/sleep, and one more that is called like a plugin; ends them
# all when its stdin ends.
_PARENT = """
import os, signal, sys
kind, plugin, count = sys.argv[1:]
def sleep(name):
    return os.posix_spawn("/bin/sleep", [name, "3600"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 1)])
def fork():
    pid = os.fork()
    if not pid:
        os.close(0)
        os.close(1)
        signal.pause()
    return pid
pids = [sleep("sleep") if kind == "sleep" else fork() for _ in range(int(count))] + [sleep(plugin)]
print("ready", flush=True)
sys.stdin.read()
for pid in pids:
    os.kill(pid, signal.SIGKILL)
for pid in pids:
    os.waitpid(pid, 0)
"""


@contextlib.contextmanager
def sleeping(kind: str) -> Iterator[None]:
    """Have 2,000 processes, of /bin/sleep or of Python, for the length of the block."""
    command = [sys.executable, "-I", "-S", "-c", _PARENT, kind, "bench-datasource_linux_amd64", str(PROCESSES)]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        try:
            read_line(parent)
            yield
        finally:
            assert parent.stdin is not None
            parent.stdin.close()
            parent.wait(LIMIT_S)


def run_quietly(command: Sequence[str | Path], variables: dict[str, str], expected: str) -> None:
    """Run a command to its end and look whether it said what it should.

    Raises:
        RuntimeError: It did not: its time means nothing.
    """
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    if expected not in done.stdout:
        raise RuntimeError(f"{command!r} did not say {expected!r}: {done.stdout}{done.stderr}")


def measure_pair(table: Table, name: str, commands: Pair, rounds: int) -> None:
    """Run commands in turn; the first time, which compiles, does not count."""
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        variables = environment(Path(directory))
        for turn in range(rounds + 1):
            for which, (command, expected) in commands.items():
                elapsed_ms = timed_ms(lambda: run_quietly(command, variables, expected))  # noqa: B023  # called at once
                if turn:
                    table.add(f"{name} {which}", elapsed_ms)


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure help and ps."""
    table = Table()
    say("cli: --help")
    click = [sys.executable, "-c", "import click; print('click')"]
    measure_pair(table, "help", {"ours": ([DEBUGTOOL, "--help"], "attach"), "peer": (click, "click")}, rounds)
    pair: Pair = {"ours": ([DEBUGTOOL, "ps"], PLUGIN), "peer": (["pgrep", "-f", f"{PLUGIN}_"], "\n")}
    for kind in ("sleep", "python"):
        say(f"cli: ps, {PROCESSES} processes of {kind}")
        with sleeping(kind):
            measure_pair(table, kind, pair, rounds)
    return [
        Row("debugtool --help", "ms", table["help ours"], "python -c 'import click'", table["help peer"], at_most=1.5),
        Row(
            f"debugtool ps, {PROCESSES} processes",
            "ms",
            table["sleep ours"],
            "pgrep -f",
            table["sleep peer"],
            at_most=4,
        ),
        Row(f"debugtool ps, {PROCESSES} of them Python", "ms", table["python ours"], "pgrep -f", table["python peer"]),
    ]
