"""Brings debugpy up in a program: quickly, and leaving as little behind as can be; part of the payload, see there.

pydevd imports Python's XML-RPC and HTTP servers for a console that nobody here starts, and with them ssl, email,
decimal and pydoc: a third of the time, and some 8 MB, in a program that has none of them. Its module that does so is
given stand-ins, which import the real ones if they are ever called.
"""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OWN = ("debugpy", "pydev", "_pydev")
IMPORTER = "_pydev_bundle._pydev_saved_modules"
UNUSED = ("xmlrpc.client", "xmlrpc.server", "http.server")


def import_debugpy(directory: str, loader: Any) -> tuple[Any, Any]:
    """Import debugpy and pydevd from a directory; give the modules.

    Args:
        directory: Holds debugpy alone: other threads may be importing just now.
        loader: The class that loads their sources; None for Python's own.
    """
    finder = Finder(loader)
    sys.path.insert(0, directory)
    sys.meta_path.insert(0, finder)
    try:
        import debugpy
        import debugpy.server  # makes pydevd importable and sets its protocol to DAP
        import pydevd
    finally:
        sys.meta_path.remove(finder)
        if directory in sys.path:
            sys.path.remove(directory)
    take_for_library("debugtool.plugin")
    return debugpy, pydevd


def take_for_library(package: str) -> None:
    """Have pydevd take a package for a library wherever it lies, and not for the user's own code.

    Installed from a checkout it is in no `site-packages`: a step would lead out of a handler into it, and an exception
    that leaves the handler would count as one that the user's code may still catch.
    """
    from _pydevd_bundle.pydevd_filtering import FilesFiltering

    is_own_code = FilesFiltering.in_project_roots
    if hasattr(is_own_code, "debugtool_library"):
        return  # the import happens once, sessions many times

    def in_project_roots(filtering: Any, filename: str) -> bool:
        module = sys.modules.get(package)  # looked up only now: a session may be there before the plugin's imports
        if module is not None and module.__file__ is not None:
            directory = os.path.dirname(module.__file__)
            if filename.startswith((directory + os.sep, os.path.realpath(directory) + os.sep)):
                return False
        return bool(is_own_code(filtering, filename))

    in_project_roots.debugtool_library = package  # type: ignore[attr-defined]
    FilesFiltering.in_project_roots = in_project_roots


class Finder:
    """Finds modules of the debugger's that are to be loaded in another way; all others are found as ever.

    Args:
        loader: See `import_debugpy`.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Give a module's spec; the imports of IMPORTER, and of no other, go through `import_if_used`."""
        if not name.startswith(OWN) or (self.loader is None and name != IMPORTER):
            return None
        # not by its public name: a frozen program may lack importlib.machinery
        files: Any = sys.modules["_frozen_importlib_external"]
        spec = files.PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        if self.loader is not None and type(spec.loader) is files.SourceFileLoader:
            spec.loader = self.loader(name, spec.origin)
        if name == IMPORTER:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                module.__builtins__ = dict(vars(builtins), __import__=import_if_used)
                execute(module)

            spec.loader.exec_module = exec_module
        return spec


def import_if_used(name: str, *more: Any, **named: Any) -> Any:
    """Stand in for `__import__`: what is unused is put off, unless the program has it already."""
    if name in UNUSED and name not in sys.modules:
        return Package(name.rpartition(".")[2], PutOff(name))
    return builtins.__import__(name, *more, **named)


class Package:
    """Stands for a package with one module."""

    def __init__(self, name: str, module: PutOff) -> None:
        setattr(self, name, module)


class PutOff:
    """Stands for a module whose functions and classes are only ever called."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            import importlib

            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return call


def start_network(pydevd: Any, db: Any, connection: Any) -> None:
    """Have a debugger of pydevd's talk on a connection; when that ends, the debugger does not let go by itself.

    It gives its threads 0.1 s to start, though they have by then (`threading.Thread.start` waits for it), and a plugin
    that was started again would wait for that before its first request.
    """
    clock = pydevd.time
    pydevd.time = Restless(clock)
    try:
        type(db).initialize_network(db, connection, terminate_on_socket_close=False)
    finally:
        pydevd.time = clock


class Restless:
    """Stands for the module `time`, and does not sleep."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.clock, name)

    def sleep(self, seconds: float) -> None:
        """Go on at once."""
