"""The benchmarks: debugtool beside the tools users have today, in one run on one machine."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys

from benchmarks.measure import Row
from benchmarks.report import print_table

NAMES = ("attach", "overhead", "cli", "handlers", "build", "startup", "dev")


def document(results: dict[str, list[Row]]) -> dict[str, object]:
    """Give all figures with the machine they were measured on."""
    machine = {"system": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    return {"machine": machine, **{name: [row.document() for row in rows] for name, rows in results.items()}}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; default: all")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default: each benchmark's own number)")
    parser.add_argument("--json", action="store_true", help="print one JSON document; the tables go to stderr")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    results: dict[str, list[Row]] = {}
    for name in arguments.names or NAMES:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        results[name] = benchmark.run(*([arguments.rounds] if arguments.rounds else []))
        print_table(name, results[name], sys.stderr if arguments.json else sys.stdout)
    if arguments.json:
        print(json.dumps(document(results), indent=2))


if __name__ == "__main__":
    main()
