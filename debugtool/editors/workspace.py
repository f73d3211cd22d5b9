"""Which directory the editor has open, and under which paths the plugin runs what is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from debugtool.editors.entries import PathMapping
from debugtool.editors.launch_json import WORKSPACE_FOLDER
from debugtool.manifest import Manifest, artefact_path, editable_source, find_manifest
from debugtool.model import Target

# Directories of a workspace that a deployed tree may correspond to: copying src/ to /app is common.
_SOURCE_ROOTS = (".", "src", "backend")


def find_workspace(start: Path | None, manifest_dir: Path | None) -> Path:
    """Find the directory that the developer has open in the editor.

    That is the project of the plugin.json. Where the plugin's directory is a copy made for the host, it is the project
    of the same plugin id that `start` lies in, else that of the sources an editable build runs. In a monorepo it is the
    nearest directory that has a `.vscode/` already, up to the git root. Without any plugin.json it is the git root.

    Args:
        start: Where the user is; the working directory, under the name the shell has for it, by default.
        manifest_dir: Directory of the plugin.json of the running plugin, None without one.

    Raises:
        NotFound: `start` does not exist.
        DebugtoolError: A plugin.json is broken.
    """
    start = (start or _working_directory()).absolute()
    project = find_project(start, manifest_dir)
    if project is None:
        return _git_root(start) or start
    root = _git_root(project)
    for directory in (project, *project.parents):
        if (directory / ".vscode").is_dir():
            return directory
        if root is None or directory == root:
            break
    return project


def find_project(start: Path | None, manifest_dir: Path | None) -> Path | None:
    """Find the project of the plugin.json, None without one; arguments and errors as for `find_workspace`."""
    here = find_manifest((start or _working_directory()).absolute())
    # Resolved: Grafana's plugins directory often holds a symlink to the project's dist/.
    running = find_manifest(manifest_dir.resolve()) if manifest_dir is not None and manifest_dir.is_dir() else None
    return _project(here, running)


def _project(here: Manifest | None, running: Manifest | None) -> Path | None:
    if running is None or (here is not None and here.id == running.id):
        return here.project_root if here else None
    program = artefact_path(running)
    source = editable_source(program) if program else None
    origin = find_manifest(source.parent) if source and source.is_file() else None
    return (origin or running).project_root


def _working_directory() -> Path:
    """Give the working directory as the shell names it: an editor started there has it open under that name."""
    named = os.environ.get("PWD")
    try:
        if named and Path(named).is_absolute() and Path(named).samefile("."):
            return Path(named)
    except OSError:
        pass  # PWD names a directory that is gone or not readable
    return Path.cwd()


def _git_root(start: Path) -> Path | None:
    return next((directory for directory in (start, *start.parents) if (directory / ".git").exists()), None)


def path_mappings(target: Target, workspace: Path) -> list[PathMapping]:
    """Compute how the editor's paths become those of the plugin's code.

    Args:
        target: The plugin; what it runs is read from its script, command line and working directory.
        workspace: The directory the editor has open, under the name it has it open.

    Returns:
        The mapping that the main script needs, which is that of its whole tree. None when both sides use the same
        paths, and none when the workspace does not hold what the plugin runs.
    """
    remote = _main_source(target)
    if remote is None:
        return []
    workspace = workspace.absolute()
    if remote.is_relative_to(workspace) and _is_same_file(target, remote):
        return []
    local = _counterpart(target, remote, workspace)
    if local is None:
        return []
    root, below = common_root(remote, local.relative_to(workspace))
    return [PathMapping(WORKSPACE_FOLDER + "".join(f"/{part}" for part in below.parts), str(root))]


def _main_source(target: Target) -> Path | None:
    """Give the source file of the process's `__main__` as its code objects name it, None for a frozen program."""
    script = target.script
    if script is None:
        return None
    cwd = target.cwd or Path("/")
    for argument in target.command_line[1:]:
        # The command line has the name that Python was given; the kernel's answers have symlinks resolved.
        if PurePath(argument).name == script.name and _real(cwd / argument) == _real(cwd / script):
            script = Path(argument)
            break
    script = Path(os.path.normpath(cwd / script))
    if (source := editable_source(_through_proc(target, script))) is not None:
        return source
    return script if script.suffix == ".py" else None


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _through_proc(target: Target, path: Path) -> Path:
    """Give a path of the target's own view of the file system, its container's for example, if we may look into it."""
    seen = Path(f"/proc/{target.pid}/root{path}")
    return seen if os.access(seen, os.R_OK) else path


def _is_same_file(target: Target, path: Path) -> bool:
    """Say whether the target sees the same file at this path as we do."""
    try:
        return path.samefile(_through_proc(target, path))
    except OSError:
        return False


def _counterpart(target: Target, remote: Path, workspace: Path) -> Path | None:
    """Find the file of the workspace that the process runs as `remote`."""
    if _is_same_file(target, remote):
        real = Path(_real(remote))
        return workspace / real.relative_to(_real(workspace)) if real.is_relative_to(_real(workspace)) else None
    for tail in tails(remote):
        for base in _SOURCE_ROOTS:
            local = Path(os.path.normpath(workspace / base / tail))
            if local.is_file():
                return local
    return None


def tails(path: Path) -> Iterator[Path]:
    """Give the ends of a path, longest first: of /a/b/c.py b/c.py is more certain than c.py."""
    parts = path.parts[1:]
    for start in range(len(parts)):
        yield Path(*parts[start:])


def common_root(remote: Path, local: Path) -> tuple[Path, Path]:
    """Take the common end from both paths: /app/backend/main.py and backend/main.py leave /app and nothing."""
    while local.parts and remote.name == local.name:
        remote, local = remote.parent, local.parent
    return remote, local
