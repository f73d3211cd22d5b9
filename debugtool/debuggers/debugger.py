"""What debugpy and delve have in common: a debugger that has one target, and is lent to one editor at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from debugtool.debuggers.dap import DebuggerChannel
from debugtool.model import Target

ATTACH_AGAIN = "attach again; the process runs on as before"
"""What to do where a debugger came up and did not answer."""

ChildListener = Callable[[int, int, DebuggerChannel], None]


class HostCalls(StrEnum):
    """What becomes of a host's own calls (health, Shutdown) while the target stands at a breakpoint."""

    ANSWERED = "answered"  # debugtool.plugin keeps the threads that do it out of the debugger
    STOPPED = "stopped"  # the whole process stands still
    UNKNOWN = "unknown"  # pydevd stops every thread it knows; whether one of them answers the host, nobody knows


class TargetDebugger(Protocol):
    """The debugger of one target, proven to be there.

    Attributes:
        target: The process.
        capabilities: What it can do, as it answers `initialize`.
        on_child: Called with pid, parent's pid and channel of each child process that a debugger came up in.
        why_gone: Why the target runs on without it when `gone` is set.
    """

    target: Target
    on_child: ChildListener | None

    @property
    def capabilities(self) -> Mapping[str, object]: ...  # noqa: D102 - see above

    @property
    def why_gone(self) -> str: ...  # noqa: D102 - see above

    @property
    def gone(self) -> asyncio.Event:
        """Set once the debugger is gone, whether or not the target is."""

    async def connect(self, own_code: Sequence[str] = ()) -> DebuggerChannel:
        """Bring the debugger up for an editor; give its DAP.

        Raises:
            DebugtoolError: It does not come up, or the target is gone.
        """

    async def release(self) -> None:
        """Let the target run on at full speed, without the breakpoints of the editor that has left.

        Raises:
            DebugtoolError: It did not do so in time.
        """

    async def host_calls(self) -> HostCalls:
        """Say what becomes of the host's own calls while the target stands still; it may stand still already."""

    def hang_up(self) -> None:
        """Take note that the target has ended."""
