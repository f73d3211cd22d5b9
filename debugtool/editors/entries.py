"""The entries that an editor's configuration gets, made from the templates of `vscode/templates/`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION_NAME = "Debug backend plugin"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3222


@dataclass(frozen=True)
class PathMapping:
    """Where the editor finds a directory of sources that the plugin runs under another path.

    Attributes:
        local_root: As the editor names it, e.g. `${workspaceFolder}/backend`.
        remote_root: As the plugin's code objects name it.
    """

    local_root: str
    remote_root: str

    def as_json(self) -> dict[str, str]:
        """Give it as an element of `pathMappings`."""
        return {"localRoot": self.local_root, "remoteRoot": self.remote_root}


@dataclass(frozen=True)
class SubstitutePath:
    """Where the editor finds a directory of sources that a Go binary knows by another path.

    Attributes:
        local: As the editor names it, e.g. `${workspaceFolder}`.
        remote: As the binary names it.
    """

    local: str
    remote: str

    def as_json(self) -> dict[str, str]:
        """Give it as an element of `substitutePath`."""
        return {"from": self.local, "to": self.remote}


def debugpy_entry(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    mappings: Iterable[PathMapping] = (),
    just_my_code: bool | None = None,
) -> dict[str, object]:
    """Make the configuration that attaches VS Code's Python debugger to our endpoint.

    Args:
        host: Address that debugtool listens on.
        port: TCP port there, 1 to 65535.
        mappings: See `path_mappings`.
        just_my_code: Whether to step over libraries; the template's choice by default.

    Source:
        Keys: VS Code's Python debugger, "Debugging configurations".
    """
    entry: dict[str, object] = json.loads((templates_directory() / "attach-python.json").read_text(encoding="utf-8"))
    entry["connect"] = {"host": host, "port": port}
    entry["pathMappings"] = [mapping.as_json() for mapping in mappings]
    if just_my_code is not None:
        entry["justMyCode"] = just_my_code
    return entry


def go_entry(
    host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, substitutions: Iterable[SubstitutePath] = ()
) -> dict[str, object]:
    """Make the configuration that attaches VS Code's Go debugger to our endpoint.

    Args:
        host: Address that debugtool listens on.
        port: TCP port there, 1 to 65535.
        substitutions: See `substitute_paths`.

    Source:
        Keys: VS Code's Go extension, "Debugging", attach in remote mode.
    """
    entry: dict[str, object] = json.loads((templates_directory() / "attach-go.json").read_text(encoding="utf-8"))
    paths = [substitution.as_json() for substitution in substitutions]
    return {**entry, "host": host, "port": port, "substitutePath": paths}


def templates_directory() -> Path:
    """Find the templates: inside the installed package, or at their own place in a checkout."""
    installed = Path(__file__).with_name("templates")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "vscode" / "templates"
