"""Figures that were measured earlier, kept as JSON, so that a page can be made of several runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Samples


@dataclass(frozen=True)
class Result:
    """What one benchmark measured.

    Attributes:
        day: When, as YYYY-MM-DD.
        commit: Of what; abbreviated, with `+` where files were changed after it.
        machine: On what, as `machine_facts` gives it.
        took_s: How long it took, in seconds.
        rows: The figures.
    """

    day: str
    commit: str
    machine: dict[str, str]
    took_s: float
    rows: Sequence[Row]


def read_results(path: Path) -> dict[str, Result]:
    """Give what was measured earlier, by the benchmark's name; nothing where there is no such file."""
    if not path.exists():
        return {}
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return {name: Result(**{**each, "rows": [_row(row) for row in each["rows"]]}) for name, each in kept.items()}


def write_results(path: Path, results: dict[str, Result]) -> None:
    """Keep them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: asdict(each) for name, each in results.items()}, indent=1))


def _row(kept: dict[str, Any]) -> Row:
    peers = Samples(**kept["peers"]) if kept["peers"] else None
    return Row(**{**kept, "ours": Samples(**kept["ours"]), "peers": peers})
