"""Building what a save changed. One class for each kind of build; the loop knows only what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from debugtool.builds import build_editable, check_syntax, source_roots
from debugtool.dev.changes import Changes
from debugtool.manifest import FILENAME, find_manifest


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


class EditableBuilder:
    """Makes editable debug builds of a Python plugin: nothing to build for a source, but it must compile.

    Args:
        directory: The project, or a directory in it.

    Raises:
        DebugtoolError: The first build failed.
    """

    def __init__(self, directory: Path) -> None:
        built = build_editable(directory)
        manifest = find_manifest(directory)
        assert manifest is not None  # it has just been built from
        self._interpreter = built.interpreter
        self._artefact = built.artefact
        self._broken: set[Path] = set()
        self.first = Built(built.artefact, built.copied, built.elapsed_ms, True, True)
        self.root = manifest.project_root
        self.source_roots = source_roots(self.root, built.entry)

    def _build(self) -> Built:
        before = self._artefact.read_bytes()
        built = build_editable(self.root)
        self._interpreter, self._artefact = built.interpreter, built.artefact
        new_manifest = any(path.name == FILENAME for path in built.copied)
        is_new = new_manifest or built.artefact.read_bytes() != before
        return Built(built.artefact, built.copied, built.elapsed_ms, is_new, new_manifest)

    def rebuild(self, changes: Changes) -> Built:
        """See Builder. A source that did not compile is checked again with each later save."""
        suspects = self._broken | {path for path in changes.sources if path.suffix == ".py"}
        self._broken = suspects
        check_syntax(self._interpreter, sorted(suspects))
        self._broken = set()
        built = self._build() if changes.others else Built(self._artefact, (), 0, False, False)
        return Built(
            built.artefact, built.copied, built.elapsed_ms, built.restart or bool(changes.sources), built.new_manifest
        )
