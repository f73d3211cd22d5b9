"""docs/benchmarks.md and its plots, made of what was measured."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.plots import draw, figures_of
from benchmarks.report import cells
from benchmarks.results import Result

REASONS = Path(__file__).with_name("reasons.toml")

_HEAD = """# Benchmarks

Written by `scripts/bench --write`; what stands beside a missed figure is from `scripts/benchmarks/reasons.toml`. Each
figure and what it is held against were measured in turn, in one run on one machine. Figures are medians with the
smallest and the largest round in brackets; a ratio is the median of each round's own. In the plots each dot is a round,
the line its median.
"""

WORDS = {
    "attach": "From the command to a debugger that has answered; and how long a thread of the target stood still.",
    "overhead": "How long the target's own code takes, in times of what it took before anything was done to it.",
    "load": "How late queries of a second process are answered: `p50` the middle one, `p99` the slowest hundredth.",
    "restart": "From a plugin's death to the debugger in its next process, beside a restart that nobody debugs.",
    "cli": "The command line itself.",
    "handlers": "The runtime for Python plugins beside Grafana's Go SDK: nothing to reach, only to know.",
    "build": "Builds of the template's data source.",
    "startup": "From spawn to handshake line, and what builds take on disk.",
    "dev": "From a save to a debugger in the plugin's next process.",
    "endurance": "Attaches and restarts under 50 queries a second: the last fifth beside the first after a warm-up.",
}


def write_page(docs: Path, results: dict[str, Result]) -> None:
    """Write benchmarks.md and one SVG file for each figure into a directory; plots of earlier runs are removed.

    Args:
        docs: The directory.
        results: By the benchmark's name, in the page's order.
    """
    plots = docs / "benchmarks"
    plots.mkdir(exist_ok=True)
    for stale in plots.glob("*.svg"):
        stale.unlink()
    reasons = read_reasons()
    sections = [_HEAD, _summary(results)]
    for name, result in results.items():
        lines = [f"## {name}", "", WORDS[name], "", _provenance(result), "", *_table(name, result.rows, reasons), ""]
        for figure in figures_of(result.rows) if name != "endurance" else []:
            file = plots / f"{name}-{figure.file_name}.svg"
            draw(figure, file)
            lines.append(f"![{figure.title}](benchmarks/{file.name})")
        sections.append("\n".join(lines) + "\n")
    (docs / "benchmarks.md").write_text("\n".join(sections).rstrip() + "\n")


def read_reasons() -> list[tuple[str, str]]:
    """Give the patterns and the sentences of reasons.toml, in their order."""
    return [(each["what"], each["why"]) for each in tomllib.loads(REASONS.read_text())["reason"]]


def reason_for(name: str, row: Row, reasons: Sequence[tuple[str, str]]) -> str:
    """Give the sentence for a missed figure; one that says so where nobody has found the reason yet."""
    fitting = (why for pattern, why in reasons if fnmatch.fnmatchcase(f"{name}: {row.what}", pattern))
    return next(fitting, "why is not known yet")


def _summary(results: dict[str, Result]) -> str:
    verdicts = [row.reached for result in results.values() for row in result.rows if row.reached is not None]
    return f"{verdicts.count(True)} of {len(verdicts)} figures that there are to reach were reached.\n"


def _provenance(result: Result) -> str:
    machine = "; ".join(f"{name} {text}" for name, text in result.machine.items())
    return f"Measured {result.day} at commit {result.commit} in {result.took_s / 60:.0f} min. {machine}."


def _table(name: str, rows: Sequence[Row], reasons: Sequence[tuple[str, str]]) -> list[str]:
    lines = ["| what | debugtool | against | it | ratio | to reach | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        *words, verdict = (cell.replace("|", "\\|") for cell in cells(row))
        if row.reached is False:
            verdict = f"**missed**: {reason_for(name, row, reasons)}"
        lines.append("| " + " | ".join([*words, verdict]) + " |")
    return lines
