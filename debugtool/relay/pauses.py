"""When a process stands still and when it runs on, as its debugger's messages tell it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from debugtool.debuggers import DebuggerChannel, Message
from debugtool.relay.threads import RESUMING, ThreadList

_PLACE_S = 1.0
_STEP_S = 1.0  # a step that ends within it is part of the same pause


@dataclass(frozen=True)
class Pause:
    """A process stands still for its editor.

    Attributes:
        reason: Why, in DAP's words: `breakpoint`, `exception`, `pause`, ...
        thread: The thread that stopped, by its id in DAP.
        function: What it runs; None when the debugger did not say, as with `path` and `line`.
        path: Source file, by the name the editor knows it by.
        line: Where it stands, counted from 1.
        since: When it stopped, by the monotonic clock.
    """

    reason: str
    thread: object
    function: str | None = None
    path: str | None = None
    line: int | None = None
    since: float = field(default_factory=time.monotonic)


class WatchedThreads(ThreadList):
    """The threads of one process, and the pauses that their stops make: one lasts until nothing stands still any more.

    Args:
        tell: Called with each pause, and with None when the process runs on, or is gone.

    Attributes:
        debugger: The process's debugger, which is asked for the place of a stop.
    """

    def __init__(self, tell: Callable[[Pause | None], None]) -> None:
        super().__init__()
        self.debugger: DebuggerChannel | None = None
        self._tell = tell
        self._pause: Pause | None = None  # not told of yet while `_asking` is there
        self._asking: asyncio.Task[None] | None = None
        self._stepping: asyncio.TimerHandle | None = None
        self._is_step = False

    def take_request(self, command: str) -> None:
        """Take note of what the editor asks."""
        if command in RESUMING:
            self._is_step = command != "continue"

    def take_event(self, event: Message) -> None:
        """See ThreadList.take_event."""
        super().take_event(event)
        if event["event"] == "stopped" and self.are_stopped:
            self._begin(event.get("body") or {})
        else:
            self._look()

    def take_response(self, response: Message) -> None:
        """See ThreadList.take_response."""
        super().take_response(response)
        self._look()

    def end(self) -> list[Message]:
        """See ThreadList.end."""
        self.end_pause()
        return super().end()

    def _begin(self, stop: Message) -> None:
        if self._stepping is not None:
            self._stepping.cancel()
            self._stepping = None
        elif self._pause is None:
            self._pause = Pause(str(stop.get("reason", "")), stop.get("threadId"))
            self._asking = asyncio.create_task(self._tell_with_place(self._pause))

    def _look(self) -> None:
        if self._pause is None or self.are_stopped or self._stepping is not None:
            return
        if self._is_step:
            self._stepping = asyncio.get_running_loop().call_later(_STEP_S, self.end_pause)
        else:
            self.end_pause()

    def end_pause(self) -> None:
        """Take note that the process runs on: it was let go."""
        if self._stepping is not None:
            self._stepping.cancel()
            self._stepping = None
        pause, self._pause = self._pause, None
        if pause is None:
            return
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
            self._tell(pause)
        self._tell(None)

    async def _tell_with_place(self, pause: Pause) -> None:
        known = pause if self.debugger is None else await _placed(pause, self.debugger)
        self._asking = None
        self._tell(known)


async def _placed(pause: Pause, debugger: DebuggerChannel) -> Pause:
    """Ask where it stopped."""
    arguments = {"threadId": pause.thread, "startFrame": 0, "levels": 1}
    try:
        answer = await debugger.request("stackTrace", arguments, timeout_s=_PLACE_S)
        frame = answer["body"]["stackFrames"][0]
        function, source, line = frame["name"], frame.get("source") or {}, frame["line"]
        return replace(pause, function=function, path=source.get("path"), line=line)
    except (TimeoutError, LookupError, TypeError, AttributeError):
        return pause  # it runs on by now, or the debugger cannot say
