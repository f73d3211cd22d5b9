"""Which sources are the plugin's own, and where in a frozen build they go.

Runs at build time in the plugin's own Python: CPython 3.8 and later, standard library only.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

NO_SOURCES = ("node_modules", "__pycache__", "dist", "build")


def read(path: str) -> str:
    """Read a source file as text, whatever its encoding."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def python_files(root: str) -> Iterator[str]:
    """List the sources below a directory, leaving out environments, builds and hidden directories."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(n for n in names if not n.startswith(".") and n not in NO_SOURCES)
        names[:] = [n for n in names if not os.path.exists(os.path.join(directory, n, "pyvenv.cfg"))]
        for name in sorted(files):
            if name.endswith(".py") and os.path.isfile(os.path.join(directory, name)):
                yield os.path.join(directory, name)


def is_own(path: str, plan: dict[str, Any]) -> bool:
    """Tell whether a source is the plugin's own, or of another project that is installed in place beside it."""
    path = os.path.realpath(path)
    if is_installed(path):
        return False
    return any(is_below(path, root) for root in plan["roots"]) or not any(is_below(path, d) for d in libraries(plan))


def libraries(plan: dict[str, Any]) -> list[str]:
    """List the directories of modules that are nobody's own."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {path for path in sys.path if is_installed(path)}
    return sorted(found | {plan["borrowed"]} - {""})


def is_installed(path: str) -> bool:
    """Tell whether a path lies where installers put packages."""
    return "site-packages" in path or "dist-packages" in path


def is_below(path: str, directory: str) -> bool:
    """Tell whether a real path lies below a directory."""
    return path.startswith(os.path.join(os.path.realpath(directory), ""))


def destination(name: str, source: str) -> str:
    """Give the path of a module's source below the support directory."""
    parts = name.split(".")
    if os.path.basename(source).startswith("__init__."):
        parts.append("__init__")
    return "/".join(parts) + ".py"


def root_of(name: str, source: str) -> str:
    """Give the directory of `sys.path` that a module was found in."""
    directory = os.path.dirname(os.path.abspath(source))
    depth = name.count(".") + (1 if os.path.basename(source).startswith("__init__.") else 0)
    for _ in range(depth):
        directory = os.path.dirname(directory)
    return directory
