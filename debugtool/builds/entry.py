"""Which file starts a Python plugin, and which interpreter runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from debugtool.errors import DebugtoolError, NotFound, TimedOut

_DEFAULT = "backend"
_MAIN_FILES = ("main.py", "__main__.py")

# The first entry of sys.path is the working directory here and the program's directory there: neither counts.
_IMPORT_CHECK = "import sys; del sys.path[0]; from debugtool.plugin import agent, editable"
_IMPORT_TIMEOUT_S = 60.0


def find_entry(root: Path) -> Path:
    """Find the file that starts the plugin.

    Args:
        root: The project. Its pyproject.toml may say `[tool.debugtool] entry = "path"`, a file or a directory; else it
            is `backend/`. In a directory it is `main.py` or `__main__.py`.

    Returns:
        An absolute path; symlinks in it stay.

    Raises:
        NotFound: There is no such file.
        DebugtoolError: pyproject.toml is broken.
    """
    entry = _configured_entry(root / "pyproject.toml") or _DEFAULT
    path = Path(os.path.normpath(root.absolute() / entry))
    candidates = [path] if path.suffix == ".py" else [path / name for name in _MAIN_FILES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise NotFound(
        f"The plugin in {root} has no entry point.",
        why=f"There is no {' and no '.join(str(candidate) for candidate in candidates)}.",
        next_step='Create it, or name the file in pyproject.toml: [tool.debugtool] entry = "path/to/main.py"',
    )


def _configured_entry(pyproject: Path) -> str | None:
    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # unreadable; not UTF-8 or not TOML
        raise DebugtoolError(
            f"Could not read {pyproject}.", why=f"{error}.", next_step="Correct the file and try again."
        ) from error
    entry = document.get("tool", {}).get("debugtool", {}).get("entry")
    if entry is None or (isinstance(entry, str) and entry):
        return entry
    raise DebugtoolError(
        f"{pyproject} is not usable.",
        why=f"`entry` in [tool.debugtool] is {entry!r}, not a path.",
        next_step='Write for example: entry = "backend/main.py"',
    )


def find_interpreter(root: Path, virtual_env: str | None = None) -> Path:
    """Choose the Python that runs the plugin, and see that it can.

    Args:
        root: The project; its own `.venv` comes first.
        virtual_env: The caller's `VIRTUAL_ENV`, which comes second. Last is the Python that runs debugtool.

    Returns:
        An absolute path. A symlink stays one: it is what makes a virtual environment's Python find its packages.

    Raises:
        DebugtoolError: That one cannot import `debugtool.plugin`, without any environment variable as under Grafana.
        TimedOut: It did not end.
    """
    interpreter = Path(sys.executable)
    for environment in (root / ".venv", Path(virtual_env) if virtual_env else None):
        if environment is not None and os.path.lexists(environment / "bin" / "python"):
            interpreter = environment.absolute() / "bin" / "python"
            break
    _check_import(interpreter)
    return interpreter


def _check_import(interpreter: Path) -> None:
    command = [str(interpreter), "-c", _IMPORT_CHECK]
    try:
        done = subprocess.run(
            command, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            f"{interpreter} did not import debugtool.plugin.",
            why=f"It had not ended after {_IMPORT_TIMEOUT_S:.0f} s.",
            next_step=f'Run it and look: {interpreter} -c "import debugtool.plugin"',
        ) from error
    except OSError as error:
        raise DebugtoolError(
            f"Could not run {interpreter}.",
            why=f"{error.strerror}.",
            next_step=f"Make the virtual environment anew: python3 -m venv {interpreter.parents[1]}",
        ) from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DebugtoolError(
            f"{interpreter} cannot run a debug build.",
            why=f"Importing debugtool.plugin failed: {lines[-1] if lines else f'exit code {done.returncode}'}",
            next_step=f"Install debugtool for the plugin: {interpreter} -m pip install debugtool",
        )
