"""Which directories that programs run from are in use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from debugtool.processes.runtime import read_maps
from debugtool.processes.scan import PROC, see_all


def directories_in_use(names: Collection[str], program: str, *, proc: Path = PROC) -> set[str]:
    """Say which support directories of a frozen program some process runs from.

    Args:
        names: The directories' names. A plugin in a container has another path to them, but the same name.
        program: Name of the program. A process of it that has no Python yet, or hides its files from us, may run from
            any of them.
        proc: Where procfs is mounted.

    Returns:
        Those of `names` that are in use, as far as can be seen from here: all of them where that cannot be told.
    """
    used: set[str] = set()
    for seen in see_all(proc):
        maps = read_maps(seen.pid, proc) if seen.argv else ""
        used |= {name for name in names if f"/{name}/" in maps}
        if seen.argv and seen.argv[0].rpartition("/")[2] == program and "/libpython" not in maps:
            return set(names)
    return used
