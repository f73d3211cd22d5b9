"""pyproject.toml: where a plugin's lies, and what its `[tool.debugtool]` says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from debugtool.errors import DebugtoolError


def python_projects(root: Path) -> list[Path]:
    """List the directories of a plugin that may hold a Python project: its root, and `backend/`.

    A plugin's root often belongs to its frontend alone, and pyproject.toml, requirements.txt and the virtual
    environment lie in `backend/`.
    """
    return [root.absolute(), root.absolute() / "backend"]


def read_tools(project: Path) -> dict[str, Any]:
    """Read the `[tool]` tables of a directory's pyproject.toml, by name; empty where there is none.

    Raises:
        DebugtoolError: It cannot be read, or is no TOML.
    """
    path = project / "pyproject.toml"
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:  # unreadable; not UTF-8 or not TOML
        raise DebugtoolError(
            f"Could not read {path}.", why=f"{error}.", next_step="Correct the file and try again."
        ) from error
    return tools if isinstance(tools, dict) else {}


def read_settings(root: Path) -> tuple[Path, dict[str, Any]]:
    """Read `[tool.debugtool]`, from the root's pyproject.toml or from that in `backend/`.

    Returns:
        The directory of the pyproject.toml, which its paths are relative to, and the table; the root and an empty table
        where there is none.

    Raises:
        DebugtoolError: A pyproject.toml is broken.
    """
    for project in python_projects(root):
        settings = read_tools(project).get("debugtool")
        if isinstance(settings, dict):
            return project, settings
    return root.absolute(), {}
