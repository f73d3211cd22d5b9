"""How long a build takes, from nothing and after an edit, beside plain PyInstaller with its own caches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.frozen import build, build_plainly, edit, make_project
from benchmarks.measure import Row, Table, say, timed_ms

ROUNDS = 3


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure builds; an edit before each, the tools in turn."""
    table = Table()
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        project = make_project(Path(directory))
        tools: dict[str, Callable[[], object]] = {
            "plain": partial(build_plainly, project),
            "frozen": partial(build, project),
            "untried": partial(build, project, "--no-verify"),
            "editable": partial(build, project, "--debug", "--editable"),
        }
        for name in ("plain", "frozen"):
            say(f"build: {name}, the first time")
            table.add(f"{name} first", timed_ms(tools[name]))
        for turn in range(rounds):
            for number, (name, tool) in enumerate(tools.items()):
                say(f"build: {name}, after an edit, round {turn + 1} of {rounds}")
                edit(project, turn * len(tools) + number)
                table.add(name, timed_ms(tool))
    peer = "pyinstaller"
    return [
        Row("build after an edit, tried", "ms", table["frozen"], peer, table["plain"], at_most=0.5),
        Row("build after an edit, --no-verify", "ms", table["untried"], peer, table["plain"], at_most=0.5),
        Row("editable build after an edit", "ms", table["editable"], peer, table["plain"], at_most=0.03),
        Row("first build, tried", "ms", table["frozen first"], peer, table["plain first"]),
    ]
