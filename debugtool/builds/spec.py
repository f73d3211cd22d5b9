"""The spec of a frozen build: what PyInstaller is told, in a file that can be looked at."""

from __future__ import annotations

import pprint
import secrets
from pathlib import Path
from typing import Any

import debugtool
from debugtool.builds.backend import PythonBackend
from debugtool.builds.pyinstaller import PyInstaller
from debugtool.builds.pyproject import read_names
from debugtool.errors import NotFound
from debugtool.files import make_directory, replace_file

_HERE = Path(__file__).resolve().parent
_FREEZING = _HERE / "freezing"
_AGENT = _HERE.parent / "plugin" / "agent"


def make_plan(
    backend: PythonBackend, pyinstaller: PyInstaller, directory: Path, *, debug: bool, onefile: bool
) -> dict[str, Any]:
    """Work out what goes into a frozen build.

    Args:
        backend: What is built.
        pyinstaller: What freezes it.
        directory: Where the spec will lie.
        debug: With the agent, as sources, not optimised.
        onefile: One file that unpacks itself at each start.

    Returns:
        `plan` of freezing/plugin.spec.tmpl.

    Raises:
        DebugtoolError: A setting is not what it should be.
        NotFound: `data` names what is not there.
    """
    entry = backend.entry.relative_to(backend.roots[0]).with_suffix("").as_posix()
    imports = read_names(backend.project, "imports", example='imports = ["module.loaded_by_name"]')[1]
    is_module = entry != "__main__"  # which PyInstaller leaves out, as a module
    return {
        "name": backend.artefact.name,
        "support": f"{backend.artefact.name}-{secrets.token_hex(4)}",
        "debug": debug,
        "onefile": onefile,
        # asserts out; docstrings stay, because libraries such as pandas work on theirs
        "optimize": 0 if debug else 1,
        "entry": entry,
        "source": str(backend.entry),
        "roots": [str(root) for root in backend.roots],
        "project": str(backend.project),
        "imports": [*([entry.replace("/", ".")] if is_module else []), *imports],
        "excludes": read_names(backend.project, "excludes", example='excludes = ["matplotlib"]')[1],
        "data": _data(backend),
        "launcher": str(directory / "launcher.py"),
        "scripts": [] if is_module else [str(backend.entry)],
        "freezing": str(_FREEZING),
        "agent": str(_AGENT) if debug else "",
        "debugtool": debugtool.__version__,
        "pyinstaller": pyinstaller.version,
        "borrowed": str(pyinstaller.directory or ""),
    }


def _data(backend: PythonBackend) -> list[tuple[str, str]]:
    """List the files that `data` names, as (destination, path): where the modules beside them find them."""
    project, patterns = read_names(backend.project, "data", example='data = ["templates/*.html"]')
    found: dict[str, str] = {}
    for pattern in patterns:
        matches = [path for path in sorted(project.glob(pattern)) if path.exists()]
        if not matches:
            raise NotFound(
                f"There is no {project / pattern}.",
                why=f"`data` in [tool.debugtool] of {project / 'pyproject.toml'} names it.",
                next_step="Correct it there; it is relative to the pyproject.toml.",
            )
        for path in (file for match in matches for file in ([match] if match.is_file() else match.rglob("*"))):
            base = next((root for root in backend.roots if path.is_relative_to(root)), project)
            if path.is_file():
                found[path.relative_to(base).as_posix()] = str(path)
    return sorted(found.items())


def write_spec(plan: dict[str, Any], directory: Path) -> Path:
    """Write the spec, and the script that it makes a program of.

    Raises:
        OSError: They could not be written.
    """
    make_directory(directory)
    head = f"ENTRY = {plan['entry']!r}\nIS_DEBUG = {plan['debug']!r}\n"
    launcher = head + (_FREEZING / "launcher.py").read_text(encoding="utf-8")
    _write_if_changed(Path(plan["launcher"]), launcher)
    template = (_FREEZING / "plugin.spec.tmpl").read_text(encoding="utf-8")
    spec = directory / "plugin.spec"
    _write_if_changed(spec, template.replace("{{plan}}", pprint.pformat(plan, width=110, sort_dicts=False)))
    return spec


def _write_if_changed(path: Path, text: str) -> None:
    """Write a file, unless it is the same: PyInstaller builds anew what is newer than its results."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        replace_file(path, text.encode("utf-8"))
