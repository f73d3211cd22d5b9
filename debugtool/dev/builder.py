"""Building what a save changed. One class for each kind of build; the loop knows only what they have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from debugtool.builds import (
    FreezeRequest,
    GoBuildRequest,
    PythonBackend,
    backend_manifest,
    build_editable,
    build_frozen,
    build_go,
    check_syntax,
    find_python_backend,
    is_go_project,
)
from debugtool.dev.changes import Changes
from debugtool.manifest import FILENAME
from debugtool.model import Runtime
from debugtool.processes import examine_file


@dataclass(frozen=True)
class Built:
    """What a build changed.

    Attributes:
        artefact: The program in dist/ that the host starts.
        copied: Files of dist/ that were brought up to date.
        elapsed_ms: How long it took, milliseconds; 0 when there was nothing to build.
        restart: Whether the plugin must be started again to run what was saved.
        new_manifest: Whether plugin.json is another one, which a host reads when it starts.
    """

    artefact: Path
    copied: tuple[Path, ...]
    elapsed_ms: int
    restart: bool
    new_manifest: bool


class Builder(Protocol):
    """Builds a plugin again and again; made with the first build.

    Attributes:
        first: What the first build made, before the loop began.
        root: The project.
        source_roots: The directories that its modules are imported from.
    """

    first: Built
    root: Path
    source_roots: list[Path]

    def rebuild(self, changes: Changes) -> Built:
        """Build what was saved.

        Raises:
            DebugtoolError: It failed; what was built before is still whole.
        """


def choose_builder(directory: Path, *, editable: bool, say: Callable[[str], None]) -> Builder:
    """Choose the kind of build and make the first one: Go's own, frozen where the program in dist/ is, else editable.

    Args:
        directory: The project, or a directory in it.
        editable: Make editable builds whatever is in dist/.
        say: Told what a build that takes long does just now; from any thread.

    Raises:
        DebugtoolError: The first build failed.
    """
    if is_go_project(directory):
        return GoBuilder(directory, say)
    backend = find_python_backend(directory)
    is_frozen = examine_file(str(backend.artefact)).runtime is Runtime.FROZEN
    return FrozenBuilder(backend, say) if is_frozen and not editable else EditableBuilder(backend)


class _Compiled:
    """Sees that sources compile before anything is built or ended for them."""

    def __init__(self, interpreter: Path) -> None:
        self._interpreter = interpreter
        self._broken: set[Path] = set()

    def check(self, changes: Changes) -> None:
        """Compile what was saved, and again what did not compile at an earlier save.

        Raises:
            DebugtoolError: Something does not compile.
        """
        self._broken |= {path for path in changes.sources if path.suffix == ".py"}
        check_syntax(self._interpreter, sorted(self._broken))
        self._broken = set()


class EditableBuilder:
    """Makes editable debug builds of a Python plugin: there is nothing to build for a source.

    Args:
        backend: The plugin.

    Raises:
        DebugtoolError: The first build failed.
    """

    def __init__(self, backend: PythonBackend) -> None:
        self._artefact = backend.artefact
        self._compiled = _Compiled(backend.interpreter)
        self.root, self.source_roots = backend.project, backend.roots
        self.first = self._build()

    def _build(self) -> Built:
        before = self._artefact.read_bytes() if self._artefact.exists() else b""
        built = build_editable(self.root)
        new_manifest = _has_manifest(built.copied)
        restart = new_manifest or self._artefact.read_bytes() != before
        return Built(built.artefact, built.copied, built.elapsed_ms, restart, new_manifest)

    def rebuild(self, changes: Changes) -> Built:
        """See Builder."""
        self._compiled.check(changes)
        built = self._build() if changes.others else Built(self._artefact, (), 0, False, False)
        return replace(built, restart=built.restart or bool(changes.sources))


class FrozenBuilder:
    """Makes PyInstaller's debug builds of a Python plugin, which is started from its old build meanwhile.

    Args:
        backend: The plugin.
        say: Told what a build does just now.

    Raises:
        DebugtoolError: The first build failed.
    """

    def __init__(self, backend: PythonBackend, say: Callable[[str], None]) -> None:
        self._say = say
        self._compiled = _Compiled(backend.interpreter)
        self.root, self.source_roots = backend.project, backend.roots
        self.first = self._build()

    def _build(self) -> Built:
        built = build_frozen(FreezeRequest(self.root, debug=True), self._say)
        return Built(built.artefact, built.copied, built.elapsed_ms, True, _has_manifest(built.copied))

    def rebuild(self, changes: Changes) -> Built:
        """See Builder."""
        self._compiled.check(changes)
        return self._build()


class GoBuilder:
    """Makes debug builds of a Go plugin, which runs on meanwhile.

    Args:
        directory: The project, or a directory in it.
        say: Told what a build does just now.

    Raises:
        DebugtoolError: The first build failed.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self.root = backend_manifest(directory).project_root
        built = build_go(GoBuildRequest(self.root, debug=True), say)
        self.source_roots = [built.package]
        self._program = _digest(built.artefact)
        self.first = Built(built.artefact, built.copied, built.elapsed_ms, True, _has_manifest(built.copied))

    def rebuild(self, changes: Changes) -> Built:
        """See Builder. What leaves the program as it was, such as a test that was saved, restarts nothing."""
        built = build_go(GoBuildRequest(self.root, debug=True), self._say)
        before, self._program = self._program, _digest(built.artefact)
        new_manifest = _has_manifest(built.copied)
        restart = new_manifest or self._program != before
        return Built(built.artefact, built.copied, built.elapsed_ms, restart, new_manifest)


def _digest(program: Path) -> bytes:
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _has_manifest(copied: Iterable[Path]) -> bool:
    return any(path.name == FILENAME for path in copied)
