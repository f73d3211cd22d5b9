"""Who holds an end of a pipe."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from debugtool.model import ProcessRef

PROC = Path("/proc")


def pipe_holders(inodes: Collection[int], *, proc: Path = PROC) -> list[ProcessRef]:
    """Find the other processes that have one of these pipes open, as far as this user may see.

    Args:
        inodes: Inode numbers of pipes, as `os.fstat` gives them.
        proc: The proc file system.

    Source:
        proc(5): `/proc/PID/fd/N` is a link to `pipe:[INODE]`.
    """
    links = {f"pipe:[{inode}]" for inode in inodes}
    pids = sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit())
    return [
        ProcessRef(pid, _name(proc / str(pid)))
        for pid in pids
        if pid != os.getpid() and links & _links(proc / str(pid))
    ]


def _links(process: Path) -> set[str]:
    """Give what a process has open; empty when it may not be read, or has ended."""
    links = set()
    try:
        for descriptor in (process / "fd").iterdir():
            try:
                links.add(os.readlink(descriptor))  # noqa: PTH115 - "pipe:[1]" is no path
            except OSError:  # closed meanwhile
                continue
    except OSError:
        return set()
    return links


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:  # ended meanwhile
        return "?"
