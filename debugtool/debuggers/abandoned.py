"""Directories that killed processes left in a runtime directory: named so that a later attach can tell, and removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from debugtool import system


def prefix_for(kind: str, pid: int | None = None) -> str:
    """Give the beginning of a directory's name that says whose it is: what follows it has no `-`.

    Args:
        kind: What the directory is for.
        pid: The process that removes it; ours by default.
    """
    owner = os.getpid() if pid is None else pid
    return f"{kind}-{owner}-{system.start_ticks(owner)}-{system.namespace_mark()}-"


def is_abandoned(directory: Path) -> bool:
    """Tell by such a name that the process whose directory it is has ended.

    What has another name is not, and neither is what is of another container, whose processes are not seen from here.
    """
    _, *owner = directory.name.rsplit("-", 4)
    if len(owner) != 4 or owner[2] != system.namespace_mark() or not (owner[0].isdigit() and owner[1].isdigit()):
        return False
    return system.has_ended(int(owner[0]), int(owner[1]))


def remove_abandoned(base: Path, kind: str, is_used: Callable[[Path], object] = lambda _: False) -> None:
    """Remove the directories of processes that were killed before they could do it.

    Args:
        base: The runtime directory of a user.
        kind: As given to `prefix_for`.
        is_used: Tells of an abandoned one that some other process still needs it.
    """
    for directory in base.glob(f"{kind}-*-*-*-*"):
        if is_abandoned(directory) and not is_used(directory):
            shutil.rmtree(directory, ignore_errors=True)
