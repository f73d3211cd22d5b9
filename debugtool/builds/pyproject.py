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


def read_names(root: Path, name: str, *, example: str) -> tuple[Path, list[str]]:
    """Read a list of texts in `[tool.debugtool]`.

    Args:
        root: The plugin's project.
        name: Of the setting.
        example: What it may look like, for the one who wrote something else.

    Returns:
        The directory of the pyproject.toml, and the list; empty where there is none.

    Raises:
        DebugtoolError: It is something else, or a pyproject.toml is broken.
    """
    project, settings = read_settings(root)
    names = settings.get(name, [])
    if not isinstance(names, list) or not all(isinstance(text, str) and text for text in names):
        raise unusable_setting(project, name, f"is {names!r}, not a list of texts", example)
    return project, names


def unusable_setting(project: Path, name: str, why: str, example: str) -> DebugtoolError:
    """Make the error for a setting that is not what it should be."""
    return DebugtoolError(
        f"{project / 'pyproject.toml'} is not usable.",
        why=f"`{name}` in [tool.debugtool] {why}.",
        next_step=f"Write for example: {example}",
    )
