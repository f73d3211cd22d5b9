"""The project in the working directory: whether it can be built, and what its dist/ holds."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from debugtool import builds
from debugtool.doctor.finding import Finding, Status, of_error
from debugtool.errors import DebugtoolError
from debugtool.manifest import Manifest

_ANSWER_S = 30.0

# PyInstaller's own range. Source: Requires-Python of PyInstaller 6.22.
_OLDEST, _NEWEST = (3, 8), (3, 15)

# Where the library of a Python is. Source: PyInstaller 6.22, bindepend.get_python_library_path: Debian's program is not
# linked with its library, and Anaconda has one although it says that it has none.
_QUESTION = """\
import importlib.util, json, os, sys, sysconfig
ask = sysconfig.get_config_var
library = ask("INSTSONAME") if ask("Py_ENABLE_SHARED") else "libpython%d.%d.so.1.0" % sys.version_info[:2]
places = [ask("LIBDIR") or "", sys.base_prefix, sys.base_prefix + "/lib"]
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "implementation": sys.implementation.name,
    "pyinstaller": importlib.util.find_spec("PyInstaller") is not None,
    "library": any(os.path.exists(os.path.join(place, library)) for place in places),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """What a plugin's own Python says about itself.

    Attributes:
        path: Its file.
        version: Major, minor and patch level.
        implementation: `cpython` or another.
        has_pyinstaller: Whether PyInstaller is in its environment.
        has_library: Whether it has a libpython, which a frozen program is made of.
    """

    path: Path
    version: tuple[int, ...]
    implementation: str
    has_pyinstaller: bool
    has_library: bool

    def __str__(self) -> str:
        return f"{self.implementation} {'.'.join(map(str, self.version))}, {self.path}"


def check_plugin_json(manifest: Manifest) -> Finding:
    """See that plugin.json describes a backend."""
    missing = "`backend` is not true" if not manifest.backend else "`executable` is missing"
    if manifest.backend and manifest.executable:
        return Finding("plugin-json", Status.OK, f"{manifest.path} names the backend {manifest.executable}.")
    return Finding(
        "plugin-json",
        Status.PROBLEM,
        f"The plugin {manifest.id} has no backend.",
        f"in {manifest.path} {missing}",
        f'add to it: "backend": true, "executable": "{manifest.executable or manifest.id}"',
    )


def check_entry_point(root: Path) -> tuple[Finding, Path | None]:
    """Find the file that starts the plugin, and give it; see that the directories of its own modules are there."""
    try:
        entry = builds.find_entry(root)
        builds.source_roots(root, entry)
    except DebugtoolError as error:
        return of_error("entry-point", error), None
    return Finding("entry-point", Status.OK, f"{entry}."), entry


def check_interpreter(root: Path, entry: Path) -> tuple[Finding, Interpreter | None]:
    """Find the plugin's own Python, and see that it can run the plugin; give it where it can."""
    try:
        path = builds.find_interpreter(root, os.environ.get("VIRTUAL_ENV"))
        builds.check_interpreter(path, root, entry)
        interpreter = ask_interpreter(path)
    except DebugtoolError as error:
        return of_error("interpreter", error), None
    return Finding("interpreter", Status.OK, f"{interpreter}."), interpreter


def ask_interpreter(path: Path) -> Interpreter:
    """Ask a Python what it is and has.

    Raises:
        DebugtoolError: It does not answer.
    """
    try:
        done = subprocess.run(
            [str(path), "-c", _QUESTION],
            cwd="/",  # the first entry of its sys.path: no module lies there
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DebugtoolError(
            f"{path} does not say what it is.", why=f"{error}.", next_step="Make its virtual environment anew."
        ) from error
    return Interpreter(
        path, tuple(answer["version"]), answer["implementation"], answer["pyinstaller"], answer["library"]
    )


def check_pyinstaller(interpreter: Interpreter) -> Finding:
    """See that PyInstaller can make a program of this Python."""
    version = ".".join(map(str, interpreter.version[:2]))
    if interpreter.implementation != "cpython" or not _OLDEST <= interpreter.version[:2] <= _NEWEST:
        return Finding(
            "pyinstaller",
            Status.PROBLEM,
            f"PyInstaller cannot freeze {interpreter}.",
            f"it knows CPython {_words(_OLDEST)} to {_words(_NEWEST)}",
            "make the plugin's virtual environment with one of these",
        )
    if not interpreter.has_library:
        return Finding(
            "pyinstaller",
            Status.PROBLEM,
            f"PyInstaller cannot freeze {interpreter}.",
            "this Python has no shared library (libpython), which a frozen program needs",
            f"give it one (Debian: apt-get install libpython{version}; pyenv: build it with "
            "PYTHON_CONFIGURE_OPTS=--enable-shared), or use another Python",
        )
    if not interpreter.has_pyinstaller:
        what = f"{interpreter.path} has no PyInstaller; debugtool build brings its own along."
        return Finding("pyinstaller", Status.INFO, what)
    return Finding("pyinstaller", Status.OK, f"In the environment of {interpreter.path}.")


def _words(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def check_dist(root: Path) -> Finding:
    """See that dist/ can be written."""
    dist = root / "dist"
    place = dist if os.path.lexists(dist) else root
    if not place.is_dir():
        what, advice = f"{place} is no directory.", f"remove {place}"
        return Finding("dist", Status.PROBLEM, what, "a build puts the program there", advice)
    if not os.access(place, os.W_OK | os.X_OK):
        why = f"uid {os.geteuid()} may not write {place}, or its file system is read-only"
        advice = f"give it to this user: sudo chown -R {os.geteuid()} {place}"
        return Finding("dist", Status.PROBLEM, f"{dist} cannot be written.", why, advice)
    return Finding("dist", Status.OK, f"{dist} can be written.")
