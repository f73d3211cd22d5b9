"""Who may change a program file: root runs none that another user could have written."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def changeable_by_others(program: Path) -> tuple[Path, int] | None:
    """Find a file or directory on the way to a program that another user than root and ours may change.

    Args:
        program: The program file; where it is a link, what that leads to counts.

    Returns:
        The first such path from the program upwards and its owner, who may change it as may everybody with the rights
        to write there; None when there is none. A directory in which everybody removes own files only (sticky) is none.

    Raises:
        OSError: It cannot be looked at.
    """
    real = program.resolve(strict=True)
    for path in (real, *real.parents):
        facts = path.stat()
        shared = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not facts.st_mode & stat.S_ISVTX
        if facts.st_uid not in (0, os.geteuid()) or shared:
            return path, facts.st_uid
    return None
