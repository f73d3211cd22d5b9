"""What a machine has run out of, in the words of an error."""

from __future__ import annotations

import contextlib
import errno
import os

from debugtool.errors import DebugtoolError

_NEXT_STEPS = {
    errno.ENOSPC: "free some space on that disk and try again",
    errno.EDQUOT: "free some of your quota on that disk and try again",
    errno.EROFS: "make that directory writable and try again",
    errno.EACCES: "run this as the user who may, or as root",
    errno.EMFILE: "permit more open files (ulimit -n 1024) and try again",
    errno.ENFILE: "the whole machine has too many open files: end what holds them and try again",
    errno.ENOMEM: "free some memory and try again",
}

_DESCRIPTORS = 32  # what an attach opens at a time, generously: 20 do


def require_descriptors(what: str) -> None:
    """Make sure that an attach has the file descriptors that it needs, before it begins.

    Args:
        what: What cannot be done without them, as a sentence.

    Raises:
        DebugtoolError: There are too few left.
    """
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(_DESCRIPTORS):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise explain_os_error(what, error) from error


def explain_os_error(what: str, error: OSError) -> DebugtoolError:
    """Make an error of what the system said, with what to do about it: to be raised `from error`.

    Args:
        what: What could not be done, as a sentence.
        error: The system's.
    """
    return DebugtoolError(what, why=str(error), next_step=_NEXT_STEPS.get(error.errno or 0, "try again"))
