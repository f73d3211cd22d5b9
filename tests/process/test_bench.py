"""`scripts/bench` runs: what it measures is for its reader to judge, not for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench.py"
DEADLINE_S = 150.0


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCH, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_one_round_of_one_benchmark_gives_a_document_and_a_table() -> None:
    done = run_bench("cli", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"machine", "cli"}
    assert [row["against"] for row in document["cli"]] == ["python -c 'import click'", "pgrep -f", "pgrep -f"]
    assert all(row["ratio"] > 0 and row["ours"]["rounds"] == 1 for row in document["cli"])
    assert "debugtool --help" in done.stderr


def test_unknown_benchmark_is_a_usage_error() -> None:
    done = run_bench("speed")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such benchmark: speed" in done.stderr
