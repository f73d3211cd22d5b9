"""Files of another user, made by root with no more than that user's rights."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator

_ASK = -1  # no user: nothing is set, and the answer is who it is


@contextlib.contextmanager
def files_as(uid: int) -> Iterator[None]:
    """Open, make and remove files as a user does, for the length of the block; for root only, others are who they are.

    A user may rename what lies in an own directory, and put a link in its place, while root is at work there: root
    would write, or give away, whatever that leads to. For this thread alone, so the block must not wait for others.

    Args:
        uid: The user. The groups stay ours.

    Raises:
        PermissionError: This root may not become others (it lacks CAP_SETUID).

    Source:
        setfsuid(2): it takes root's capabilities over files along, and says nothing of failure.
    """
    own = os.geteuid()
    if own != 0 or uid == own:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.setfsuid(uid)
    try:
        if libc.setfsuid(_ASK) != uid:
            raise PermissionError(errno.EPERM, f"could not make files as user {uid} (CAP_SETUID)")
        yield
    finally:
        libc.setfsuid(own)
