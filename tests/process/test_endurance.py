"""What `scripts/bench endurance` does a thousand times, a few times: no query fails, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

from benchmarks import endurance


def test_attaches_and_restarts_under_load(tmp_path: Path) -> None:
    rows = endurance.measure(tmp_path, cycles=4, restarts=3)
    # memory swings: only many cycles show whether it grows
    assert [row.document() for row in rows if row.reached is False and row.unit != "MB"] == []
    counted = {row.what: row.ours.median for row in rows}
    assert counted["queries that failed"] == 0
    assert counted["queries answered"] > 100
