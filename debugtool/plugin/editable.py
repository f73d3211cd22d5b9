"""Run a plugin's source tree as its program: what an editable debug build does after the debug agent has started."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType


def run(entry: str, root: str) -> None:
    """Run a source file as `__main__`, as `python ENTRY` would, always from the source as it is now.

    A `__main__.py` beside an `__init__.py` runs as `python -m PACKAGE` does.

    Args:
        entry: The file, absolute: its code objects bear this name, which is what breakpoints are matched by.
        root: The project. Modules below it are never taken from `__pycache__`, where an edit within the same second
            that leaves the size as it was goes unseen.
    """
    sys.path_hooks.insert(0, _fresh_finder(Path(root)))
    for cached in [path for path in sys.path_importer_cache if Path(path).is_relative_to(root)]:
        del sys.path_importer_cache[cached]
    package, directory = _package_of(Path(entry))
    sys.path.insert(0, str(directory))
    sys.argv[0] = entry
    main = ModuleType("__main__")
    main.__file__ = entry
    main.__loader__ = SourceFileLoader("__main__", entry)
    names = vars(main)
    names["__cached__"] = None
    if "__annotations__" in vars(sys.modules["__main__"]):  # the launcher's own has it before Python 3.14
        names["__annotations__"] = {}
    if package:
        main.__package__ = package
        main.__spec__ = importlib.util.find_spec(f"{package}.__main__")  # imports the package, as -m does
    sys.modules["__main__"] = main
    exec(compile(Path(entry).read_bytes(), entry, "exec", dont_inherit=True), names)


def _package_of(entry: Path) -> tuple[str, Path]:
    """Give the package a file is to run in, empty for a script, and the first directory of its `sys.path`."""
    names: list[str] = []
    directory = entry.parent
    while entry.name == "__main__.py" and (directory / "__init__.py").is_file():
        names.insert(0, directory.name)
        directory = directory.parent
    return ".".join(names), directory


class _FreshLoader(SourceFileLoader):
    """Loads a module from its source, past the bytecode cache."""

    def path_stats(self, path: str) -> dict[str, object]:
        # Without the source's time the import system neither reads nor writes bytecode (importlib.abc.SourceLoader).
        raise OSError("bytecode is not used here")


def _fresh_finder(root: Path) -> Callable[[str], FileFinder]:
    def find(path: str) -> FileFinder:
        # What is installed below the project, in .venv/ for one, does not change by an edit and keeps its cache.
        if "site-packages" in Path(path).parts or not Path(path).is_relative_to(root) or not Path(path).is_dir():
            raise ImportError("not part of the source tree", path=path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FreshLoader, SOURCE_SUFFIXES))

    return find
