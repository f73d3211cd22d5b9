"""Turn a process into something that speaks the Debug Adapter Protocol."""

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
from debugtool.debuggers.delve_target import DelveTarget
from debugtool.debuggers.location import debugpy_directory
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
    "HostCalls",
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
