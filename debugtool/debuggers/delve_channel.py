"""delve's DAP as the relay speaks it: where delve differs from pydevd, the difference is made up for here."""

from __future__ import annotations

from collections.abc import Callable

from debugtool.debuggers.dap import DebuggerChannel, Message

_ANY_THREAD = 1  # delve resumes and stops all of them whatever it is given, but takes numbers only
_NO_RESTART = "delve did not start this process: restart it through its host, then attach again"


class DelveChannel(DebuggerChannel):
    """Our end of a DAP connection to a delve that has its target already.

    Source:
        delve 1.27.2, service/dap/server.go: `attach` must say `"mode": "remote"`; `restart` of a process that delve did
        not start stops it and fails.
    """

    own_events = DebuggerChannel.own_events | {"capabilities"}  # that Stop means detach, the relay has told

    def send(self, command: str, arguments: object, on_response: Callable[[Message], None]) -> None:
        """See DebuggerChannel.send."""
        given = arguments if isinstance(arguments, dict) else {}
        if command == "restart":
            on_response({"type": "response", "success": False, "message": _NO_RESTART})
            return
        if command == "attach":
            given = {**given, "request": "attach", "mode": "remote"}
        elif given.get("threadId") == "*":
            given = {**given, "threadId": _ANY_THREAD}
        super().send(command, given, on_response)
