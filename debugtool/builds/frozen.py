"""The frozen build: a program that holds the plugin, its libraries and its Python, made by PyInstaller."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from debugtool.builds.assets import copy_assets
from debugtool.builds.backend import PythonBackend, find_python_backend
from debugtool.builds.freeze import run_pyinstaller
from debugtool.builds.pyinstaller import find_pyinstaller
from debugtool.builds.spec import make_plan, write_spec
from debugtool.builds.staging import (
    build_lock,
    give_to_owner,
    make_build_directory,
    remove_unused,
    staging_beside,
    swap,
)
from debugtool.errors import DebugtoolError, Unsupported
from debugtool.files import write_failure
from debugtool.system import fault_point, goos_goarch

_LOG = "pyinstaller.log"
_MISSING = re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'", re.MULTILINE)
_ANSWER_S = 60.0


@dataclass(frozen=True)
class FreezeRequest:
    """What `debugtool build` was asked for.

    Attributes:
        directory: The project, or a directory in it.
        debug: With the debug agent, the whole standard library, and the plugin's own modules as sources.
        onefile: One file, which unpacks itself at each start.
        verify: Whether the program is started once before it is put into dist/.
        target: `os/arch` in Go's words; None for this machine.
    """

    directory: Path
    debug: bool = False
    onefile: bool = False
    verify: bool = True
    target: str | None = None


@dataclass(frozen=True)
class FrozenBuild:
    """What a frozen build made.

    Attributes:
        plugin_id: `id` of its plugin.json.
        artefact: The program in dist/ that the host starts.
        support: The directory beside it with all that it needs; None for a onefile program.
        entry: The source file that it begins with.
        interpreter: The Python that it was frozen with.
        spec: What PyInstaller was told.
        log: What PyInstaller said.
        copied: The files of dist/ that were brought up to date.
        still_used: Support directories of earlier builds that a process runs from.
        start_ms: From start to handshake line when it was tried, milliseconds; None when it was not.
        elapsed_ms: How long the build took, milliseconds.
    """

    plugin_id: str
    artefact: Path
    support: Path | None
    entry: Path
    interpreter: Path
    spec: Path
    log: Path
    copied: tuple[Path, ...]
    still_used: tuple[Path, ...]
    start_ms: int | None
    elapsed_ms: int


def build_frozen(request: FreezeRequest, say: Callable[[str], None]) -> FrozenBuild:
    """Make `dist/<executable>_<os>_<arch>` of a Python plugin.

    It is built beside dist/'s program, started once, and swapped for it in one step. A plugin that runs from the old
    one runs on: the directory that it runs from stays until a build finds it unused.

    Args:
        request: What to build.
        say: Told what happens just now.

    Raises:
        NotFound: There is no plugin.json, or no entry point.
        Unsupported: The target is another platform than this one.
        DebugtoolError: No PyInstaller can be had, it failed, the program does not start, or dist/ cannot be written.
            What was in dist/ is as it was.
    """
    started = time.monotonic()
    _refuse_other_platforms(request)
    backend = find_python_backend(request.directory)
    base = backend.project / "build" / "debugtool"
    try:
        make_build_directory(base)
        with build_lock(base), staging_beside(backend.artefact) as staging:
            staged = _freeze(request, backend, base, staging, say)
            fault_point("frozen")
            start_ms = _try_start(staged.program, backend, say) if request.verify else None
            fault_point("tried")
            copied = copy_assets(backend.manifest, backend.dist)
            support = swap(staged.program, staged.support, backend.artefact)
            still_used = remove_unused(backend.artefact, support)
    except OSError as error:
        advice = "Make it writable for this user, or remove what is in the way."
        raise write_failure(f"Could not write {backend.dist}.", backend.dist, error, advice) from error
    return FrozenBuild(
        plugin_id=backend.manifest.id,
        artefact=backend.artefact,
        support=support,
        entry=backend.entry,
        interpreter=backend.interpreter,
        spec=staged.spec,
        log=staged.log,
        copied=tuple(copied),
        still_used=tuple(still_used),
        start_ms=start_ms,
        elapsed_ms=round((time.monotonic() - started) * 1000),
    )


@dataclass(frozen=True)
class _Staged:
    """A build that is not in dist/ yet."""

    program: Path
    support: Path | None
    spec: Path
    log: Path


def _freeze(
    request: FreezeRequest, backend: PythonBackend, base: Path, staging: Path, say: Callable[[str], None]
) -> _Staged:
    """Have PyInstaller make the program.

    Args:
        request: What to build.
        backend: Of what.
        base: Directory of intermediate results, which later builds use again.
        staging: Where the program is put.
        say: See `build_frozen`.
    """
    pyinstaller = find_pyinstaller(backend.interpreter, say)
    directory = base / f"{backend.artefact.name}-{'debug' if request.debug else 'release'}"
    plan = make_plan(backend, pyinstaller, directory, debug=request.debug, onefile=request.onefile)
    spec, log = write_spec(plan, directory), directory / _LOG
    say(f"Freezing with PyInstaller {pyinstaller.version}; its log is {log}")
    run_pyinstaller(backend.interpreter, pyinstaller, spec, staging, log, say)
    give_to_owner(base)
    give_to_owner(staging)
    built = staging / plan["name"]
    if request.onefile:
        return _Staged(built, None, spec, log)
    return _Staged(built / plan["name"], built / plan["support"], spec, log)


def _refuse_other_platforms(request: FreezeRequest) -> None:
    here = "/".join(goos_goarch())
    if request.target not in (None, here):
        raise Unsupported(
            f"Cannot build {request.directory.absolute()} for {request.target}.",
            why=f"A frozen program holds this machine's Python and libraries; this is {here}.",
            next_step=f"Run debugtool build on {request.target}, in a CI job or a container of that platform.",
        )


def _try_start(program: Path, backend: PythonBackend, say: Callable[[str], None]) -> int:
    """Start the built program once; give the milliseconds to its handshake line.

    Raises:
        DebugtoolError: It does not start; a module that PyInstaller did not find is named.
    """
    from debugtool.devhost import try_start

    say("Starting it once")
    try:
        return round(try_start(program) * 1000)
    except DebugtoolError as error:
        stderr = error.details.get("stderr")
        missing = _MISSING.search("\n".join(stderr) if isinstance(stderr, list) else "")
        if missing:
            raise _missing_module(missing[1], backend, error) from error
        raise


def _missing_module(name: str, backend: PythonBackend, error: DebugtoolError) -> DebugtoolError:
    what = f"The program that was built of {backend.entry} does not start; dist/ is as it was."
    if _can_import(backend, name):
        why = f"No module named {name!r} in it: nothing imports that by name where PyInstaller can see it."
        advice = f'Add to pyproject.toml, in [tool.debugtool]: imports = ["{name}"]'
    else:
        why = f"No module named {name!r}: {backend.interpreter} does not find it either."
        advice = "Install it in the plugin's environment."
    return DebugtoolError(what, why=why, next_step=advice, details=error.details)


def _can_import(backend: PythonBackend, name: str) -> bool:
    """Say whether the plugin's own Python finds a module."""
    code = (
        "import importlib.util, sys; sys.path[:0] = sys.argv[2:]; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    )
    command = [str(backend.interpreter), "-c", code, name, *map(str, backend.roots)]
    try:
        done = subprocess.run(command, env={}, cwd="/", capture_output=True, timeout=_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
