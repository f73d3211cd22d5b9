"""The benchmarks' tables: plain lines, and rich's on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from benchmarks.measure import Row

_HEAD = ("what", "debugtool", "against", "it", "ratio", "to reach", "")


def cells(row: Row) -> tuple[str, ...]:
    """Give the words of one line."""
    verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
    return (
        row.what,
        f"{row.ours.text()} {row.unit}",
        row.peer,
        f"{row.peers.text()} {row.unit}" if row.peers else "",
        f"{row.ratio:.3g}x" if row.ratio is not None else "",
        row.reach,
        verdict,
    )


def print_table(name: str, rows: Sequence[Row], stream: TextIO) -> None:
    """Print one benchmark's figures: medians, with the smallest and the largest round in brackets."""
    lines = [cells(row) for row in rows]
    if stream.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*_HEAD, title=name, title_justify="left")
        for line in lines:
            table.add_row(*line, style="red" if line[-1] == "MISSED" else None)
        Console(file=stream).print(table)
        return
    widths = [max(map(len, column)) for column in zip(_HEAD, *lines, strict=True)]
    print(f"\n{name}: medians (smallest..largest), ratio of each round", file=stream)
    for line in [_HEAD, *lines]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=stream)
    stream.flush()
