"""What one check has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from debugtool.errors import DebugtoolError


class Status(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    INFO = "info"  # good to know
    WARNING = "warning"  # it works, and not as somebody may expect
    PROBLEM = "problem"  # it stops an attach or a build


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        check: Name of the check, the same in every version.
        status: How much it matters.
        what: One sentence.
        why: What was read; empty where `what` says all.
        next_step: The narrowest thing to do about it; empty where nothing need be done.
    """

    check: str
    status: Status
    what: str
    why: str = ""
    next_step: str = ""

    @property
    def document(self) -> dict[str, str]:
        """Give it as `doctor --json` has it."""
        return {
            "check": self.check,
            "status": str(self.status),
            "what": self.what,
            "why": self.why,
            "next": self.next_step,
        }


Check = Callable[[], Finding | None]
"""One check: None where there is nothing to look at."""


def of_error(check: str, error: DebugtoolError, status: Status = Status.PROBLEM) -> Finding:
    """Give an error that an attach or a build would end with as a finding."""
    return Finding(check, status, error.what, error.why, error.next_step)


def at_most(status: Status, finding: Finding | None) -> Finding | None:
    """Take a finding less seriously: what it is about is not needed here."""
    order = list(Status)
    if finding is None or order.index(finding.status) <= order.index(status):
        return finding
    return replace(finding, status=status)


def finding_text(finding: Finding) -> str:
    """Lay a finding out for people, without its status: one line, and why and next where there is something to do."""
    lines = [f"{finding.check:17} {finding.what}"]
    for label, text in (("why: ", finding.why), ("next:", finding.next_step)):
        if text:
            indented = text.replace("\n", "\n" + " " * 33)
            lines.append(f"{'':26} {label} {indented}")
    return "\n".join(lines)
