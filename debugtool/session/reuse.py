"""An attach to a process that another session has, or is about to have, or is about to let go."""

from __future__ import annotations

import time

from debugtool import system
from debugtool.errors import Refused
from debugtool.session.configuration import write_configuration
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest

_POLL_S = 0.1


def reuse_session(request: AttachRequest, report: Report) -> bool:
    """Tell of the session that is on the target already: attaching twice is the same as once.

    One that is on its way is waited for, as is the end of one that lets the target go.

    Returns:
        Whether there is one. None has the target otherwise, and an attach may begin.

    Raises:
        Refused: It is another user's, or has neither become ready in time nor ended.
    """
    target = request.target
    deadline = time.monotonic() + request.timeout_s
    while True:
        session = system.session_on(target)
        if session is not None:
            report(
                "ready",
                host=session.host,
                port=session.port,
                method=session.method,
                elapsed_ms=0.0,
                stall_ms=0.0,
                session_pid=session.relay_pid,
                reused=True,
            )
            write_configuration(request, session.port, report)
            return True
        if not system.is_awaited(target) and system.session_kind_on(target.pid, target.uid) is None:
            return False
        if time.monotonic() > deadline:
            raise Refused(
                f"Could not attach to pid {target.pid} ({target.name}).",
                why="another debugtool is attaching to it or letting it go, or another user's session has it",
                next_step="end that one with debugtool detach, as its own user",
            )
        time.sleep(_POLL_S)
