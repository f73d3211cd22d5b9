"""Which process: discovery, what executes it, who hosts it, what it listens on."""

from debugtool.processes.find import find_family, find_target, find_targets, list_targets, names_of_project
from debugtool.processes.in_use import directories_in_use
from debugtool.processes.naming import is_tool
from debugtool.processes.rows import runtime_words, target_document, target_table
from debugtool.processes.runtime import examine_file, is_frozen_debug_build
from debugtool.processes.sockets import grpc_address, is_go_plugin_socket
from debugtool.processes.successor import SuccessorFinder

__all__ = [
    "SuccessorFinder",
    "directories_in_use",
    "examine_file",
    "find_family",
    "find_target",
    "find_targets",
    "grpc_address",
    "is_frozen_debug_build",
    "is_go_plugin_socket",
    "is_tool",
    "list_targets",
    "names_of_project",
    "runtime_words",
    "target_document",
    "target_table",
]
