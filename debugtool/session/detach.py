"""Ending a session from elsewhere."""

from __future__ import annotations

import signal

from debugtool import system
from debugtool.errors import Ambiguous, NotFound, ProcessGone, TimedOut

_DETACH_S = 20.0


def find_session(name: str | None) -> system.SessionRecord:
    """Choose the session of this user that is meant.

    Args:
        name: Name or pid of the target; None where there is one session only.

    Raises:
        NotFound: There is none.
        Ambiguous: There are several.
    """
    sessions = system.find_sessions()
    wanted = [s for s in sessions if name is None or name in (s.target_name, str(s.target_pid), str(s.relay_pid))]
    if not wanted:
        others = ", ".join(f"{s.target_name} (pid {s.target_pid})" for s in sessions) or "none"
        raise NotFound(
            f"No debug session of {name!r}." if name else "No debug session.",
            why=f"running sessions of this user: {others}",
            next_step="start one with debugtool attach",
        )
    if len({s.relay_pid for s in wanted}) > 1:
        rows = "\n".join(f"pid {s.target_pid}  {s.target_name}  {s.host}:{s.port}" for s in wanted)
        raise Ambiguous("Several debug sessions are meant.", why=rows, next_step="name one by its pid")
    return wanted[0]


def detach(session: system.SessionRecord) -> None:
    """End a session as Ctrl-C in its terminal would, and wait until the target has been let go.

    Raises:
        TimedOut: It did not end in time.
    """
    try:
        with system.opened_pidfd(session.relay_pid, started_ticks=session.relay_started) as relay:
            signal.pidfd_send_signal(relay, signal.SIGTERM)
    except (ProcessGone, ProcessLookupError):
        return
    if not system.wait_for_exit(session.relay_pid, _DETACH_S, started_ticks=session.relay_started):
        raise TimedOut(
            f"The session of pid {session.target_pid} ({session.target_name}) did not end within {_DETACH_S:g} s.",
            why=f"pid {session.relay_pid} still runs",
            next_step=f"end it with `kill -9 {session.relay_pid}`: the plugin notices, lets go and serves on",
        )
