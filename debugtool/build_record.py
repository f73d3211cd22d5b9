"""What a frozen build says about itself: a small file in the directory it runs from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILENAME = "debugtool-build.json"
"""Lies in `sys._MEIPASS`, the directory a frozen program runs from. Written by builds/freezing/collect.py."""


@dataclass(frozen=True)
class BuildRecord:
    """A build by `debugtool build`.

    Attributes:
        debug: Whether the debug agent is in it and the plugin's own modules are sources.
        entry: The source that runs as `__main__`, relative to the directory of the record.
        roots: Of a debug build: the directories whose modules were collected into the directory of the record, as they
            were named on the machine that built it, those with the entry first. Empty in a release build, which tells
            nobody where it was built.
    """

    debug: bool
    entry: str
    roots: tuple[Path, ...]


def read_build_record(directory: Path) -> BuildRecord | None:
    """Read the record of a build.

    Args:
        directory: `sys._MEIPASS` of a frozen program.

    Returns:
        None where there is none, or it cannot be read: the program was built by other means.
    """
    try:
        document: dict[str, Any] = json.loads((directory / FILENAME).read_text(encoding="utf-8"))
        roots = tuple(Path(root) for root in document["roots"])
        return BuildRecord(document["debug"] is True, str(document["entry"]), roots)
    except (OSError, ValueError, KeyError, TypeError):
        return None
