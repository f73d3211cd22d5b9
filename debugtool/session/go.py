"""What an attach does differently for a Go program: delve, and what delve needs of the binary."""

from __future__ import annotations

from debugtool.debuggers import DelveTarget, require_delve
from debugtool.errors import Unsupported
from debugtool.model import Target

_BUILD = "make one to debug: debugtool build --debug"


def refuse_undebuggable(target: Target) -> None:
    """Refuse a Go program that no breakpoint can be set in, before anything is done to it.

    An optimised one is debugged, and the `target` event says what that means.

    Raises:
        Unsupported: It was linked without debug information, or there is no delve that knows its Go.
    """
    if target.go is not None and target.go.stripped:
        raise Unsupported(
            f"Cannot debug {target}.",
            why="it was linked without debug information (-ldflags -w or -s), so no line of it can be found",
            next_step=_BUILD,
        )
    require_delve(target)


def delve_on(target: Target, timeout_s: float) -> DelveTarget:
    """Make the debugger of a Go process; it is not started yet.

    Raises:
        Unsupported: There is no delve that knows its Go.
    """
    return DelveTarget(target, require_delve(target), timeout_s)
