"""Editors' configuration: the one entry of ours in launch.json."""

from debugtool.editors.entries import CONFIGURATION_NAME, DEFAULT_PORT, PathMapping, debugpy_entry, templates_directory
from debugtool.editors.launch_json import (
    WORKSPACE_FOLDER,
    LaunchJson,
    LaunchJsonError,
    check_launch_json,
    entry_text,
    write_launch_json,
)
from debugtool.editors.workspace import find_project, find_workspace, path_mappings

__all__ = [
    "CONFIGURATION_NAME",
    "DEFAULT_PORT",
    "WORKSPACE_FOLDER",
    "LaunchJson",
    "LaunchJsonError",
    "PathMapping",
    "check_launch_json",
    "debugpy_entry",
    "entry_text",
    "find_project",
    "find_workspace",
    "path_mappings",
    "templates_directory",
    "write_launch_json",
]
