"""The ways into a live interpreter: what they have in common, and which one to take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from debugtool.errors import DebugtoolError, ProcessGone, Refused, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.model import Target
from debugtool.system import has_ended


@dataclass(frozen=True)
class Injected:
    """The bootstrap ran in the target.

    Attributes:
        method: Name of the injector.
        stall_ms: How long a thread of the target stood still for us; 0 when none did.
    """

    method: str
    stall_ms: float


class Injector(Protocol):
    """One way to run a line of Python in a process."""

    name: str
    needs_ptrace: bool  # whether the kernel must let us trace the target

    def why_not(self, target: Target) -> str | None:
        """Say in words why this way cannot serve the target, without touching it; None when it can."""

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        """Run the bootstrap in the target and give the stall in ms.

        Raises:
            DebugtoolError: It did not work; the target goes on as before.
        """


METHODS = ("agent", "remote_exec", "ptrace", "gdb")


def all_injectors() -> list[Injector]:
    """Give the injectors, the gentlest first."""
    from debugtool.inject.by_agent import AgentInjector
    from debugtool.inject.by_gdb import GdbInjector
    from debugtool.inject.by_ptrace import PtraceInjector
    from debugtool.inject.by_remote_exec import RemoteExecInjector

    return [AgentInjector(), RemoteExecInjector(), PtraceInjector(), GdbInjector()]


def choose_injectors(target: Target, method: str | None) -> list[Injector]:
    """Choose the ways to try, in order.

    Args:
        target: The process.
        method: One of METHODS, to try that one only.

    Raises:
        Unsupported: None can serve; each says why.
    """
    reasons = []
    chosen = []
    for injector in all_injectors():
        if method in (None, injector.name):
            reason = injector.why_not(target)
            if reason is None:
                chosen.append(injector)
            else:
                reasons.append(f"{injector.name}: {reason}")
    if not chosen:
        raise Unsupported(
            f"No way into pid {target.pid} ({target.name}).",
            why="\n".join(reasons),
            next_step="drop --method to let debugtool choose"
            if method
            else "make a debug build: debugtool build --debug --editable",
        )
    return chosen


def inject(target: Target, bootstrap: Bootstrap, *, method: str | None = None, timeout_s: float = 15.0) -> Injected:
    """Run the bootstrap in the target, by the gentlest way that works.

    Args:
        target: The process.
        bootstrap: What to start there.
        method: One of METHODS forces that one.
        timeout_s: For all of it.

    Raises:
        ProcessGone: The target ended meanwhile, whatever the way in has made of that.
        DebugtoolError: What the last way tried says.
    """
    try:
        return _inject_by_first(target, bootstrap, method, timeout_s)
    except (DebugtoolError, OSError) as error:
        if has_ended(target.pid, target.started_ticks):
            words = error.why if isinstance(error, DebugtoolError) else str(error)
            raise ProcessGone(f"Pid {target.pid} ({target.name}) ended while we attached.", why=words) from error
        raise


def _inject_by_first(target: Target, bootstrap: Bootstrap, method: str | None, timeout_s: float) -> Injected:
    """Take the first way that works."""
    deadline = time.monotonic() + timeout_s
    failure: DebugtoolError | None = None
    for injector in choose_injectors(target, method):
        try:
            stall_ms = injector.inject(target, bootstrap, max(1.0, deadline - time.monotonic()))
            return Injected(injector.name, stall_ms)
        except (Refused, Unsupported) as error:  # nothing was done; after a time-out it may still happen, so stop there
            failure = error
    assert failure is not None
    raise failure
