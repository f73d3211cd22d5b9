"""Which PyInstaller freezes a plugin: that of the plugin's own environment, or one that is brought along."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from debugtool.errors import DebugtoolError, TimedOut

OLDEST, BELOW = (6, 16), (7,)
"""The versions of PyInstaller that the spec is written for."""

REQUIREMENT = f"pyinstaller>={'.'.join(map(str, OLDEST))},<{'.'.join(map(str, BELOW))}"

_ANSWER_S = 60.0
_INSTALL_S = 600.0

# `version`: of the PyInstaller in the environment, empty without one. `base`: the Python that the environment is of.
_QUESTION = """\
import json, sys
from importlib import metadata
try:
    version = metadata.version("pyinstaller")
except metadata.PackageNotFoundError:
    version = ""
base = getattr(sys, "_base_executable", None) or sys.executable
tag = "%s-%d.%d" % (sys.implementation.name, sys.version_info[0], sys.version_info[1])
print(json.dumps({"version": version, "base": base, "tag": tag}))
"""


@dataclass(frozen=True)
class PyInstaller:
    """A PyInstaller that can freeze.

    Attributes:
        version: Such as `6.22.3`.
        directory: Where it was brought along; None where it is in the environment of the plugin.
    """

    version: str
    directory: Path | None


def find_pyinstaller(interpreter: Path, say: Callable[[str], None]) -> PyInstaller:
    """Find the PyInstaller of a plugin's environment, or bring one along without changing that environment.

    What is brought along lies in a cache directory of this user (`XDG_CACHE_HOME`), one for each version of Python, and
    is installed once.

    Args:
        interpreter: The plugin's Python.
        say: Told when it is installed, which takes some seconds.

    Raises:
        DebugtoolError: The Python does not answer, or there is none and none can be installed.
        TimedOut: The installation took too long.
    """
    facts = _ask(interpreter)
    if _is_in_range(facts["version"]):
        return PyInstaller(facts["version"], None)
    home = _cache() / f"pyinstaller-{'.'.join(map(str, OLDEST))}-{facts['tag']}"
    with _locked(home):
        if not home.is_dir():
            say(f"Bringing PyInstaller along for {facts['tag']}, once, in {home}")
            _install(interpreter, Path(facts["base"]), home)
    name = next(home.glob("pyinstaller-*.dist-info")).name
    return PyInstaller(name.removeprefix("pyinstaller-").removesuffix(".dist-info"), home)


def _ask(interpreter: Path) -> dict[str, str]:
    try:
        done = subprocess.run(
            [str(interpreter), "-I", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=True,
        )
        answer: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DebugtoolError(
            f"{interpreter} does not say which PyInstaller it has.",
            why=f"{error}.",
            next_step="Make its virtual environment anew.",
        ) from error
    return answer


def _is_in_range(version: str) -> bool:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return OLDEST <= numbers < BELOW


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "debugtool"


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold a lock beside a directory: of two builds that want it, one installs."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(interpreter: Path, base: Path, home: Path) -> None:
    """Install beside and rename: an installation that was broken off is never taken for a whole one."""
    beside = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        _run_installer(_installer(interpreter, base), interpreter, beside)
        beside.chmod(0o755)
        beside.rename(home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _installer(interpreter: Path, base: Path) -> list[str]:
    """Choose who installs for that Python: its own pip, that of the Python it is of, or uv; environments may lack pip.

    Raises:
        DebugtoolError: None of them is there.
    """
    for python in dict.fromkeys((interpreter, base)):
        command = [str(python), "-m", "pip"]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return [*command, "install", "--disable-pip-version-check", "--no-warn-script-location"]
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", str(interpreter)]
    raise DebugtoolError(
        f"{interpreter} has no PyInstaller, and none could be brought along.",
        why=f"Neither it nor {base} has pip, and uv is not installed.",
        next_step=f"Install {REQUIREMENT} in the plugin's environment.",
    )


def _run_installer(installer: list[str], interpreter: Path, directory: Path) -> None:
    command = [*installer, "--quiet", "--target", str(directory), REQUIREMENT]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            f"PyInstaller could not be brought along for {interpreter}.",
            why=f"The installation had not ended after {_INSTALL_S:.0f} s.",
            next_step=f"Install {REQUIREMENT} in the plugin's environment.",
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DebugtoolError(
            f"{interpreter} has no PyInstaller, and none could be brought along.",
            why=(lines or [f"{installer[0]} ended with exit code {done.returncode}"])[-1].strip(),
            next_step=f"Install it when there is a network: {interpreter} -m pip install '{REQUIREMENT}'",
            details={"stderr": lines},
        )
