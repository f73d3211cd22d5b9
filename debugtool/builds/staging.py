"""A build beside the one that is in dist/, and the swap: whoever looks, and whenever we die, finds a whole program."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from debugtool import processes
from debugtool.errors import DebugtoolError
from debugtool.files import make_directory, replace_file
from debugtool.system import fault_point


def make_build_directory(base: Path) -> None:
    """Make the directory of intermediate results, of which version control is to see nothing."""
    make_directory(base)
    ignore = base / ".gitignore"
    if not ignore.exists():
        replace_file(ignore, b"*\n")


@contextlib.contextmanager
def build_lock(directory: Path) -> Iterator[None]:
    """Hold the project's lock: a second build waits for the first, whose staging it would take for a leftover.

    Args:
        directory: Where the lock file lies; it exists.
    """
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def staging_beside(artefact: Path) -> Iterator[Path]:
    """Give an empty directory beside a program, on the same file system, for the length of the block.

    What builds that were killed left there is removed first. Hold the lock.

    Raises:
        OSError: It cannot be made.
        DebugtoolError: A directory has the program's name.
    """
    if artefact.is_dir():
        raise DebugtoolError(
            f"Could not build {artefact}.",
            why="A directory of that name is in the way; the host starts a file.",
            next_step=f"Remove or rename it, then build again: {artefact}",
        )
    make_directory(artefact.parent)
    for leftover in artefact.parent.glob(f".{artefact.name}.*.staging"):
        shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=f".{artefact.name}.", suffix=".staging", dir=artefact.parent))
    try:
        staging.chmod(0o755)  # the program is tried in it, perhaps by a wrapper of another user
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def swap(built: Path, support: Path | None, artefact: Path) -> Path | None:
    """Put a built program into its place.

    The directory that it needs comes first, under a name that no other build has. Then one rename replaces the program:
    before it the old one is whole, after it the new one.

    Args:
        built: The program, on the same file system as `artefact`.
        support: Its support directory; None for a onefile program.
        artefact: Its place.

    Returns:
        Where the support directory is now.

    Raises:
        OSError: It could not be put there; the old program is as it was.
    """
    place = support.rename(artefact.parent / support.name) if support else None
    fault_point("support")
    built.replace(artefact)
    fault_point("swapped")
    return place


def give_to_owner(directory: Path) -> None:
    """Give a tree to the owner of the directory it lies in, if we are root: none of root's stays in a user's project.

    Raises:
        OSError: We may not.
    """
    owner = directory.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove_unused(artefact: Path, current: Path | None) -> list[Path]:
    """Remove the support directories of earlier builds that no process runs from.

    Args:
        artefact: The program.
        current: The support directory that it needs; None without one.

    Returns:
        Those that are still in use; a later build removes them.
    """
    pattern = re.compile(re.escape(artefact.name) + r"-[0-9a-f]{8}")
    old = [path for path in artefact.parent.iterdir() if pattern.fullmatch(path.name) and path != current]
    used = processes.directories_in_use([path.name for path in old], artefact.name) if old else set()
    for path in old:
        if path.name not in used:
            shutil.rmtree(path)
    return [path for path in old if path.name in used]
