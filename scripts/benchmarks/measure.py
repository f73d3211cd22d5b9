"""Samples, the rows of a benchmark's table, and the program they are measured on."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Samples:
    """What was measured in each round.

    Attributes:
        values: One for each round, in the row's unit.
    """

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle one, which a few disturbed rounds do not move."""
        return statistics.median(self.values)

    def text(self) -> str:
        """Give the median, with the smallest and the largest where there are several."""
        if len(self.values) == 1:
            return short(self.median)
        return f"{short(self.median)} ({short(min(self.values))}..{short(max(self.values))})"

    def document(self) -> dict[str, Any]:
        """Give the samples as JSON shows them."""
        numbers = {"median": self.median, "min": min(self.values), "max": max(self.values)}
        shown = {name: round(number, 4) for name, number in numbers.items()}
        return {**shown, "rounds": len(self.values), "samples": [round(value, 4) for value in self.values]}


@dataclass(frozen=True)
class Row:
    """One figure: ours beside the peer's.

    Attributes:
        what: What was measured, with the Python version where there are several.
        unit: Of both samples: `ms`, `x` (times as long as untouched), `1/s`.
        ours: debugtool's samples, a round's beside the same round's of `peers`.
        peer: What it is compared with; empty when a figure stands alone.
        peers: The peer's samples; None when a figure stands alone.
        at_most: The ratio to reach, ours to the peer's; None when the ratio is only reported.
        limit: What our own median has to stay under, in `unit`; None without one.
        more: By how much, in `unit`, ours may be more than the peer's; None without such a figure.
    """

    what: str
    unit: str
    ours: Samples
    peer: str = ""
    peers: Samples | None = None
    at_most: float | None = None
    limit: float | None = None
    more: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours to the peer's: the median of each round's own ratio, because the two of a round saw the same machine."""
        if self.peers is None or 0 in self.peers.values:
            return None
        pairs = zip(self.ours.values, self.peers.values, strict=True)
        return statistics.median(ours / peer for ours, peer in pairs)

    @property
    def difference(self) -> float | None:
        """Ours without the peer's, as `ratio` is counted."""
        if self.peers is None:
            return None
        return statistics.median(ours - peer for ours, peer in zip(self.ours.values, self.peers.values, strict=True))

    @property
    def reached(self) -> bool | None:
        """Whether the figure was reached; None when there is none."""
        if self.at_most is None and self.limit is None and self.more is None:
            return None
        good = self.limit is None or self.ours.median <= self.limit
        if self.more is not None:
            assert self.difference is not None
            good = good and self.difference <= self.more
        if self.at_most is not None:
            assert self.ratio is not None
            good = good and self.ratio <= self.at_most
        return good

    @property
    def reach(self) -> str:
        """The figure to reach, in words."""
        wanted = [f"<= {self.at_most:g}x"] if self.at_most is not None else []
        unit = self.unit if self.unit in ("", "x") else f" {self.unit}"
        wanted += [f"<= {self.limit:g}{unit}"] if self.limit is not None else []
        wanted += [f"<= +{self.more:g}{unit}"] if self.more is not None else []
        return ", ".join(wanted)

    def document(self) -> dict[str, Any]:
        """Give the row as JSON shows it."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours.document(),
            "against": self.peer or None,
            "peer": self.peers.document() if self.peers else None,
            "ratio": round(self.ratio, 4) if self.ratio is not None else None,
            "reach": self.reach or None,
            "reached": self.reached,
        }


class Table:
    """Rows whose samples arrive round by round, in the order in which they were first named."""

    def __init__(self) -> None:
        self._samples: dict[str, Samples] = {}

    def add(self, name: str, value: float) -> None:
        """Take one round's value."""
        self._samples.setdefault(name, Samples()).values.append(value)

    def __getitem__(self, name: str) -> Samples:
        return self._samples[name]

    def find(self, name: str) -> Samples | None:
        """Give the samples of that name, None when there are none."""
        return self._samples.get(name)


def short(number: float) -> str:
    """Write a number with three digits that count."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def timed_ms(action: Callable[[], object]) -> float:
    """Give the wall time of an action in ms."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def say(text: str) -> None:
    """Tell on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which a share (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
