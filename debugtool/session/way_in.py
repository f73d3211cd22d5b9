"""The way of a debugger into one process: begun at once, without an event loop, and waited for later."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from debugtool import debuggers, inject, system
from debugtool.errors import Unsupported
from debugtool.model import Build, Runtime, Target
from debugtool.session.request import AttachRequest

if TYPE_CHECKING:  # a way into one runtime imports nothing of the other's
    from debugtool.debuggers import GuardAhead, GuardProcess, MeetingPlace
    from debugtool.inject import Attempt, Bootstrap

HandOver = Callable[[dict[str, object]], None]
"""Takes the payload's arguments to an agent that has called us by itself."""


class WayIntoPython:
    """debugpy's way into a Python process: an injection that is under way, and the place where its payload finds us.

    Attributes:
        target: The process.
        place: Where the payload finds us.
        attempt: The injection; None where an agent starts the payload.
    """

    def __init__(self, request: AttachRequest, target: Target) -> None:
        self.target = target
        self.place: MeetingPlace | None = None
        self.attempt: Attempt | None = None
        self._request = request
        self._bootstrap: Bootstrap | None = None

    def refuse_unsupported(self) -> None:
        """Refuse what cannot be debugged.

        Raises:
            Unsupported: It is neither a Python nor a Go process.
        """
        target = self.target
        if target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
            raise Unsupported(
                f"Cannot debug pid {target.pid} ({target.name}).",
                why="it is neither a CPython nor a Go program",
                next_step="name a Python or Go process; debugtool ps --all lists them",
            )

    def begin(self, hand_over: HandOver | None = None) -> None:
        """Start the payload in the process, and do not wait for it.

        Raises:
            Unsupported: A frozen program lacks a standard library that no CPython of this machine can stand in for.
            OSError: The place of the payload cannot be made.
        """
        target = self.target
        self.place = debuggers.MeetingPlace(target.uid)
        system.fault_point("control")
        self._bootstrap = inject.Bootstrap(
            payload=self.place.payload,
            socket=self.place.socket,
            token=self.place.token,
            debugpy=debuggers.debugpy_directory(target),
            uid=os.geteuid(),
            library=_library_for(target),
        )
        if hand_over is not None:
            hand_over(self._bootstrap.arguments)
        else:
            self.inject()

    def inject(self) -> None:
        """Begin the injection, and do not wait for it; also where an agent that called did not start the payload."""
        assert self._bootstrap is not None
        request = self._request
        self.attempt = inject.Attempt(self.target, self._bootstrap, method=request.method, timeout_s=request.timeout_s)

    def go_first(self, most_s: float) -> None:
        """Let the injection go first for a moment, see `Attempt.go_first`."""
        if self.attempt is not None:
            self.attempt.go_first(most_s)

    def close(self) -> None:
        """Give up what nobody has taken over."""
        if self.place is not None:
            self.place.close()


class WayIntoGo:
    """delve's way into a Go process: under its guard, which starts while the rest is looked at.

    Args:
        target: The process.
        guard: One that was started before the process; None starts one.

    Attributes:
        target: The process.
        guard: Attaches delve to it.
    """

    def __init__(self, target: Target, guard: GuardProcess | None = None) -> None:
        self.target = target
        self.guard = guard or debuggers.GuardProcess(target.pid)
        self._program: str | None = None

    def refuse_unsupported(self) -> None:
        """Refuse what cannot be debugged.

        Raises:
            Unsupported: No breakpoint could be set in it, or there is no delve for it.
        """
        self._program = debuggers.refuse_undebuggable(self.target)

    def begin(self, hand_over: HandOver | None = None) -> None:
        """Have delve attach, and do not wait for it.

        Raises:
            ProcessGone: The process has ended.
        """
        assert self._program is not None
        self.guard.attach(self.target, self._program)

    def go_first(self, most_s: float) -> None:
        """Nothing to let go first: delve is brought in by a process of its own."""

    def close(self) -> None:
        """Give up what nobody has taken over."""
        self.guard.close()


WayIn = WayIntoPython | WayIntoGo


@contextlib.contextmanager
def way_into(request: AttachRequest, target: Target, ahead: GuardAhead | None = None) -> Iterator[WayIn]:
    """Give the way into a process, on which nothing has been done to it yet; closed at the end of the block.

    Args:
        request: How to get in.
        target: The process.
        ahead: May have a guard for a Go process.
    """
    way: WayIn
    if target.runtime is Runtime.GO:
        way = WayIntoGo(target, ahead.take() if ahead else None)
    else:
        way = WayIntoPython(request, target)
    try:
        yield way
    finally:
        way.close()


def _library_for(target: Target) -> tuple[Path, ...]:
    """Find what a frozen program lacks of the standard library; a debug build has all of it.

    Raises:
        Unsupported: No CPython of its version is on this machine.
    """
    if target.runtime is not Runtime.FROZEN or target.build is Build.DEBUG:
        return ()
    return debuggers.standard_library_directories(target)
