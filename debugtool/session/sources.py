"""Where the sources of what a process runs lie in the developer's workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from debugtool.build_record import BuildRecord, read_build_record
from debugtool.errors import DebugtoolError
from debugtool.model import Runtime, Target
from debugtool.relay import FrozenSources

if TYPE_CHECKING:
    from debugtool.editors import PathMapping

# Where modules lie in a project that says nothing about it.
_USUAL = ("backend", "src", ".")


def frozen_sources(target: Target, root: str, start: Path | None) -> FrozenSources:
    """Find the sources of a frozen program.

    Args:
        target: The process.
        root: The directory it runs from, as it names it.
        start: Directory in the developer's project; the working directory by default.
    """
    directories, entry = _find(target, start)
    record = _record(target, root)
    if record is None:
        return FrozenSources(root, directories, entry, target.pid)
    built_from = [path for path in record.roots if path.is_dir()]  # none on another machine than it was built on
    if built_from:
        directories = built_from
        entry = next((path / record.entry for path in built_from if (path / record.entry).is_file()), entry)
    return FrozenSources(root, directories, entry, target.pid, record.entry)


def editor_entry(target: Target, workspace: Path, host: str, port: int) -> dict[str, object]:
    """Make the configuration that attaches the editor to our endpoint, with the paths of what the target runs.

    Args:
        target: The process.
        workspace: The directory the editor has open.
        host: Address that debugtool listens on, with `port`.
        port: See `host`.
    """
    from debugtool import editors

    if target.runtime is Runtime.GO:
        return editors.go_entry(host, port, editors.substitute_paths(target, workspace))
    return editors.debugpy_entry(host, port, path_mappings(target, workspace))


def project_entry(workspace: Path, port: int) -> dict[str, object]:
    """Make the configuration for a project whose plugin does not run; an attach fills the paths in.

    Args:
        workspace: The directory the editor has open.
        port: That debugtool listens on.
    """
    from debugtool import builds, editors
    from debugtool.manifest import find_manifest

    manifest = find_manifest(workspace)
    if manifest is not None and builds.is_go_plugin(manifest):
        return editors.go_entry(editors.DEFAULT_HOST, port, [])
    return editors.debugpy_entry(port=port)


def path_mappings(target: Target, workspace: Path) -> list[PathMapping]:
    """Compute what launch.json says of paths, see `editors.path_mappings`.

    For a frozen program it is a hint for people: the relay knows the directory that the program really runs from. That
    of a onefile program is another one at each start, that of `debugtool build` after each build: not written down.
    """
    from debugtool import editors

    if target.runtime is not Runtime.FROZEN:
        return editors.path_mappings(target, workspace)
    root = target.libpython.parent if target.libpython else None
    if root is None or root.name.startswith("_MEI") or _record(target, str(root)) is not None:
        return []
    directories, _ = _find(target, workspace)
    below = [directory.relative_to(workspace) for directory in directories if directory.is_relative_to(workspace)]
    names = ["".join(f"/{part}" for part in path.parts) for path in below]
    return [editors.PathMapping(editors.WORKSPACE_FOLDER + name, str(root)) for name in names]


def _record(target: Target, root: str) -> BuildRecord | None:
    """Read what a frozen program says about itself, through the process: its files may lie in another namespace."""
    return read_build_record(Path(f"/proc/{target.pid}/root{root}"))


def _find(target: Target, start: Path | None) -> tuple[list[Path], Path | None]:
    """Give the directories that the program's modules were collected from, and its entry."""
    from debugtool import builds, editors

    try:
        project = editors.find_project(start, target.plugin_dir) or editors.find_workspace(start, None)
    except DebugtoolError:
        return [], None
    try:
        entry = builds.find_entry(project)
        return builds.source_roots(project, entry), entry
    except DebugtoolError:  # no project as `debugtool build` knows them
        usual = (project / name for name in _USUAL)
        return [directory for directory in usual if next(directory.glob("*.py"), None) is not None], None
