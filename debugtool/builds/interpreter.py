"""Which Python runs a plugin: that of the virtual environment its packages are installed in."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from debugtool.builds.pyproject import python_projects, read_tools
from debugtool.errors import DebugtoolError, TimedOut, Unsupported

_OLDEST = (3, 8)  # what the debug agent runs in
_OLDEST_FOR_PLUGINS = (3, 11)  # what debugtool.plugin runs in
# The first entry of sys.path is the working directory here and the program's directory there: neither counts.
_FACTS = "import sys; print(sys.implementation.name, *sys.version_info[:2]); sys.stdout.flush(); del sys.path[0]"
_IMPORTS_DEBUGTOOL = re.compile(r"^\s*(from|import)\s+debugtool\b", re.MULTILINE)
_TIMEOUT_S = 60.0


def find_interpreter(root: Path, virtual_env: str | None = None) -> Path:
    """Find the Python of the environment that the plugin's packages are in. It is not run.

    The first there is of: the project's `.venv` (uv's, and Poetry's where it is told to), the environment that Poetry
    keeps elsewhere, the project's `venv` or `env`, the `.venv` of the uv workspace that the project is a member of;
    each of them for the root and for `backend/`. Then the active environment: `virtual_env`, or Conda's
    (`CONDA_PREFIX`, unless it is Conda's own, `base`). Last is the Python that runs debugtool.

    Args:
        root: The plugin's project.
        virtual_env: The caller's `VIRTUAL_ENV`.

    Returns:
        An absolute path. A symlink stays one: it is what makes a virtual environment's Python find its packages. It may
        lead nowhere, where the environment is broken.

    Raises:
        DebugtoolError: A pyproject.toml is broken.
    """
    environment = next(_project_environments(root), None) or _active_environment(virtual_env)
    return environment.absolute() / "bin" / "python" if environment else Path(sys.executable)


def check_interpreter(interpreter: Path, root: Path, entry: Path) -> None:
    """See that an interpreter can run an editable debug build, without any environment variable as under Grafana.

    `debugtool.plugin` has to be installed for it only where the entry, or a source beside it, imports that.

    Raises:
        DebugtoolError: It does not run, or cannot import `debugtool.plugin`.
        Unsupported: It is no CPython, or older than 3.8.
        TimedOut: It did not end.
    """
    is_needed = any(imports_debugtool(path) for path in entry.parent.glob("*.py"))
    command = [str(interpreter), "-c", f"{_FACTS}; import debugtool.plugin" if is_needed else _FACTS]
    try:
        done = subprocess.run(
            command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            f"{interpreter} did not start.",
            why=f"It had not ended after {_TIMEOUT_S:.0f} s.",
            next_step=f"Run it and look: {shlex.join(command)}",
        ) from error
    except OSError as error:
        raise DebugtoolError(
            f"Could not run {interpreter}.",
            why=f"{error.strerror}.",
            next_step=f"Make the virtual environment anew: python3 -m venv {interpreter.parents[1]}",
        ) from error
    name, _, version = done.stdout.strip().partition(" ")
    numbers = tuple(int(number) for number in version.split())
    if numbers and (name != "cpython" or numbers < _OLDEST):
        raise Unsupported(
            f"{interpreter} cannot run a debug build.",
            why=f"It is {name} {'.'.join(map(str, numbers))}; the debugger needs CPython 3.8 or later.",
            next_step="Make the plugin's environment with another Python.",
        )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DebugtoolError(
            f"{interpreter} cannot run the plugin.",
            why=f"Importing debugtool.plugin failed: {reason}" if numbers else reason,
            next_step=_how_to_install(root, interpreter, numbers),
        )


def imports_debugtool(source: Path) -> bool:
    """Tell whether a source file imports `debugtool.plugin`, or anything else of debugtool."""
    return _IMPORTS_DEBUGTOOL.search(_text(source)) is not None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # an editor's lock file is a link that leads nowhere


def _how_to_install(root: Path, interpreter: Path, version: tuple[int, ...]) -> str:
    if version < _OLDEST_FOR_PLUGINS:
        return "Make the plugin's environment with Python 3.11 or later, which debugtool.plugin needs."
    for project in python_projects(root):
        for lock, tool in (("uv.lock", "uv"), ("poetry.lock", "poetry")):
            if (project / lock).is_file():
                return f"Install debugtool for the plugin: {tool} add debugtool"
    return f"Install debugtool for the plugin: {interpreter} -m pip install debugtool"


def _project_environments(root: Path) -> Iterator[Path]:
    for project in python_projects(root):
        if _has_python(project / ".venv"):
            yield project / ".venv"
        if poetrys := _poetry_environment(project):
            yield poetrys
        for name in ("venv", "env"):
            if (project / name / "pyvenv.cfg").is_file():
                yield project / name
    for project in python_projects(root):
        workspace = _uv_workspace(project)
        if workspace and _has_python(workspace / ".venv"):
            yield workspace / ".venv"


def _active_environment(virtual_env: str | None) -> Path | None:
    conda = os.environ.get("CONDA_PREFIX") if os.environ.get("CONDA_DEFAULT_ENV") not in ("base", "root") else None
    return next((Path(path) for path in (virtual_env, conda) if path and _has_python(Path(path))), None)


def _has_python(environment: Path) -> bool:
    return os.path.lexists(environment / "bin" / "python")  # a broken link is an environment to be told about


def _uv_workspace(project: Path) -> Path | None:
    """Find the uv workspace that a project is a member of: uv keeps one environment for all of them, at its root."""
    for above in project.parents:
        if (above / "uv.lock").is_file():
            workspace = read_tools(above).get("uv", {}).get("workspace", {})
            members = {member for pattern in workspace.get("members", ()) for member in above.glob(pattern)}
            left_out = {member for pattern in workspace.get("exclude", ()) for member in above.glob(pattern)}
            return above if project in members - left_out else None
    return None


def _poetry_environment(project: Path) -> Path | None:
    """Find the environment that Poetry keeps for a project in a directory of its own.

    Its name ends with a hash of the project's directory and the Python's version. Where there is not exactly one of
    them where Poetry puts them by default, Poetry is asked, if it is installed.

    Source:
        Poetry 1.0 to 2.5, `EnvManager.generate_env_name` and `Config.virtualenvs_path`.
    """
    if not ((project / "poetry.lock").is_file() or "poetry" in read_tools(project)):
        return None
    digest = hashlib.sha256(os.path.realpath(project).encode()).digest()
    pattern = f"*-{base64.urlsafe_b64encode(digest).decode()[:8]}-py*"
    found = [path for path in _poetry_directory().glob(pattern) if _has_python(path)]
    return found[0] if len(found) == 1 else _ask_poetry(project)


def _poetry_directory() -> Path:
    if directory := os.environ.get("POETRY_VIRTUALENVS_PATH"):
        return Path(directory)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("POETRY_CACHE_DIR") or caches / "pypoetry") / "virtualenvs"


def _ask_poetry(project: Path) -> Path | None:
    poetry = shutil.which("poetry")
    if poetry is None:
        return None
    command = [poetry, "env", "info", "--path", "--no-ansi", "--no-interaction", "--directory", str(project)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # a Poetry that does not run: what else there is will be named in the result
    path = Path(done.stdout.strip())
    return path if done.returncode == 0 and path.is_absolute() and _has_python(path) else None
