"""The program in dist/: whether the host can start it, what kind of build it is, and whether it is up to date."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from debugtool import processes
from debugtool.doctor.finding import Finding, Status
from debugtool.manifest import Manifest, artefact_name, editable_source, strip_platform
from debugtool.model import Runtime

_BUILD = "build it: debugtool build"
_NOT_SOURCES = {"venv", "env", "node_modules", "dist", "build", "__pycache__"}

# Source: ELF header (elf(5)): magic, and e_machine as two bytes at offset 18; values in include/uapi/linux/elf-em.h.
_ELF = b"\x7fELF"
_MACHINES = {"x86_64": 62, "aarch64": 183, "i686": 3, "armv7l": 40, "riscv64": 243, "s390x": 22, "ppc64le": 21}


def find_program(manifest: Manifest) -> Path | None:
    """Name the program that the host starts, in dist/, whether it is there or not; None when plugin.json names none."""
    root = manifest.project_root
    base = root / "src"
    if manifest.executable is None:
        return None
    if not manifest.directory.is_relative_to(base):
        base = root / "dist" if manifest.directory.is_relative_to(root / "dist") else root
    below = manifest.directory.relative_to(base)
    return Path(os.path.normpath(root / "dist" / below / artefact_name(manifest.executable)))


def check_artefact(program: Path) -> Finding:
    """See that the host can start the program in dist/."""
    if program.is_dir():
        why = "the host starts a file of that name"
        return Finding("artefact", Status.PROBLEM, f"{program} is a directory.", why, f"remove it, and {_BUILD}")
    if not program.exists():
        others = [path.name for path in sorted(program.parent.glob("*")) if _is_other_platforms(path, program)]
        if others:
            why = f"{program.parent} has {', '.join(others)}; the host starts the one of its own platform only"
            return Finding("artefact", Status.WARNING, f"There is no {program.name}.", why, _BUILD)
        return Finding("artefact", Status.INFO, f"{program} is not built yet.", "", _BUILD)
    if not os.access(program, os.X_OK):
        why = f"its mode is {program.stat().st_mode & 0o7777:04o}: the host cannot start it"
        return Finding("artefact", Status.PROBLEM, f"{program} is not executable.", why, f"chmod +x {program}")
    why_not = _why_not_startable(program)
    if why_not:
        return Finding("artefact", Status.PROBLEM, f"{program} does not start here.", why_not, _BUILD)
    return Finding("artefact", Status.OK, f"{program} can be started: {_kind(program)}.")


def _is_other_platforms(path: Path, program: Path) -> bool:
    return path.is_file() and path != program and strip_platform(path.name) == strip_platform(program.name) != path.name


def _why_not_startable(program: Path) -> str | None:
    """Read the start of the file as the kernel does: a script's interpreter, or the ELF header's machine."""
    try:
        with program.open("rb") as file:
            head = file.read(256)
    except PermissionError:
        return None  # it may be executed without being read
    source = editable_source(program)
    if source is not None and not source.is_file():
        return f"it is an editable build that runs {source}, which is gone"
    if head.startswith(b"#!"):
        words = os.fsdecode(head[2:].partition(b"\n")[0]).split()
        if not words or not os.access(words[0], os.X_OK):
            return f"its interpreter {words[0] if words else ''} is gone"
        return None
    if not head.startswith(_ELF):
        return "it is no program: neither ELF nor a script"
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    if machine != _MACHINES.get(platform.machine(), machine):
        known = {number: name for name, number in _MACHINES.items()}
        return f"it is for {known.get(machine, f'machine {machine}')}, this is {platform.machine()}"
    return None


def _kind(program: Path) -> str:
    if editable_source(program) is not None:
        return "an editable debug build"
    examined = processes.examine_file(str(program))
    if examined.runtime is Runtime.FROZEN:
        kind = "PyInstaller's debug build" if is_debug_build(program) else "PyInstaller's"
        return f"{kind}, with CPython {examined.version}"
    if examined.runtime is Runtime.GO:
        debug = examined.go is not None and examined.go.optimised is False
        return f"a {'debug' if debug else 'release'} build of {examined.version or 'go'}"
    return "what kind of build it is cannot be told"


def is_debug_build(program: Path) -> bool:
    """Say whether a program lets debugtool in by itself."""
    return editable_source(program) is not None or processes.is_frozen_debug_build(program)


def check_freshness(program: Path, roots: list[Path]) -> Finding | None:
    """See that no source is newer than the program; None where it runs the sources themselves, or is not there."""
    if not program.is_file() or editable_source(program) is not None:
        return None
    built = program.stat().st_mtime
    newer = next((path for root in roots for path in _sources(root) if path.lstat().st_mtime > built), None)
    if newer is not None:
        what = f"{program} is older than its sources."
        return Finding(
            "stale-build", Status.WARNING, what, f"{newer} was written later", "build again: debugtool build"
        )
    return Finding("stale-build", Status.OK, "The program is as new as its sources.")


def _sources(root: Path) -> Iterator[Path]:
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [name for name in subdirectories if name not in _NOT_SOURCES and not name.startswith(".")]
        # an editor's lock (`.#main.py`) is no source, and newer than any build while a file is being edited
        seen = (name for name in names if name.endswith((".py", ".go")) and not name.startswith("."))
        yield from (Path(directory, name) for name in seen)
