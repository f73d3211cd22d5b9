"""Puts the plugin's own modules and data into a frozen build, past PyInstaller.

All modules are files in the support directory, none is in an archive: the program starts sooner, and one that runs
while it is built anew never reads from a file that has changed under it. A debug build has the own ones as sources; a
release build has them compiled, with names relative to the support directory.

Runs at build time in the plugin's own Python: CPython 3.8 and later, standard library only.
"""

from __future__ import annotations

import json
import marshal
import os
import struct
from collections.abc import Iterable, Iterator
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any

from . import sources

RECORD = "debugtool-build.json"  # read by debugtool/build_record.py
AGENT = "debugtool_agent"  # imported by launcher.py

# Of the files beside own modules: sources of what is compiled, and what other tools have made.
NO_DATA = (".py", ".pyc", ".pyi", ".so", ".c", ".cc", ".cpp", ".h", ".pyx", ".pxd", ".o")

TYPE_CHECKING = False
if TYPE_CHECKING:
    Entry = tuple[str, str, str]


def whole(plan: dict[str, Any], workpath: str, found: dict[str, Any]) -> tuple[list[Entry], list[Entry]]:
    """Give the binaries and the data of the program, PyInstaller's lists of (destination, source, kind)."""
    own: dict[str, str] = {}
    for name, source in found["own"]:
        target = sources.destination(name, source)
        own.update(as_source(source, target) if plan["debug"] else compiled(source, target, plan, workpath))
    replaced = {target.rstrip("c") + "c" for target in own}
    datas = [entry for entry in found["datas"] if entry[0].replace(os.sep, "/") not in replaced]
    own.update(agent(plan["agent"]) if plan["debug"] else {})
    own[RECORD] = record(plan, workpath, found["own"])
    taken = {entry[0].replace(os.sep, "/") for entry in datas + found["binaries"]} | set(own)
    for target, source in [*own_data(found["own"], plan["project"]), *plan["data"]]:
        if target not in taken:
            own[target] = source
    binaries = [unstripped(*entry) for entry in found["binaries"]]
    return binaries, datas + [(target, source, "DATA") for target, source in sorted(own.items())]


def unstripped(target: str, source: str, kind: str) -> Entry:
    """Keep PyInstaller from stripping a library of a wheel, by calling it data.

    Wheels come stripped, and `strip` breaks what auditwheel has changed in them: numpy's OpenBLAS is not
    page-aligned any more then, and cannot be loaded.
    """
    is_library = kind in ("BINARY", "EXTENSION") and sources.is_installed(source)
    return (target, source, "DATA") if is_library else (target, source, kind)


def as_source(source: str, target: str) -> dict[str, str]:
    """Take a module as it is; a mistake in it is told now, not at the start."""
    compile_source(source, target, 0)
    return {target: source}


def compiled(source: str, target: str, plan: dict[str, Any], workpath: str) -> dict[str, str]:
    """Compile a module."""
    path = os.path.join(workpath, "own", *(target + "c").split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(bytecode(compile_source(source, target, plan["optimize"])))
    return {target + "c": path}


def compile_source(source: str, name: str, optimize: int) -> CodeType:
    """Compile a source; a mistake in it ends the build with its place."""
    with open(source, "rb") as file:
        data = file.read()
    try:
        code: CodeType = compile(data, name, "exec", dont_inherit=True, optimize=optimize)
        return code
    except (SyntaxError, ValueError) as error:
        raise SystemExit("ERROR: %s, line %s: %s" % (source, getattr(error, "lineno", "?"), error)) from None


def bytecode(code: CodeType) -> bytes:
    """Give the content of a .pyc file that is never compared with a source (PEP 552)."""
    return MAGIC_NUMBER + struct.pack("<I", 1) + bytes(8) + marshal.dumps(code)


def agent(directory: str) -> dict[str, str]:
    """Take the debug agent of the debugtool that builds, so that the plugin's environment need not have one."""
    names = [name for name in sorted(os.listdir(directory)) if name.endswith(".py")]
    return {AGENT + "/" + name: os.path.join(directory, name) for name in names}


def record(plan: dict[str, Any], workpath: str, own: list[tuple[str, str]]) -> str:
    """Write what the build says about itself, and give the file."""
    roots = sorted({sources.root_of(*module) for module in own}, key=lambda root: (root not in plan["roots"], root))
    content = {"debug": plan["debug"], "entry": plan["entry"] + ".py", "roots": roots if plan["debug"] else []}
    path = os.path.join(workpath, RECORD)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    return path


def own_data(own: Iterable[tuple[str, str]], project: str) -> Iterator[tuple[str, str]]:
    """List the files that lie in the directories of own modules and are no Python, as (destination, path).

    Programs read them as `Path(__file__).with_name(...)`. Beside a module in the project's own directory lies the whole
    project, so nothing is taken from there.
    """
    for name, source in own:
        root, directory = sources.root_of(name, source), os.path.dirname(os.path.abspath(source))
        if os.path.realpath(directory) == os.path.realpath(project):
            continue
        for entry in sorted(os.scandir(directory), key=lambda e: e.name):
            if entry.is_file() and not entry.name.startswith(".") and not entry.name.endswith(NO_DATA):
                yield os.path.relpath(entry.path, root).replace(os.sep, "/"), entry.path
