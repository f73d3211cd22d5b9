"""Turn a process into something that speaks the Debug Adapter Protocol."""

from debugtool.debuggers.control import ControlChannel
from debugtool.debuggers.dap import BadFrame, DapStream, DebuggerChannel, Message
from debugtool.debuggers.debugpy_target import DebugpyTarget, let_run
from debugtool.debuggers.location import debugpy_directory
from debugtool.debuggers.standard_library import (
    StandardLibrary,
    explain_no_standard_library,
    find_standard_library,
    standard_library_directories,
)
from debugtool.debuggers.tasks import Tasks

__all__ = [
    "BadFrame",
    "ControlChannel",
    "DapStream",
    "DebuggerChannel",
    "DebugpyTarget",
    "Message",
    "StandardLibrary",
    "Tasks",
    "debugpy_directory",
    "explain_no_standard_library",
    "find_standard_library",
    "let_run",
    "standard_library_directories",
]
