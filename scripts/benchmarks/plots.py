"""One plot for each figure: every sample a dot, the median a line, ours beside the peer's.

matplotlib is in the dependency group `bench`; only `scripts/bench --write` brings it along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Samples

OURS, PEERS, REACH, INK = "#2f81f7", "#db6d28", "#3fb950", "#808890"
"""Colours that can be told apart, and read on white and on black; the background is none."""

_VERSION = re.compile(r"(\d+\.\d+) (.*)")


@dataclass
class Figure:
    """Rows that belong in one plot: the same figure of several Pythons, or against several peers.

    Attributes:
        title: What was measured.
        rows: With the words that tell them apart.
    """

    title: str
    rows: list[tuple[str, Row]]

    @property
    def file_name(self) -> str:
        """Name its file, without the benchmark's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def figures_of(rows: Sequence[Row]) -> list[Figure]:
    """Sort rows into plots; what is one number and no comparison needs none."""
    found: dict[str, Figure] = {}
    for row in rows:
        if row.peers is None and row.reached is None:
            continue
        match = _VERSION.fullmatch(row.what)
        version, title = match.groups() if match else ("", row.what)
        found.setdefault(title, Figure(title, [])).rows.append((version, row))
    return list(found.values())


def draw(figure: Figure, path: Path) -> None:
    """Draw a plot into an SVG file."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same samples make the same file: ids are hashed from a salt, and no date is written.
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9})
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(figsize=(max(3.6, 1.4 + 1.1 * len(figure.rows)), 2.9), layout="constrained")
    peers = sorted({row.peer for _, row in figure.rows if row.peer})
    names, highest = [], 0.0
    for place, (version, row) in enumerate(figure.rows):
        _draw_samples(axes, place - 0.18, row.ours, OURS)
        if row.peers is not None:
            _draw_samples(axes, place + 0.18, row.peers, PEERS)
        limit = _highest(row)
        if limit is not None:
            axes.hlines(limit, place - 0.42, place + 0.42, colors=REACH, linestyles="dashed", linewidth=1.4)
        highest = max(highest, limit or 0, *row.ours.values, *(row.peers.values if row.peers else []))
        names.append("\n".join(filter(None, (version, row.peer if len(peers) > 1 else ""))))
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.08 * highest or 1)
    axes.set_ylabel(figure.rows[0][1].unit)
    axes.set_title(figure.title, fontsize=9, color=INK)
    _explain(picture, peers, any(_highest(row) is not None for _, row in figure.rows))
    axes.tick_params(colors=INK)
    axes.yaxis.label.set_color(INK)
    for side in axes.spines.values():
        side.set_color(INK)
    picture.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(picture)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _draw_samples(axes: Any, place: float, samples: Samples, colour: str) -> None:
    count = len(samples.values)
    spread = [place + 0.16 * ((number + 0.5) / count - 0.5) for number in range(count)]
    axes.plot(spread, samples.values, "o", color=colour, markersize=3.5, alpha=0.75, markeredgewidth=0)
    axes.hlines(samples.median, place - 0.15, place + 0.15, colors=colour, linewidth=2)


def _highest(row: Row) -> float | None:
    """Give the highest median that reaches the figure; None without a figure to reach."""
    limits = [row.limit] if row.limit is not None else []
    if row.peers is not None:
        limits += [row.at_most * row.peers.median] if row.at_most is not None else []
        limits += [row.more + row.peers.median] if row.more is not None else []
    return min(limits, default=None)


def _explain(picture: Any, peers: Sequence[str], has_reach: bool) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], linestyle="", marker="o", color=OURS, label="debugtool", markersize=4)]
    if peers:
        label = peers[0] if len(peers) == 1 else "against"
        marks.append(Line2D([], [], linestyle="", marker="o", color=PEERS, label=label, markersize=4))
    if has_reach:
        marks.append(Line2D([], [], linestyle="--", color=REACH, label="to reach: below"))
    picture.legend(handles=marks, loc="outside lower center", ncols=3, fontsize=7, frameon=False, labelcolor=INK)
