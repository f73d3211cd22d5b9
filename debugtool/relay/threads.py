"""The threads an editor believes in, so that it can be told of their end when the process has no words left."""

from __future__ import annotations

from debugtool.debuggers import Message

RESUMING = {"continue", "next", "stepIn", "stepOut", "goto"}


class ThreadList:
    """The threads of one process as its debugger's messages tell of them."""

    def __init__(self) -> None:
        self._alive: dict[int, None] = {}
        self._stopped: dict[int, None] = {}

    @property
    def are_stopped(self) -> bool:
        """Whether any of them stands still."""
        return bool(self._stopped)

    def take_event(self, event: Message) -> None:
        """Take note of a debugger's event."""
        body = event.get("body") or {}
        number = body.get("threadId")
        thread = number if isinstance(number, int) else None
        match event["event"]:
            case "thread" if thread is not None and body.get("reason") == "exited":
                self._alive.pop(thread, None)
                self._stopped.pop(thread, None)
            case "thread" if thread is not None:
                self._alive[thread] = None
            case "stopped" if thread is not None:
                self._stopped[thread] = None
            case "continued":
                self._resume(thread, every=body.get("allThreadsContinued", True) is not False)

    def take_response(self, response: Message) -> None:
        """Take note of a debugger's response."""
        if not response.get("success"):
            return
        if response.get("command") == "threads":
            listed = (response.get("body") or {}).get("threads")
            if isinstance(listed, list):
                # all there are: delve tells of no goroutine's end, and an editor forgets those that are not listed
                threads = [thread.get("id") for thread in listed if isinstance(thread, dict)]
                self._alive = {thread: None for thread in threads if isinstance(thread, int)}
        elif response.get("command") in RESUMING:
            self._resume(None, every=True)

    def _resume(self, thread: int | None, *, every: bool) -> None:
        if every:
            self._stopped.clear()
        elif thread is not None:
            self._stopped.pop(thread, None)

    def end(self) -> list[Message]:
        """Forget all threads; give the events that tell of it: a stopped one continues, then each has ended."""
        events: list[tuple[str, Message]] = []
        events += [("continued", {"threadId": thread, "allThreadsContinued": True}) for thread in self._stopped]
        events += [("thread", {"reason": "exited", "threadId": thread}) for thread in self._alive]
        self._alive.clear()
        self._stopped.clear()
        return [{"type": "event", "event": name, "body": body} for name, body in events]
