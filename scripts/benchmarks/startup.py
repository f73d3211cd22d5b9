"""From spawn to handshake line: a plugin frozen in each way beside its own source; and what the builds take on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.frozen import NAME, PYTHON, build, build_plainly, make_project, size_mb, start_ms
from benchmarks.measure import Row, Samples, Table, say

ROUNDS = 10


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure starts, all kinds in turn; the first start of each does not count."""
    table = Table()
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        programs, sizes = _build_all(Path(directory))
        for turn in range(rounds + 1):
            say(f"startup: round {turn} of {rounds}")
            for name, command in programs.items():
                elapsed_ms = start_ms(command)
                if turn:
                    table.add(name, elapsed_ms)
    source, release = table["source"], table["release"]
    return [
        Row("start, onedir", "ms", release, "from source", source, at_most=1.3),
        Row("start, onefile", "ms", table["onefile"], "from source", source),
        Row("start, debug build", "ms", table["debug"], "release build", release),
        Row("start, onedir", "ms", release, "pyinstaller", table["plain"]),
        Row("start, onefile", "ms", table["onefile"], "pyinstaller", table["plain onefile"]),
        Row("size, release build", "MB", Samples([sizes["release"]]), "pyinstaller", Samples([sizes["plain"]])),
        Row("size, debug build", "MB", Samples([sizes["debug"]]), "release build", Samples([sizes["release"]])),
        Row("size, onefile", "MB", Samples([sizes["onefile"]]), "pyinstaller", Samples([sizes["plain onefile"]])),
    ]


def _build_all(directory: Path) -> tuple[dict[str, list[str | Path]], dict[str, float]]:
    """Build every kind, each in a project of its own; give for each its command, and its size in MB."""
    kinds: dict[str, tuple[Callable[..., Path], tuple[str, ...]]] = {
        "release": (build, ()),
        "onefile": (build, ("--onefile",)),
        "debug": (build, ("--debug",)),
        "plain": (build_plainly, ()),
        "plain onefile": (build_plainly, ("--onefile",)),
    }
    commands: dict[str, list[str | Path]] = {}
    sizes: dict[str, float] = {}
    for kind, (builder, options) in kinds.items():
        say(f"startup: building {kind}")
        (directory / kind).mkdir()
        project = make_project(directory / kind)
        program = builder(project, *options)
        commands[kind] = [program]
        sizes[kind] = size_mb(program, *program.parent.glob("_internal"), *program.parent.glob(f"{NAME}-*"))
    return {"source": [PYTHON, directory / "release" / "bench-datasource" / "backend" / "main.py"], **commands}, sizes
