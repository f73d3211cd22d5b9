"""What was saved: the project's directories watched, editors' habits and everybody's by-products left out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from debugtool.errors import DebugtoolError

# Beside what begins with a dot, and environments, which are told by their pyvenv.cfg.
_IGNORED = frozenset({"__pycache__", "node_modules", "dist", "build", "coverage"})
# The frontend's bundler has a watch mode of its own.
_FRONTEND = frozenset({".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".css", ".scss", ".less", ".map"})

_TEMPORARY = (*DefaultFilter.ignore_entity_patterns, r"\.tmp$", r"^4913$", r"^#.*#$")  # vim tries 4913, Emacs locks

_STEP_MS = 50
"""A save is over when nothing has changed for so long: editors write beside and rename, formatters write once more."""

_LONGEST_SAVE_MS = 1000


@dataclass(frozen=True)
class Changes:
    """What one save changed.

    Attributes:
        sources: Files in the directories that the backend is imported from, also those that are gone.
        others: Other files of the project which a build may copy.
    """

    sources: tuple[Path, ...]
    others: tuple[Path, ...]


def directories(root: Path) -> Iterator[Path]:
    """List the directories to watch: all of the project that may hold sources, which node_modules does not."""
    for place, below, files in os.walk(root):
        if "pyvenv.cfg" in files:
            below.clear()
            continue
        below[:] = [name for name in below if not _is_ignored(name)]
        yield Path(place)


def _is_ignored(directory: str) -> bool:
    return directory in _IGNORED or directory.startswith(".")


async def saves(root: Path, source_roots: list[Path]) -> AsyncIterator[Changes]:
    """Give what was saved, save by save, without an end.

    Args:
        root: The project.
        source_roots: The directories that the backend's modules are imported from.
    """
    # Directories are left out by not being watched; the filter would compare those above the project too.
    names = DefaultFilter(ignore_dirs=(), ignore_entity_patterns=_TEMPORARY)
    while True:
        async for batch in _batches(list(directories(root)), names):
            made = _made_directories(batch)
            # Files that came with a new directory were there before it could be watched.
            inside = {file for new in made for place in directories(new) for file in place.iterdir()}
            changes = sorted_out(batch | {(Change.modified, str(file)) for file in inside}, source_roots)
            if changes.sources or changes.others:
                yield changes
            if made:
                break  # and watch them too


async def _batches(watched: list[Path], names: DefaultFilter) -> AsyncIterator[set[tuple[Change, str]]]:
    try:
        async for batch in awatch(
            *watched, watch_filter=names, debounce=_LONGEST_SAVE_MS, step=_STEP_MS, recursive=False
        ):
            yield batch
    except FileNotFoundError:
        return  # a directory went before it could be watched; they are listed anew
    except OSError as error:
        raise DebugtoolError(
            f"Could not watch {watched[0]}.",
            why=f"{error} ({len(watched)} directories).",
            next_step="Raise the limit: sudo sysctl fs.inotify.max_user_watches=524288",
        ) from error


def _made_directories(batch: set[tuple[Change, str]]) -> list[Path]:
    added = [Path(path) for change, path in batch if change is Change.added]
    return [path for path in added if path.is_dir() and not _is_ignored(path.name)]


def sorted_out(batch: set[tuple[Change, str]], source_roots: list[Path]) -> Changes:
    """Tell sources from other files; what came and went within the save, as editors' copies do, is neither."""
    passing = {path for change, path in batch if change is Change.added and not Path(path).exists()}
    paths = {Path(path) for _, path in batch if path not in passing}
    files = sorted(path for path in paths if path.suffix not in _FRONTEND and not path.is_dir())
    sources = [path for path in files if any(path.is_relative_to(root) for root in source_roots)]
    return Changes(tuple(sources), tuple(path for path in files if path not in sources))
