"""A standard library for a frozen program: that of a CPython of the same version on this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import pwd
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debugtool.debuggers.location import is_readable_by, private_copy
from debugtool.errors import Unsupported
from debugtool.model import Target
from debugtool.system import python_version_in

# What importing debugpy and pydevd cannot do without, of modules that distributions leave out of their small packages
# or that frozen programs commonly lack. Found by importing them in CPython 3.8 to 3.13 and looking at sys.modules.
_MODULES = (
    *("__future__", "abc", "ast", "bisect", "code", "codeop", "collections", "contextlib", "ctypes", "dataclasses"),
    *("dis", "email", "fnmatch", "functools", "getpass", "glob", "html", "http", "inspect", "json", "linecache"),
    *("opcode", "pathlib", "pickle", "pkgutil", "platform", "pydoc", "queue", "random", "re", "selectors", "shutil"),
    *("signal", "site", "socket", "socketserver", "string", "struct", "subprocess", "sysconfig", "threading", "token"),
    *("tokenize", "traceback", "types", "typing", "urllib", "warnings", "weakref", "xml", "xmlrpc", "zipfile"),
)
_SYSTEM = ("/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64")
_NOT_NEEDED = (
    *("test", "tests", "idlelib", "tkinter", "site-packages", "dist-packages", "ensurepip", "lib2to3", "turtledemo"),
    *("config-*", "__pycache__"),
)
_FILES = ("xmlrpc/server.py", "http/server.py", "ctypes/__init__.py", "urllib/parse.py", "xml/parsers/expat.py")
_EXTENSIONS = ("_ctypes", "_posixsubprocess", "_random", "_socket", "_struct", "binascii", "math", "pyexpat", "select")


@dataclass(frozen=True)
class StandardLibrary:
    """The standard library of a CPython, as files.

    Attributes:
        directory: `lib/pythonX.Y`.
        version: Of the CPython, e.g. "3.11.7"; None when its files do not tell.
    """

    directory: Path
    version: str | None

    @property
    def extensions(self) -> Path:
        """The directory of its extension modules."""
        return self.directory / "lib-dynload"


def find_standard_library(target: Target) -> StandardLibrary | None:
    """Find the standard library that completes a frozen program: same minor version, build flags and machine.

    Only files are looked at; no interpreter is run. The same patch level comes first, then the nearest one.

    Args:
        target: A frozen program with its version; what it holds itself need not be in the library.

    Returns:
        None when there is none on this machine that has all that a debugger imports.
    """
    whole = [directory for directory, missing in _search(target) if not missing]
    minor = _minor(target)
    found = [StandardLibrary(directory, _version_of(directory, minor)) for directory in whole]
    return min(found, key=lambda library: _distance(library.version, target.runtime_version), default=None)


def standard_library_directories(target: Target) -> tuple[Path, Path]:
    """Give the standard library that completes a frozen program, and its extension modules, where its user can read.

    Raises:
        Unsupported: There is none on this machine.
    """
    found = find_standard_library(target)
    if found is None:
        raise explain_no_standard_library(target)
    directory = found.directory
    if not is_readable_by(directory / "os.py", target.uid) or not is_readable_by(found.extensions, target.uid):
        directory = private_copy(directory, "python", target.uid, leave_out=_NOT_NEEDED)
    return directory, directory / "lib-dynload"


def explain_no_standard_library(target: Target) -> Unsupported:
    """Say why no standard library of this machine completes a frozen program: the error to raise."""
    parts = [f"the one in {directory} lacks {', '.join(sorted(missing))}" for directory, missing in _search(target)]
    return Unsupported(
        f"Cannot debug {target}: it is a release build.",
        why="; ".join(
            [
                "PyInstaller left out parts of the standard library that the debugger needs, and no CPython "
                f"{_minor(target)} on this machine completes it (it was built with {target.runtime_version})",
                *parts,
            ]
        ),
        next_step="make a debug build: debugtool build --debug (or install that CPython and attach again)",
    )


def _search(target: Target) -> Iterator[tuple[Path, set[str]]]:
    """List the standard libraries of the target's version, each with what it lacks that the target does not hold."""
    minor = _minor(target)
    if not minor:
        return
    flags = build_flags(target)
    held: set[str] | None = None
    for directory in _unique(_places(minor + flags.replace("d", ""), target.uid)):
        missing = _missing(directory, minor, flags)
        if missing is None:
            continue
        if missing & set(_EXTENSIONS):
            held = _held_extensions(target) if held is None else held
            missing -= held
        yield directory, missing


def _minor(target: Target) -> str:
    match = re.match(r"3\.\d+", target.runtime_version or "")
    return match[0] if match else ""


def build_flags(target: Target) -> str:
    """Give the letters behind the version in the name of the target's libpython: `t` (free-threaded), `d` (debug)."""
    match = re.match(r"libpython3\.\d+([a-z]*)\.so", target.libpython.name if target.libpython else "")
    return match[1] if match else ""


def _places(name: str, uid: int) -> Iterator[Path]:
    """List the directories where the standard library `python<name>` may lie, the most trusted first."""
    yield Path(sys.base_prefix) / sys.platlibdir / f"python{name}"
    homes = _homes(uid)
    named = (os.environ.get(name) for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "CONDA_PREFIX"))
    roots = [Path(value) for value in named if value]
    for home in homes:
        roots += [home / ".pyenv", home / ".local/share/uv/python"]
        roots += [home / conda for conda in ("miniconda3", "miniforge3", "anaconda3")]
    for root in (*roots, Path("/opt/conda")):
        for pattern in ("versions/*", "*", "envs/*", "."):
            yield from sorted(root.glob(f"{pattern}/lib/python{name}"))
    for lib in _SYSTEM:
        yield Path(lib) / f"python{name}"
    for directory in os.get_exec_path():
        for program in (f"python{name}", "python3"):
            # resolved: a virtual environment's is a link; pyenv's shims are scripts and lead nowhere
            base = (Path(directory) / program).resolve().parent.parent
            yield base / "lib" / f"python{name}"


def _homes(uid: int) -> list[Path]:
    """List the home directories whose owners may have CPythons for this: ours, sudo's caller's and the target's."""
    found = [Path.home()]
    for text in (os.environ.get("SUDO_UID", ""), str(uid)):
        with contextlib.suppress(ValueError, KeyError):  # not under sudo; or a user without an account
            found.append(Path(pwd.getpwuid(int(text)).pw_dir))
    return list(dict.fromkeys(found))


def _unique(places: Iterator[Path]) -> Iterator[Path]:
    seen = set()
    for place in places:
        real = place.resolve()
        if real not in seen:
            seen.add(real)
            yield real


def _missing(directory: Path, minor: str, flags: str) -> set[str] | None:
    """Say what a directory lacks of _MODULES, _FILES and _EXTENSIONS; None when it is no standard library at all."""
    try:
        sources = {path.name for path in directory.iterdir()}
        files = {path.name for path in (directory / "lib-dynload").iterdir()}
    except OSError:
        return None
    suffix = f".cpython-{minor.replace('.', '')}{flags}-{platform.machine()}-linux-"
    missing = {name for name in _MODULES if name not in sources and f"{name}.py" not in sources}
    missing |= {name for name in _FILES if not (directory / name).is_file()}
    return missing | set(_EXTENSIONS) - {file.partition(".")[0] for file in files if suffix in file}


def _held_extensions(target: Target) -> set[str]:
    """Say which of _EXTENSIONS the program has itself: as files beside its libpython, or built into that."""
    if target.libpython is None:
        return set()
    library = Path(f"/proc/{target.pid}/root{target.libpython}")
    held = {
        file.name.partition(".")[0]
        for pattern in ("*.so", "lib-dynload/*.so", "python*/lib-dynload/*.so")
        for file in library.parent.glob(pattern)
    }
    try:
        data = library.read_bytes()
    except OSError:
        return held
    return held | {name for name in _EXTENSIONS if f"\0PyInit_{name}\0".encode() in data}


def _version_of(directory: Path, minor: str) -> str | None:
    """Find out the patch level of a standard library from the interpreter that it belongs to."""
    prefix, name = directory.parent.parent, directory.name.removeprefix("python")
    libraries = sorted(directory.parent.glob(f"libpython{name}*.so*")) + sorted(
        directory.parent.glob(f"*-linux-*/libpython{name}*.so*")
    )
    for file in [*libraries, prefix / "bin" / f"python{name}"]:
        if (version := python_version_in(str(file), minor)) is not None:
            return version
    return None


def _distance(version: str | None, wanted: str | None) -> int:
    """Say how far a version is from the wanted patch level; unknown ones come last."""
    patches = [re.match(r"3\.\d+\.(\d+)", text or "") for text in (version, wanted)]
    if patches[0] is None or patches[1] is None:
        return 1000
    return abs(int(patches[0][1]) - int(patches[1][1]))
