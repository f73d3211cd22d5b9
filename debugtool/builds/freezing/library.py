"""Which modules of the standard library, and which tools, a frozen build has or leaves out.

Runs at build time in the plugin's own Python: CPython 3.8 and later, standard library only.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.machinery import PathFinder
from typing import Any

from . import sources

# Tools for building and testing. Libraries import them for themselves only (numpy.testing imports pytest); setuptools
# alone costs a start 40 ms, because PyInstaller lets it take over `distutils` before the program begins.
TOOLS = ("pip", "pytest", "_pytest", "IPython", "tkinter", "test")
SETUPTOOLS = ("setuptools", "_distutils_hack", "wheel")  # together: PyInstaller takes each for a part of the first

# Sources that lie beside a plugin's own and are no part of it.
NO_PART = ("setup.py", "conftest.py", "noxfile.py")

# What a program can do without, of the standard library: its tests, Tk, and what says or opens something when imported.
NOT_WANTED = {"test", "tests", "idlelib", "tkinter", "turtle", "turtledemo", "lib2to3", "ensurepip", "antigravity"}
NOT_WANTED |= {"this", "_tkinter", "__pycache__", "site-packages", "pydoc_data", "config", "__phello__"}


def standard_library() -> list[str]:
    """List the modules of the standard library, less its tests and Tk: a debugger imports many, also late."""
    found = set(sys.builtin_module_names)
    base = sysconfig.get_path("stdlib")
    for directory, names, files in os.walk(base):
        names[:] = [n for n in names if n not in NOT_WANTED and not n.startswith("config-")]
        package = os.path.relpath(directory, base).replace(os.sep, ".")
        prefix = "" if package in (".", "lib-dynload") else package + "."
        if prefix and "__init__.py" not in files:
            names[:] = []
            continue
        for file in files:
            name, _, suffix = file.partition(".")
            if name not in NOT_WANTED and (suffix == "py" or suffix.endswith("so")):
                found.add(package if name == "__init__" else prefix + name)
    return sorted(name for name in found if "test" not in name.rpartition(".")[2].split("_"))


def tools_to_leave_out(plan: dict[str, Any]) -> list[str]:
    """List the modules to exclude: tools that the plugin does not import itself, and what is PyInstaller's own."""
    own = [path for root in plan["roots"] for path in sources.python_files(root)]
    text = "\n".join(sources.read(path) for path in own if os.path.basename(path) not in NO_PART)
    imported = {line.split()[1].split(".")[0].rstrip(",;") for line in text.splitlines() if is_import(line)}
    imported |= {name.split(".")[0] for name in plan["imports"]}
    found = [name for name in TOOLS if name not in imported] + borrowed_packages(plan["borrowed"])
    found += SETUPTOOLS if "setuptools" not in imported else ()
    return found if plan["debug"] else [*found, "debugpy", "debugtool.plugin.agent"]


def borrowed_packages(directory: str) -> list[str]:
    """List the packages of the directory that PyInstaller was brought along in, which the environment itself lacks."""
    if not directory:
        return []
    names = {name.partition(".")[0] for name in os.listdir(directory) if not name.endswith(("-info", ".pth"))}
    path = [entry for entry in sys.path if entry != directory]
    return sorted(name for name in names if name.isidentifier() and PathFinder.find_spec(name, path) is None)


def is_import(line: str) -> bool:
    """Tell whether a line looks like an import."""
    return line.lstrip().startswith(("import ", "from ")) and len(line.split()) > 1
