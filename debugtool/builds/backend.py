"""The backend of a plugin that is to be built: its plugin.json, its sources, its Python, its program in dist/."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from debugtool.builds.entry import find_entry, source_roots
from debugtool.builds.interpreter import check_interpreter, find_interpreter
from debugtool.errors import DebugtoolError, NotFound
from debugtool.manifest import Manifest, artefact_name, find_manifest


@dataclass(frozen=True)
class PythonBackend:
    """What a build of a Python plugin begins with.

    Attributes:
        manifest: The project's own plugin.json.
        entry: The source file that starts it.
        roots: What `source_roots` gives.
        interpreter: The Python that its packages are installed for; it runs.
        artefact: The program to make.
    """

    manifest: Manifest
    entry: Path
    roots: list[Path]
    interpreter: Path
    artefact: Path

    @property
    def project(self) -> Path:
        """The directory a developer has open."""
        return self.manifest.project_root

    @property
    def dist(self) -> Path:
        """The directory that the host reads."""
        return self.project / "dist"


def find_python_backend(directory: Path) -> PythonBackend:
    """Find out what is to be built; nothing is written. `VIRTUAL_ENV` is read, see `find_interpreter`.

    Args:
        directory: The project, or a directory in it.

    Raises:
        NotFound: There is no plugin.json, or no entry point.
        Ambiguous: There are several entry points.
        DebugtoolError: plugin.json names no backend, or no Python can run it.
        Unsupported: It is none that debugtool knows.
    """
    manifest = backend_manifest(directory)
    root = manifest.project_root
    artefact = artefact_in_dist(manifest, root / "dist")
    entry = find_entry(root)
    roots = source_roots(root, entry)
    interpreter = find_interpreter(root, os.environ.get("VIRTUAL_ENV"))
    check_interpreter(interpreter, root, entry)
    return PythonBackend(manifest, entry, roots, interpreter, artefact)


def backend_manifest(directory: Path) -> Manifest:
    """Find the plugin.json of a project with a backend.

    Raises:
        NotFound: There is none.
        DebugtoolError: It names no backend.
    """
    found = find_manifest(directory)
    # From within dist/ its copy is found first; the project's own is what counts.
    manifest = find_manifest(found.project_root) if found else None
    if manifest is None:
        raise NotFound(
            f"There is no plugin in {directory.absolute()}.",
            why="No plugin.json there, in its src/ or dist/, or above it up to the git root.",
            next_step="Name the plugin's directory, or create a plugin with: debugtool new my-datasource",
        )
    if not manifest.executable or not manifest.backend:
        missing = "`backend` is not true" if manifest.executable else "it names no `executable`"
        raise DebugtoolError(
            f"The plugin {manifest.id} has no backend to build.",
            why=f"In {manifest.path} {missing}.",
            next_step=f'Add to it: "backend": true, "executable": "{manifest.executable or manifest.id}"',
        )
    return manifest


def artefact_in_dist(manifest: Manifest, dist: Path, goos: str | None = None, goarch: str | None = None) -> Path:
    """Give the program in dist/, where plugin.json's copy will be; that of this machine without another platform.

    Raises:
        DebugtoolError: It would lie outside of dist/.
    """
    base = next((base for base in (dist.parent / "src", dist) if manifest.directory.is_relative_to(base)), dist.parent)
    below = manifest.directory.relative_to(base)
    artefact = Path(os.path.normpath(dist / below / artefact_name(manifest.executable or "", goos, goarch)))
    if not artefact.is_relative_to(dist):
        raise DebugtoolError(
            f"The plugin {manifest.id} would be built outside of {dist}.",
            why=f"`executable` in {manifest.path} is {manifest.executable!r}.",
            next_step="Name a program inside the plugin.",
        )
    return artefact
