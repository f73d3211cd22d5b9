"""Runs a plugin's source tree as its program: the body of an editable debug build, which `editable.py` writes to dist/.

Runs in the plugin's own Python: CPython 3.8 and later, standard library only. It has all that the plugin's start needs
in itself, so that a user who cannot read debugtool's installation can start the plugin all the same.
"""

import sys

if not getattr(sys.flags, "safe_path", False):  # new in CPython 3.11
    del sys.path[0]  # the directory of the program: it holds the built plugin, no modules

import importlib
import importlib.util
import os
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start_agent(package: str) -> None:
    """Start the debug agent from a directory: debugtool's own, so that the plugin's environment need not have one.

    Where that cannot be read the agent of the environment serves; without any, the plugin runs and debugtool gets in
    another way.
    """
    try:
        agent = load_package("debugtool_agent", package)
    except (OSError, ImportError) as error:
        try:
            agent = importlib.import_module("debugtool.plugin.agent")
        except ImportError:
            print("debugtool: no debug agent in this process: %s" % error, file=sys.stderr)
            return
    agent.start(os.path.abspath(__file__))


def load_package(name: str, directory: str) -> "Any":
    """Load a package from a directory of any name, without a directory for it on `sys.path`."""
    loader = SourceFileLoader(name, os.path.join(directory, "__init__.py"))
    spec = importlib.util.spec_from_loader(name, loader, is_package=True)
    assert spec is not None
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(package)
    except (OSError, ImportError):
        del sys.modules[name]
        raise
    return package


def run(entry: str, project: str, roots: "list[str]") -> None:
    """Run a source file as `__main__`, as `python ENTRY` would, always from the source as it is now.

    A `__main__.py` beside an `__init__.py` runs as `python -m PACKAGE` does.

    Args:
        entry: The file, absolute: its code objects bear this name, which is what breakpoints are matched by.
        project: The project. Modules below it, or below one of `roots`, are never taken from `__pycache__`, where an
            edit within the same second that leaves the size as it was goes unseen.
        roots: Directories for `sys.path`, the one with the entry, or with its package, first.
    """
    sources = [os.path.join(directory, "") for directory in [project] + roots]
    sys.path_hooks.insert(0, lambda path: find_in_sources(path, sources))
    for cached in [path for path in sys.path_importer_cache if is_source(path, sources)]:
        del sys.path_importer_cache[cached]
    sys.path[:0] = roots[:1] + [root for root in roots[1:] if root not in sys.path]
    sys.argv[0] = entry
    main = ModuleType("__main__")
    main.__file__ = entry
    main.__loader__ = SourceFileLoader("__main__", entry)
    names = vars(main)
    names["__cached__"] = None
    if "__annotations__" in vars(sys.modules["__main__"]):  # the launcher's own has it before Python 3.14
        names["__annotations__"] = {}
    package = os.path.relpath(os.path.dirname(entry), roots[0])
    if package != os.curdir:
        main.__package__ = package.replace(os.sep, ".")
        main.__spec__ = importlib.util.find_spec(main.__package__ + ".__main__")  # imports the package, as -m does
    sys.modules["__main__"] = main
    with open(entry, "rb") as file:
        code = compile(file.read(), entry, "exec", dont_inherit=True)
    exec(code, names)


class FreshLoader(SourceFileLoader):
    """Loads a module from its source, past the bytecode cache."""

    def path_stats(self, path: str) -> "dict[str, object]":
        """Tell no time of the source, without which the import system neither reads nor writes bytecode."""
        raise OSError("bytecode is not used here")


def is_source(path: str, sources: "list[str]") -> bool:
    """Tell whether a directory is of the source tree. What is installed below it, in .venv/ for one, is not."""
    return "site-packages" not in path.split(os.sep) and os.path.join(path, "").startswith(tuple(sources))


def find_in_sources(path: str, sources: "list[str]") -> FileFinder:
    """Be a path hook for the directories of the source tree."""
    if not is_source(path, sources) or not os.path.isdir(path):
        raise ImportError("not part of the source tree", path=path)
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (FreshLoader, SOURCE_SUFFIXES))
