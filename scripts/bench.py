"""The benchmarks: debugtool beside the tools users have today, in one run on one machine."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import machine_facts
from benchmarks.measure import Row, say
from benchmarks.page import write_page
from benchmarks.processes import CACHE, ROOT
from benchmarks.report import print_table
from benchmarks.results import Result, read_results, write_results

NAMES = ("attach", "overhead", "load", "restart", "cli", "handlers", "build", "startup", "dev", "endurance")
LONG = "endurance"
"""Measured only when it is named: it takes longer than all the others."""

MINUTES = {"attach": 4, "overhead": 4, "load": 8, "restart": 1.5, "cli": 1, "handlers": 1, "build": 3, "startup": 2.5}
"""About how long each takes with its own number of rounds; others: half a minute."""

RESULTS = CACHE / "results.json"


def main() -> None:
    """Parse the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    default = f"default: all but {LONG}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; {default}")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default: each benchmark's own number)")
    parser.add_argument("--cycles", type=int, default=1000, help="attaches of endurance (default: %(default)s)")
    parser.add_argument("--restarts", type=int, default=200, help="restarts of endurance (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON document; the tables go to stderr")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, with what was written earlier")
    parser.add_argument("--render", action="store_true", help="measure nothing; write docs/benchmarks.md anew")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where to write (default: docs)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where --write keeps what was measured")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    kept = read_results(arguments.results)
    if arguments.render:
        write_page(arguments.docs, kept)
        return
    names = arguments.names or [name for name in NAMES if name != LONG]
    say(f"about {sum(minutes(name, arguments) for name in names):.0f} min: {', '.join(names)}")
    results = {}
    for name in names:
        results[name] = measure(name, arguments)
        print_table(name, results[name].rows, sys.stderr if arguments.json else sys.stdout)
        if arguments.write:  # after each: a run that is interrupted has not measured for nothing
            kept = {each: found for each in NAMES if (found := results.get(each) or kept.get(each))}
            write_results(arguments.results, kept)
            write_page(arguments.docs, kept)
    if arguments.json:
        print(json.dumps(document(results), indent=2))
    if LONG in results and has_missed(results[LONG].rows):
        sys.exit(1)


def measure(name: str, arguments: argparse.Namespace) -> Result:
    """Run one benchmark."""
    machine, began = machine_facts(), time.monotonic()
    benchmark = importlib.import_module(f"benchmarks.{name}")
    if name == LONG:
        rows = benchmark.run(arguments.cycles, arguments.restarts)
    else:
        rows = benchmark.run(*([arguments.rounds] if arguments.rounds else []))
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return Result(day, commit(), machine, time.monotonic() - began, rows)


def minutes(name: str, arguments: argparse.Namespace) -> float:
    """Estimate how long a benchmark takes."""
    if name == LONG:
        return float(arguments.cycles) / 40 + float(arguments.restarts) / 50
    own_rounds = int(importlib.import_module(f"benchmarks.{name}").ROUNDS)
    return MINUTES.get(name, 0.5) * (arguments.rounds or own_rounds) / own_rounds


def commit() -> str:
    """Name the commit that is measured."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "unknown"


def has_missed(rows: Sequence[Row]) -> bool:
    """Tell whether a figure was missed."""
    return any(row.reached is False for row in rows)


def document(results: dict[str, Result]) -> dict[str, object]:
    """Give all figures with the machine they were measured on."""
    machine = next(iter(results.values())).machine
    return {"machine": machine, **{name: [row.document() for row in each.rows] for name, each in results.items()}}


if __name__ == "__main__":
    main()
