"""Debug sessions: one attach through all the rooms, and ending one from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugtool.parts import imported_when_asked_for

if TYPE_CHECKING:
    from debugtool.session.choose import choose_target
    from debugtool.session.command import attach_in_background, run_attach, run_attach_at_start, run_attach_once_it_runs
    from debugtool.session.detach import detach, find_session
    from debugtool.session.early import EarlyPort
    from debugtool.session.report import Report, Reporter, event_text
    from debugtool.session.request import AttachRequest
    from debugtool.session.sources import editor_entry, project_entry

__all__ = [
    "AttachRequest",
    "EarlyPort",
    "Report",
    "Reporter",
    "attach_in_background",
    "choose_target",
    "detach",
    "editor_entry",
    "event_text",
    "find_session",
    "project_entry",
    "run_attach",
    "run_attach_at_start",
    "run_attach_once_it_runs",
]

_HOMES = {
    "choose": ("choose_target",),
    "command": ("attach_in_background", "run_attach", "run_attach_at_start", "run_attach_once_it_runs"),
    "detach": ("detach", "find_session"),
    "early": ("EarlyPort",),
    "report": ("Report", "Reporter", "event_text"),
    "request": ("AttachRequest",),
    "sources": ("editor_entry", "project_entry"),
}

__getattr__ = imported_when_asked_for(__name__, _HOMES)
