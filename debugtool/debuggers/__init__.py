"""Turn a process into something that speaks the Debug Adapter Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugtool.parts import imported_when_asked_for

if TYPE_CHECKING:
    from debugtool.debuggers.capabilities import CAPABILITIES
    from debugtool.debuggers.control import ControlChannel
    from debugtool.debuggers.dap import BadFrame, DapStream, DebuggerChannel, Message
    from debugtool.debuggers.debugger import HostCalls, TargetDebugger
    from debugtool.debuggers.debugpy_target import DebugpyTarget, let_run
    from debugtool.debuggers.delve_program import (
        DELVE_INSTALL,
        delve_version,
        find_delve,
        refuse_undebuggable,
        require_delve,
    )
    from debugtool.debuggers.delve_start import GuardAhead, GuardProcess
    from debugtool.debuggers.delve_target import DelveTarget
    from debugtool.debuggers.location import debugpy_directory
    from debugtool.debuggers.meeting_place import MeetingPlace
    from debugtool.debuggers.standard_library import (
        StandardLibrary,
        explain_no_standard_library,
        find_standard_library,
        standard_library_directories,
    )
    from debugtool.debuggers.tasks import Tasks

__all__ = [
    "CAPABILITIES",
    "DELVE_INSTALL",
    "BadFrame",
    "ControlChannel",
    "DapStream",
    "DebuggerChannel",
    "DebugpyTarget",
    "DelveTarget",
    "GuardAhead",
    "GuardProcess",
    "HostCalls",
    "MeetingPlace",
    "Message",
    "StandardLibrary",
    "TargetDebugger",
    "Tasks",
    "debugpy_directory",
    "delve_version",
    "explain_no_standard_library",
    "find_delve",
    "find_standard_library",
    "let_run",
    "refuse_undebuggable",
    "require_delve",
    "standard_library_directories",
]

_HOMES = {
    "capabilities": ("CAPABILITIES",),
    "control": ("ControlChannel",),
    "dap": ("BadFrame", "DapStream", "DebuggerChannel", "Message"),
    "debugger": ("HostCalls", "TargetDebugger"),
    "debugpy_target": ("DebugpyTarget", "let_run"),
    "delve_program": ("DELVE_INSTALL", "delve_version", "find_delve", "refuse_undebuggable", "require_delve"),
    "delve_start": ("GuardAhead", "GuardProcess"),
    "delve_target": ("DelveTarget",),
    "location": ("debugpy_directory",),
    "meeting_place": ("MeetingPlace",),
    "standard_library": (
        "StandardLibrary",
        "explain_no_standard_library",
        "find_standard_library",
        "standard_library_directories",
    ),
    "tasks": ("Tasks",),
}

__getattr__ = imported_when_asked_for(__name__, _HOMES)
