"""Editors' configuration: the one entry of ours in launch.json."""

from debugtool.editors.entries import (
    CONFIGURATION_NAME,
    DEFAULT_HOST,
    DEFAULT_PORT,
    PathMapping,
    SubstitutePath,
    debugpy_entry,
    go_entry,
    templates_directory,
)
from debugtool.editors.go_paths import main_source, substitute_paths
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
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "WORKSPACE_FOLDER",
    "LaunchJson",
    "LaunchJsonError",
    "PathMapping",
    "SubstitutePath",
    "check_launch_json",
    "debugpy_entry",
    "entry_text",
    "find_project",
    "find_workspace",
    "go_entry",
    "main_source",
    "path_mappings",
    "substitute_paths",
    "templates_directory",
    "write_launch_json",
]
