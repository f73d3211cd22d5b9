"""Writing a file so that others see the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from debugtool.errors import DebugtoolError, Refused


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside and rename: a reader, or a program running from the file, keeps what it has open.

    A symlink stays one: the file that it points to is replaced. Mode, owner, access lists and attributes of a file that
    was there are kept. A new file gets the owner of its directory, so that root leaves nothing of its own behind in
    another user's project.

    Args:
        path: Where to write; its directory exists.
        data: The whole content.
        mode: Permission bits, e.g. 0o755; by default those of the file that was there, or what the umask gives.

    Raises:
        OSError: It could not be written, or not with that owner; nothing has changed then.
    """
    real = Path(os.path.realpath(path))
    old = real.stat() if real.exists() else None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".tmp", dir=real.parent)
    except OSError as error:
        error.filename = str(real)  # the user knows that name, not the temporary one
        raise
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            shutil.copystat(real, beside)
            os.utime(beside)
        beside.chmod(mode if mode is not None else old.st_mode & 0o7777 if old else 0o666 & ~_umask())
        take_owner(beside, old or real.parent.stat())
        beside.replace(real)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, with the owner of the one they are in.

    Raises:
        OSError: It could not be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir()
    take_owner(path, path.parent.stat())


def take_owner(path: Path, owner: os.stat_result) -> None:
    """Give a file of ours to the owner and group of another one, if they differ.

    Raises:
        OSError: We may not. A group alone that we may not give is left as it is.
    """
    mine = path.stat()
    if mine.st_uid == owner.st_uid and mine.st_gid == owner.st_gid:
        return
    try:
        os.chown(path, owner.st_uid, owner.st_gid)
    except PermissionError:
        if mine.st_uid != owner.st_uid:
            raise PermissionError(errno.EPERM, "The file of another user can only be replaced by root") from None


def _umask() -> int:
    """Read the umask; the one way Python has is to set it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def write_failure(what: str, path: Path, error: OSError, next_step: str) -> DebugtoolError:
    """Make the error a user sees from the system's: refused where permission was missing, failed otherwise.

    Args:
        what: One sentence that names the file.
        path: What was being written, for errors that name no file.
        error: What the system said.
        next_step: What the user can do.
    """
    kind = Refused if isinstance(error, PermissionError) else DebugtoolError
    return kind(what, why=f"{error.strerror}: {error.filename or path}.", next_step=next_step)
