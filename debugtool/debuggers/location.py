"""Where a target imports debugpy from: a directory of its own, with a link to our installation or a copy of it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from debugtool.debuggers.abandoned import prefix_for, remove_abandoned
from debugtool.errors import Unsupported
from debugtool.model import Target
from debugtool.plugin.agent import paths
from debugtool.system import files_as, namespace_mark

_LINK = "debugpy-link"
_PROOF = "debugpy/__init__.py"
_HALF = "half"  # before the name of what is not made to its end yet


def debugpy_directory(target: Target) -> Path:
    """Give a directory with the `debugpy` package and nothing else, for the target's sys.path.

    Nothing else: while debugpy is imported, the target's other threads import too, and must not find our libraries. In
    it stands a link to our own installation where the target's user may read that; else a copy, made once for each
    version of debugpy (root debugging somebody else's process, with debugtool installed in root's home). The directory
    stays, as debugpy imports parts of itself later.

    Raises:
        Unsupported: debugpy is not installed beside debugtool.
    """
    spec = importlib.util.find_spec("debugpy")
    if spec is None or spec.origin is None:
        raise Unsupported(
            "debugpy is missing.", why="it is not installed beside debugtool", next_step="pip install debugpy"
        )
    package = Path(spec.origin).parent
    linked = is_readable_by(package / "__init__.py", target.uid)
    # The name tells installations apart, and versions of a copied one: side by side they do not take turns.
    installation = f"{package} {(package / '_version.py').stat().st_mtime_ns}"

    def fill(directory: Path) -> None:
        if linked:
            with files_as(target.uid):
                (directory / "debugpy").symlink_to(package)
        else:
            _copy_for(target.uid, package, directory / "debugpy", ["__pycache__"])

    if linked:  # whether that dangles is for those to say who see its installation
        return _made_once(f"{_LINK}-{namespace_mark()}", installation, target.uid, _PROOF, fill)
    return _made_once("debugpy-copy", installation, target.uid, _PROOF, fill)


def private_copy(directory: Path, name: str, uid: int, leave_out: Iterable[str]) -> Path:
    """Copy a directory that a user cannot read to the runtime directory of that user, once.

    Args:
        directory: What to copy.
        name: Start of the copy's name.
        uid: The user.
        leave_out: Patterns of names that are not copied.
    """

    def fill(base: Path) -> None:
        _copy_for(uid, directory, base, leave_out)

    return _made_once(f"{name}-copy", f"{directory} {directory.stat().st_mtime_ns}", uid, "os.py", fill)


def _made_once(name: str, source: str, uid: int, proof: str, fill: Callable[[Path], None]) -> Path:
    """Make a directory for a user, unless it is there: `proof` is a file in it, `source` tells it from others."""
    mark = hashlib.sha256(os.fsencode(source)).hexdigest()[:12]
    base = Path(paths.make_runtime_dir(uid)) / f"{name}-{mark}"
    with files_as(uid):
        if (base / proof).exists():
            return base
        shutil.rmtree(base, ignore_errors=True)
        _remove_useless(base.parent)
        # beside and rename, so that two attaches at once, or one that is killed, never leave half a copy in place
        beside = Path(tempfile.mkdtemp(prefix=prefix_for(f"{_HALF}-{base.name}"), dir=base.parent))
    fill(beside)
    with files_as(uid):
        try:
            beside.rename(base)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)  # another attach was first
    return base


def _remove_useless(runtime: Path) -> None:
    """Remove links to installations that are gone, and what was begun and never got its name."""
    remove_abandoned(runtime, _HALF)
    for made in runtime.glob(f"{_LINK}-{namespace_mark()}-*"):
        with contextlib.suppress(PermissionError):
            if not (made / _PROOF).exists():
                shutil.rmtree(made, ignore_errors=True)


def _copy_for(uid: int, source: Path, destination: Path, leave_out: Iterable[str]) -> None:
    """Copy a tree that we may read to where a user may write, as files of that user."""
    ignored = shutil.ignore_patterns(*leave_out)
    for place, directories, names in os.walk(source, followlinks=True):
        left_out = ignored(place, [*directories, *names])
        directories[:] = [name for name in directories if name not in left_out]
        here = destination / Path(place).relative_to(source)
        with files_as(uid):
            here.mkdir(exist_ok=True)
        for name in names:
            if name not in left_out:
                content = Path(place, name).read_bytes()
                with files_as(uid):
                    (here / name).write_bytes(content)


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
