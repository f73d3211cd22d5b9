"""How fast a target's own code runs while debugtool is there, beside debugpy's own listener in the program.

A second target that nobody touches does the same work in turn with the first, a few milliseconds each, all the
time: what the machine does to both cancels out. A state's figure is target/twin in that state over target/twin before
anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dap_client import DapClient

from benchmarks.measure import Row, Table, say
from benchmarks.processes import TARGET, Running, attached, breakpoint_line, debugpy_for, find_pythons, running_target

Points = dict[str | Path, Sequence[int | dict[str, Any]]]
Speeds = dict[str, float]

ROUNDS = 5
SLICES = 30
KINDS = {"calls": 3, "loop": 30}  # how much of each makes a slice of a few milliseconds
ELSEWHERE = Path(__file__).with_name("elsewhere.py")
SAME_FILE: Points = {TARGET: [breakpoint_line(TARGET)], ELSEWHERE: []}
OTHER_FILE: Points = {TARGET: [], ELSEWHERE: [breakpoint_line(ELSEWHERE)]}


class Pair:
    """A target and its untouched twin."""

    def __init__(self, target: Running, twin: Running, table: Table, who: str) -> None:
        self.target, self.twin, self.table, self.who = target, twin, table, who
        self.look()  # the interpreter has specialised its bytecode after this
        self.before = self.look()

    def look(self) -> Speeds:
        """Give the target's time relative to the twin's, by kind of work: the quickest slice of each.

        On a machine with others' work on it the quickest of thirty repeats within 1 %, where the median wanders by 2 %
        and CPU time, which the kernel of a virtual machine counts coarsely, by 10 %.
        """
        found = {}
        for kind, size in KINDS.items():
            order = f"work {kind} {size}"
            slices = [(self.target.ask(order), self.twin.ask(order)) for _ in range(SLICES)]
            ours, twins = zip(*((ours["wall_s"], its["wall_s"]) for ours, its in slices), strict=True)
            found[kind] = min(ours) / min(twins)
        return found

    def note(self, state: str) -> None:
        """Measure the state that the target is in now."""
        for kind, speed in self.look().items():
            self.table.add(f"{self.who} {state} {kind}", speed / self.before[kind])


def move_breakpoint(editor: DapClient) -> None:
    """Have the breakpoint in the other file only."""
    for path, lines in OTHER_FILE.items():
        editor.set_breakpoints(path, lines)


def measure_debugtool(pair: Pair, bytecode: Path) -> None:
    """Take a target through the states of a debugtool session."""
    pair.note("untouched")
    with attached(pair.target.pid, bytecode, "--method", "ptrace") as session:
        port = session.wait_for("ready")["port"]
        pair.note("armed")
        with DapClient(port) as editor:
            editor.attach(SAME_FILE)
            pair.note("same file")
            move_breakpoint(editor)
            pair.note("other file")
            editor.disconnect()
        while session.wait_for("client")["connected"]:
            pass
        pair.note("left")
        session.stop()
    pair.note("detached")


def measure_debugpy(pair: Pair, debugpy: Path) -> None:
    """Take a target through the states of a program that calls debugpy.listen() itself."""
    pair.note("untouched")
    port = pair.target.ask(f"listen {debugpy}")["port"]
    pair.note("armed")
    with DapClient(port) as editor:
        editor.attach(SAME_FILE)
        pair.note("same file")
        move_breakpoint(editor)
        pair.note("other file")
        editor.disconnect()
    pair.note("left")


def measure_python(pair: Pair) -> None:
    """Take a target through what CPython itself leaves behind when anything was monitored."""
    pair.target.ask("monitor")
    pair.note("monitored")


def measure_version(version: str, python: Path, rounds: int) -> list[Row]:
    """Measure one Python; fresh targets in each round, debugtool and debugpy in turn."""
    table = Table()
    debugpy = debugpy_for(version)
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        bytecode = Path(directory)
        for turn in range(1, rounds + 1):
            say(f"overhead: Python {version}, round {turn} of {rounds}")
            with ExitStack() as stack:
                target, other, third, twin = (stack.enter_context(running_target(python, bytecode)) for _ in range(4))
                measure_debugtool(Pair(target, twin, table, "ours"), bytecode)
                measure_debugpy(Pair(other, twin, table, "bare"), debugpy)
                if has_monitoring(version):
                    measure_python(Pair(third, twin, table, "python"))
    return rows_of(version, table)


def rows_of(version: str, table: Table) -> list[Row]:
    """Put the samples of one Python beside each other; on 3.11 an attached client is held against debugpy alone."""
    monitoring = has_monitoring(version)
    names = {
        "untouched": "nothing done: the noise",
        "armed": "armed, no client",
        "same file": "client, breakpoint in the same file",
        "other file": "client, breakpoint in another file",
        "left": "after the client left",
        "detached": "after detach",
    }
    rows = []
    for kind in KINDS:
        for state, words in names.items():
            bare = table.find(f"bare {state} {kind}")
            rows.append(
                Row(
                    f"{version} {kind}, {words}",
                    "x",
                    table[f"ours {state} {kind}"],
                    "debugpy.listen()" if bare else "",
                    bare,
                    at_most=1.05 if state.endswith("file") and not monitoring else None,
                    limit=limit_of(state, monitoring),
                )
            )
        if monitoring:
            rows.append(Row(f"{version} {kind}, no debugger: PY_START was on", "x", table[f"python monitored {kind}"]))
    return rows


def has_monitoring(version: str) -> bool:
    """Tell whether debuggers use sys.monitoring in that Python."""
    return tuple(map(int, version.split("."))) >= (3, 12)


def limit_of(state: str, monitoring: bool) -> float | None:
    """Give the figure to reach: times as long as before anything was done."""
    if state == "untouched":
        return None
    if state.endswith("file"):
        return 1.10 if monitoring else None
    return 1.02


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure every Python of this machine."""
    return [row for version, python in find_pythons().items() for row in measure_version(version, python, rounds)]
