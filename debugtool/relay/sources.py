"""Where the sources of a frozen program lie on this side, and what an editor's `attach` says about it to pydevd."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What lies beside a program's modules in a project and is not imported from there.
_NO_PACKAGES = {"node_modules", "dist", "build", "site-packages", "__pycache__"}


@dataclass(frozen=True)
class FrozenSources:
    """The user's own code in a frozen program that runs.

    The program's code has names below the directory it runs from. That is another one at each start (onefile) or after
    each build, so an editor's configuration cannot know it; and everything else that was collected has names there too.
    So each module and package is mapped by itself.

    Attributes:
        root: The directory it runs from (`sys._MEIPASS`), as it names it.
        directories: Where its modules were collected from, as far as that is known.
        entry: The source that runs as `__main__`, None when that is not known.
        entry_name: What it is called below `root`; its own file name by default.
        pid: The process, through which its files are seen.
    """

    root: str
    directories: Sequence[Path]
    entry: Path | None
    pid: int
    entry_name: str = ""

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Give an editor's `attach` arguments the path mappings that make its breakpoints bind.

        The user's own mappings stay. Those that lead into the program's directory, or to one that is not there (of an
        earlier start or build), say where the editor has the sources, and are replaced.

        Returns:
            The arguments, and the files and directories below `root` that are the user's own code.
        """
        given = arguments.get("pathMappings")
        mappings = [m for m in given if isinstance(m, dict)] if isinstance(given, list) else []
        kept, bases = [], []
        for mapping in mappings:
            local, remote = mapping.get("localRoot"), mapping.get("remoteRoot")
            if not self._is_ours(remote):
                kept.append(mapping)
            elif isinstance(local, str) and remote != ".":  # VS Code's own default names no directory of sources
                bases.append(Path(local))
        here = [base for base in bases if base.is_dir()]
        # else the editor runs on another machine, or the project has moved
        elsewhere = [base for base in bases if base not in here]
        pairs = list(dict.fromkeys(self._pairs([*here, *self.directories], elsewhere)))
        ours = [{"localRoot": local, "remoteRoot": remote} for local, remote in pairs]
        return {**arguments, "pathMappings": ours + kept}, [remote.rstrip("/") for _, remote in pairs]

    def _is_ours(self, remote: object) -> bool:
        if not isinstance(remote, str) or remote == ".":
            return True
        if f"{remote}/".startswith(f"{self.root}/"):
            return True
        return not os.path.exists(f"/proc/{self.pid}/root{remote}")  # noqa: PTH110 - `remote` may be anything

    def _pairs(self, directories: Sequence[Path], elsewhere: Sequence[Path]) -> Iterator[tuple[str, str]]:
        """Give (local, remote) of each module and package; pydevd takes the first that fits, directories before files.

        Args:
            directories: Directories of sources on this machine.
            elsewhere: Such directories as an editor names them, not to be seen from here.
        """
        if self.entry is not None:
            yield str(self.entry), f"{self.root}/{self.entry_name or self.entry.name}"
        names = [name for directory in directories for name in _module_names(directory, directories)]
        for directory in directories:
            for name in _module_names(directory, directories):
                yield f"{directory}/{name}", f"{self.root}/{name}"
        for directory in elsewhere:
            for name in names or [""]:
                yield f"{directory}/{name}", f"{self.root}/{name}"


def _module_names(directory: Path, directories: Sequence[Path]) -> Iterator[str]:
    """Give what can be imported from a directory: `module.py`, `package/`. Another one's parent is no package of it."""
    for child in sorted(directory.iterdir()):
        if child.suffix == ".py" and child.is_file():
            yield child.name
        elif child.is_dir() and _is_package(child) and not _holds_one_of(child, directories):
            yield f"{child.name}/"


def _is_package(directory: Path) -> bool:
    if not directory.name.isidentifier() or directory.name in _NO_PACKAGES:
        return False
    return not (directory / "pyvenv.cfg").exists() and next(directory.rglob("*.py"), None) is not None


def _holds_one_of(directory: Path, others: Sequence[Path]) -> bool:
    return any(other.is_relative_to(directory) for other in others)
