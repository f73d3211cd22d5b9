"""Debug sessions: one attach through all the rooms, and ending one from elsewhere."""

from debugtool.session.attach import attach
from debugtool.session.choose import choose_target, wait_for_target
from debugtool.session.command import attach_in_background, run_attach, run_attach_at_start
from debugtool.session.detach import detach, find_session
from debugtool.session.report import Report, event_text, reporter
from debugtool.session.request import AttachRequest
from debugtool.session.sources import editor_entry, project_entry

__all__ = [
    "AttachRequest",
    "Report",
    "attach",
    "attach_in_background",
    "choose_target",
    "detach",
    "editor_entry",
    "event_text",
    "find_session",
    "project_entry",
    "reporter",
    "run_attach",
    "run_attach_at_start",
    "wait_for_target",
]
