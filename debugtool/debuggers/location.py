"""Where a target imports debugpy from: our own installation, or a copy where it may not read that."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from pathlib import Path

from debugtool.errors import Unsupported
from debugtool.model import Target
from debugtool.plugin.agent import paths


def debugpy_directory(target: Target) -> Path:
    """Give a directory with the `debugpy` package that the target's user can read.

    Our own installation where that user may read it; else a copy in the user's runtime directory, made once for each
    version of debugpy (root debugging somebody else's process, with debugtool installed in root's home).

    Raises:
        Unsupported: debugpy is not installed beside debugtool.
    """
    spec = importlib.util.find_spec("debugpy")
    if spec is None or spec.origin is None:
        raise Unsupported(
            "debugpy is missing.", why="it is not installed beside debugtool", next_step="pip install debugpy"
        )
    package = Path(spec.origin).parent
    if is_readable_by(package / "__init__.py", target.uid):
        return package.parent
    from importlib.metadata import version

    base = Path(paths.make_runtime_dir(target.uid)) / f"debugpy-{version('debugpy')}"
    if not base.exists():
        # beside and rename, so that two attaches at once, or one that is killed, never leave half a copy in place
        beside = base.with_name(f"{base.name}.{os.getpid()}")
        shutil.copytree(package, beside / "debugpy", ignore=shutil.ignore_patterns("__pycache__"))
        _hand_over(beside, target.uid)
        try:
            beside.rename(base)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
    return base


def _hand_over(directory: Path, uid: int) -> None:
    """Give a tree to a user: what root copied under a umask of 077 nobody else could read."""
    for path in (directory, *directory.rglob("*")):
        os.chown(path, uid, -1, follow_symlinks=False)


def is_readable_by(path: Path, uid: int) -> bool:
    """Say whether a user may read a file, by the permission bits of the file and of every directory above it."""
    if uid in (0, os.geteuid()):
        return os.access(path, os.R_OK)
    wanted = [(path, stat.S_IROTH, stat.S_IRUSR), *((p, stat.S_IXOTH, stat.S_IXUSR) for p in path.resolve().parents)]
    for place, others, owner in wanted:
        facts = place.stat()
        if not facts.st_mode & (owner if facts.st_uid == uid else others):
            return False
    return True
