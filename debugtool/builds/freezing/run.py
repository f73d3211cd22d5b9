"""Runs PyInstaller in the plugin's own Python: CPython 3.8 and later, standard library only.

    python run.py DIRECTORY ARGUMENT...

DIRECTORY holds PyInstaller where the environment of that Python has none of its own that will do; `-` means that it
has. Ends when its stdin does: a debugtool that was killed leaves nobody behind who writes into `dist/`.
"""

from __future__ import annotations

import os
import sys
import threading


def end_with_stdin() -> None:
    """Wait until nobody holds the other end, and end this process with its threads."""
    while os.read(0, 1):  # not sys.stdin, whose lock an interpreter that ends would find held
        pass
    os._exit(1)


def add_to_path(directory: str) -> None:
    """Make a directory of packages importable.

    It comes last, so that the plugin keeps the versions of its own environment; first where that has another
    PyInstaller, which would hide this one.
    """
    from importlib.machinery import PathFinder

    hidden = PathFinder.find_spec("PyInstaller") is not None
    sys.path.insert(0 if hidden else len(sys.path), directory)


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    del sys.path[0]  # the directory of this file: nothing for PyInstaller to find
    if sys.argv[1] != "-":
        add_to_path(sys.argv[1])
    from PyInstaller.__main__ import run

    run(sys.argv[2:])
