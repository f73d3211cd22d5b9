"""What an editor has asked of its debugger so far: enough to ask it once more of the next process's debugger."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from debugtool.debuggers import DebuggerChannel, Message
from debugtool.errors import DebugtoolError
from debugtool.system import fault_point

# Requests that each replace what was set before: one for each source, or one in all.
_KEPT = {
    "setBreakpoints",
    "setFunctionBreakpoints",
    "setExceptionBreakpoints",
    "setDebuggerProperty",
    "setPydevdSourceMap",
}
# Not kept: they name addresses, which mean something else in another process. VS Code sets them, empty, at each start.
_OF_ONE_PROCESS = {"setDataBreakpoints", "setInstructionBreakpoints"}
_SHOWN = ("verified", "line", "endLine", "column", "endColumn", "message")
_ANSWER_S = 15.0

Key = tuple[str, str]


@dataclass
class Entry:
    """One request that is kept, and its breakpoints as the editor was last told of them, with the ids it knows."""

    command: str
    arguments: Message
    told: list[Message] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """What it replaces: the entry of the same command and source."""
        source = self.arguments.get("source")
        return self.command, str(source.get("path") or source) if isinstance(source, dict) else ""


class Journal:
    """The configuration of one editor's session. Its breakpoints have ids of ours, which stay across restarts.

    Args:
        tell: Takes the events for the editor that come up here.

    Source:
        Debug Adapter Protocol: `setBreakpoints` and its kin clear what was set before; `breakpoint` events.
    """

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._ids = itertools.count(1)
        self._entries: dict[Key, Entry] = {}
        self._pending: dict[Key, Entry] = {}  # what the next debugger has not been asked yet
        self._known: dict[int, Message] = {}  # by the debugger's id: the breakpoint as the editor was told of it
        self._early: dict[int, Message] = {}  # changes of breakpoints whose response is still on its way

    def record(self, command: str, arguments: Message) -> Entry | None:
        """Keep a request that the debugger is asked right now; None when it is none of those that are kept."""
        if command not in _KEPT:
            return None
        entry = Entry(command, arguments)
        self._entries[entry.key] = entry
        return entry

    def answer_without_debugger(self, command: str, arguments: Message, why: str) -> Message | None:
        """Keep a request for the next debugger; give the body of its response, None when it sets nothing."""
        if command in _OF_ONE_PROCESS:
            return {"breakpoints": [{"verified": False, "message": why} for _ in _asked(arguments)]}
        entry = self.record(command, arguments)
        return None if entry is None else self.postpone(entry, why)

    def postpone(self, entry: Entry, why: str) -> Message:
        """Leave a request for the next debugger; give the body of its response, with breakpoints not verified yet."""
        if self._entries[entry.key] is entry:
            self._pending[entry.key] = entry
        asked = _asked(entry.arguments)
        lines = [{"line": point["line"]} if isinstance(point, dict) and "line" in point else {} for point in asked]
        entry.told = [{"id": next(self._ids), "verified": False, "message": why, **line} for line in lines]
        return {"breakpoints": [dict(point) for point in entry.told]}

    def settle(self, entry: Entry, response: Message) -> Message:
        """Give a debugger's response to a kept request as the editor gets it, with ids of ours."""
        points = _breakpoints(response)
        if points is None:
            return response
        entry.told = [{**point, "id": next(self._ids)} for point in points]
        self._learn(points, entry.told)
        return {**response, "body": {**response["body"], "breakpoints": [dict(point) for point in entry.told]}}

    def _learn(self, points: list[Message], told: list[Message]) -> None:
        known = zip(points, told, strict=True)
        self._known.update((point["id"], ours) for point, ours in known if _has_number(point))

    def tell_early_events(self) -> None:
        """Tell what came about breakpoints before the editor knew them; call it after their response was sent."""
        for number in [number for number in self._early if number in self._known]:
            event = self.translate(self._early.pop(number))
            assert event is not None
            self._tell(event)

    def translate(self, event: Message) -> Message | None:
        """Give a debugger's event as the editor gets it; None when it has to wait for a response."""
        body = event.get("body") or {}
        numbers = body.get("hitBreakpointIds")
        if event["event"] == "stopped" and isinstance(numbers, list):
            hits = [told["id"] for number in numbers if isinstance(number, int) and (told := self._known.get(number))]
            return {**event, "body": {**body, "hitBreakpointIds": hits}}
        point = body.get("breakpoint")
        if event["event"] != "breakpoint" or body.get("reason") != "changed" or not _has_number(point):
            return event
        if (told := self._known.get(point["id"])) is None:
            self._early[point["id"]] = event
            return None
        told.update({**point, "id": told["id"]})
        return {**event, "body": {**body, "breakpoint": dict(told)}}

    def expect_another_debugger(self) -> None:
        """Forget what the last debugger called things: its process is gone, and everything is to be asked anew."""
        self._known.clear()
        self._early.clear()
        self._pending = dict(self._entries)

    async def replay(self, debugger: DebuggerChannel) -> None:
        """Ask a new debugger for all that is kept, and tell the editor of breakpoints that have changed.

        What the editor sets meanwhile (`postpone`) is asked too. When it returns nothing is pending.

        Raises:
            TimeoutError: The debugger did not answer.
            DebugtoolError: It has gone away.
        """
        while self._pending:
            entry = self._pending.pop(next(iter(self._pending)))
            answer = await debugger.request(entry.command, entry.arguments, timeout_s=_ANSWER_S)
            if debugger.closed.is_set():
                raise DebugtoolError("The debugger went away.", why=str(answer.get("message", "")))
            if self._entries[entry.key] is entry:
                self._tell_changes(entry, answer)
            fault_point("replaying")

    def _tell_changes(self, entry: Entry, answer: Message) -> None:
        points = _breakpoints(answer)
        if points is None or len(points) != len(entry.told):
            failed = {"verified": False, "message": str(answer.get("message", "the debugger did not say"))}
            points = [] if answer.get("success") and points is None else [failed] * len(entry.told)
        for point, told in zip(points, entry.told, strict=False):
            if _has_number(point):
                self._known[point["id"]] = told
            before = [told.get(name) for name in _SHOWN]
            number = told["id"]
            told.pop("message", None)
            told.update({**point, "id": number})
            if [told.get(name) for name in _SHOWN] != before:
                body = {"reason": "changed", "breakpoint": dict(told)}
                self._tell({"type": "event", "event": "breakpoint", "body": body})
        self.tell_early_events()


def _has_number(point: Any) -> TypeGuard[Message]:
    return isinstance(point, dict) and isinstance(point.get("id"), int)


def _asked(arguments: Message) -> list[Any]:
    points = arguments.get("breakpoints")
    return points if isinstance(points, list) else []


def _breakpoints(response: Message) -> list[Message] | None:
    points = (response.get("body") or {}).get("breakpoints")
    return points if isinstance(points, list) and all(isinstance(point, dict) for point in points) else None
