"""Every failure a user can act on, with its exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (design contract)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    TIMED_OUT = 5
    AMBIGUOUS = 6
    UNSUPPORTED = 7
    ADDRESS_IN_USE = 8
    INTERRUPTED = 130


class DebugtoolError(Exception):
    """A failure the user can act on: what happened, why, and what to do next.

    Args:
        what: One sentence that names the process (pid and name) or file.
        why: What was read or returned, never a guess.
        next_step: One step to take, the safest first.
        details: Facts a program may want, added to the JSON form.
    """

    exit_code = ExitCode.FAILED

    def __init__(
        self, what: str, *, why: str = "", next_step: str = "", details: dict[str, object] | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step
        self.details = details or {}


class NotFound(DebugtoolError):
    """No process, file or session of that name."""

    exit_code = ExitCode.NOT_FOUND


class ProcessGone(NotFound):
    """The process ended while we worked on it."""

    def __init__(
        self,
        what: str,
        *,
        why: str = "it ended meanwhile",
        next_step: str = "debugtool ps lists what runs now",
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(what, why=why, next_step=next_step, details=details)


class Refused(DebugtoolError):
    """The kernel, or we ourselves, do not permit it."""

    exit_code = ExitCode.REFUSED


class TimedOut(DebugtoolError):
    """It did not happen within its deadline."""

    exit_code = ExitCode.TIMED_OUT


class Ambiguous(DebugtoolError):
    """Several things have that name."""

    exit_code = ExitCode.AMBIGUOUS


class Unsupported(DebugtoolError):
    """Something that cannot be served: the target, the platform or the method."""

    exit_code = ExitCode.UNSUPPORTED


class AddressInUse(DebugtoolError):
    """Somebody else listens there."""

    exit_code = ExitCode.ADDRESS_IN_USE
