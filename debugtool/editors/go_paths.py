"""Under which paths a Go binary knows its sources, and which paths of the editor those are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from debugtool.editors.entries import SubstitutePath
from debugtool.editors.launch_json import WORKSPACE_FOLDER
from debugtool.editors.workspace import common_root, tails
from debugtool.model import Target

_MODULE = re.compile(r"^module\s+\"?([^\s\"]+)", re.MULTILINE)
# Where a plugin's go.mod lies below the directory that the editor has open.
_MODULE_PLACES = (".", "backend", "pkg")
_MAIN_PACKAGE = b"main"  # what the compiler calls it, whatever its directory


def substitute_paths(target: Target, workspace: Path) -> list[SubstitutePath]:
    """Compute how the editor's paths become those in a Go binary.

    A binary built with -trimpath names its sources by module, which its build info has; any other by the directory they
    lay in when it was built, which its debug information has.

    Args:
        target: A Go process.
        workspace: The directory the editor has open, under the name it has it open.

    Returns:
        The one substitution that the sources of its main module need; none when both sides use the same paths, or when
        the workspace does not hold the sources.
    """
    if target.go is None or target.go.stripped:
        return []
    workspace = workspace.absolute()
    if target.go.trimpath:
        return _by_module(target.go.module, workspace)
    try:
        with Path(f"/proc/{target.pid}/exe").open("rb") as file:  # also what was replaced, or is in a container
            built_from = main_source(file)
    except OSError:
        return []
    return _by_source(built_from, workspace) if built_from else []


def _by_module(module: str | None, workspace: Path) -> list[SubstitutePath]:
    for place in _MODULE_PLACES:
        directory = workspace / place
        try:
            declared = _MODULE.search((directory / "go.mod").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if declared and declared[1] == module:
            return [SubstitutePath(_in_workspace(PurePosixPath(place)), declared[1])]
    return []


def _by_source(remote: Path, workspace: Path) -> list[SubstitutePath]:
    if remote.is_file() and Path(os.path.realpath(remote)).is_relative_to(os.path.realpath(workspace)):
        if remote.is_relative_to(workspace):
            return []
        below = PurePosixPath(os.path.relpath(os.path.realpath(remote), os.path.realpath(workspace)))
    else:
        found = next((tail for tail in tails(remote) if len(tail.parts) > 1 and (workspace / tail).is_file()), None)
        if found is None:
            return []
        below = PurePosixPath(found)
    root, left = common_root(remote, Path(below))
    return [SubstitutePath(_in_workspace(PurePosixPath(left)), str(root))]


def _in_workspace(below: PurePosixPath) -> str:
    return WORKSPACE_FOLDER + "".join(f"/{part}" for part in below.parts)


def main_source(file: BinaryIO) -> Path | None:
    """Read from a Go binary's debug information where a source file of its main package lay; None when it does not say.

    Source:
        DWARF 5, sections 3.1.1 and 6.2.4, as Go's linker writes it: one unit for each package, with its name.
    """
    from elftools.common.exceptions import DWARFError, ELFError
    from elftools.elf.elffile import ELFFile

    try:
        debug = ELFFile(file).get_dwarf_info()
        for unit in debug.iter_CUs():
            top = unit.get_top_DIE()
            name = top.attributes.get("DW_AT_name")
            if name is not None and name.value == _MAIN_PACKAGE:
                program = debug.line_program_for_CU(unit)
                return next(_go_files(program.header), None) if program else None
    except (DWARFError, ELFError, KeyError, ValueError):
        pass
    return None


def _go_files(lines: Mapping[str, Any]) -> Iterator[Path]:
    """List the Go sources of a line table, the package's own first."""
    directories = [os.fsdecode(directory) for directory in lines.get("include_directory") or ()]
    for entry in lines["file_entry"]:
        # Before DWARF 5, Go has whole paths here; then numbers begin at 1, and 0 is no directory.
        directory = directories[entry.dir_index] if lines["version"] >= 5 else "/"
        path = PurePosixPath(directory) / os.fsdecode(entry.name)
        if path.is_absolute() and path.suffix == ".go":
            yield Path(path)
