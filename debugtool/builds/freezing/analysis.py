"""PyInstaller's analysis, kept from one build to the next.

An analysis reads the modules of all libraries and takes most of a build's time. What it finds depends on the plugin's
own sources by what they import only, so an edit inside of them leaves it as it was.

Runs at build time in the plugin's own Python: CPython 3.8 and later, standard library only.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import sys
from typing import Any

from . import sources

STATE = "debugtool-analysis.json"

# A file that mentions one of these may name in a text what is to be collected.
BY_NAME = ("ctypes", "importlib", "metadata", "pkg_resources", "__import__", "cffi", "hiddenimports")

TYPE_CHECKING = False
if TYPE_CHECKING:
    Found = dict[str, list[tuple[Any, ...]]]

VARIABLE = ("support", "data", "onefile")  # of the plan: what an analysis does not depend on


def last(depends: object, workpath: str) -> Found | None:
    """Give what the last build's analysis found; None where it would find something else now.

    Args:
        depends: What `depends_on` says now.
        workpath: PyInstaller's directory of intermediate results.

    Returns:
        `scripts`, `binaries`, `datas`: PyInstaller's lists of (destination, source, kind). `own`: (name, source) of the
        plugin's own modules.
    """
    try:
        with open(os.path.join(workpath, STATE), encoding="utf-8") as file:
            state = json.load(file)
        if state["depends"] == depends and all(facts_of(path) == facts for path, facts in state["others"]):
            found = state["found"]
            return {name: [tuple(entry) for entry in found[name]] for name in ("scripts", "binaries", "datas", "own")}
    except (OSError, ValueError, KeyError):
        pass
    forget(workpath)
    return None


def forget(workpath: str) -> None:
    """Remove all intermediate results: PyInstaller takes up what is there, that of another Python too."""
    shutil.rmtree(workpath)
    os.mkdir(workpath)


def keep(depends: object, plan: dict[str, Any], workpath: str, analysis: Any) -> Found:
    """Write down what an analysis found, and give it as `last` does."""
    modules = [(str(node.identifier), node.filename) for node in analysis.graph.nodes() if is_source(node)]
    own = {module for module in modules if sources.is_own(module[1], plan)}
    own.add((plan["entry"].replace("/", "."), plan["source"]))
    scripts = [entry for entry in analysis.scripts if entry[1] not in plan["scripts"]]
    found = {"scripts": scripts, "binaries": analysis.binaries, "datas": analysis.datas, "own": sorted(own)}
    # what depends_on looks into may change; other own sources, of projects installed in place, may not
    looked_into = {path for root in plan["roots"] for path in sources.python_files(root)}
    read = {path for _, path in modules} - looked_into - {plan["launcher"]}
    read |= {path for _, path, kind in found["binaries"] + found["datas"] if kind != "SYMLINK"}
    others = [(path, facts_of(path)) for path in sorted(read)]
    state = {"depends": depends, "others": others, "found": found}
    with open(os.path.join(workpath, STATE), "w", encoding="utf-8") as file:
        json.dump(state, file)
    return found


def is_source(node: Any) -> bool:
    """Tell whether a node of PyInstaller's graph is a module with a source."""
    name = type(node).__name__
    return name in ("SourceModule", "Package", "InvalidSourceModule") and str(node.filename).endswith(".py")


def facts_of(path: str) -> list[int]:
    """Say by what a file is known to be the same."""
    facts = os.stat(path)
    return [facts.st_size, facts.st_mtime_ns]


def depends_on(plan: dict[str, Any]) -> object:
    """Describe what decides an analysis, beside the files that it reads.

    To be asked for before it begins: an edit while it runs is none that it has seen.
    """
    packages = [path for path in sys.path if sources.is_installed(path) and os.path.isdir(path)]
    installed = [(path, os.stat(path).st_mtime_ns) for path in packages]
    imports = {path: fingerprint(path) for root in plan["roots"] for path in sources.python_files(root)}
    wanted = {name: value for name, value in plan.items() if name not in VARIABLE}
    return json.loads(json.dumps([wanted, sys.version, installed, imports]))


def fingerprint(path: str) -> str:
    """Say what a source asks PyInstaller to collect, as a hash: two sources with the same one need the same modules."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return hashlib.sha256(data).hexdigest()
    wanted = [ast.dump(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    if any(word in data.decode("utf-8", "replace") for word in BY_NAME):
        wanted += [repr(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return hashlib.sha256("\n".join(wanted).encode("utf-8", "replace")).hexdigest()
