"""What executes a process: CPython from source or frozen, Go, or something else, read from its files."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from debugtool.build_record import read_build_record
from debugtool.model import GoBuild, Runtime
from debugtool.processes.scan import PROC
from debugtool.system import elf_sections, python_version_in

# Source: PyInstaller's bootloader, pyi_archive.h: magic, length, table of contents (offset, length), version, library.
_PYINSTALLER_MAGIC = b"MEI\014\013\012\013\016"
_PYINSTALLER_COOKIE = struct.Struct("!8sIIII64s")

# Source: Go's debug/buildinfo: magic, pointer size, flags (2: strings follow at 32, each with a varint length).
_GO_MAGIC = b"\xff Go buildinf:"
_GO_FLAGS_AT = 15
_GO_STRINGS_INLINE = 2
_GO_STRINGS_AT = 32
# Where its debug information is, with Go 1.25's own compression in the section's header or, before 1.19, in its name.
_GO_DEBUG_INFO = {".debug_info", ".zdebug_info"}

# A section that says it is larger is not believed; libpython's read-only data are 5 MB.
_SECTION_BYTES = 64 << 20

_LIBPYTHON = re.compile(r"(/.*/libpython(3\.\d+)[a-z]*\.so[.\d]*)(?: \(deleted\))?$", re.MULTILINE)
_PYTHON_PROGRAM = re.compile(r"python(3\.\d+|3)?[a-z]*")


@dataclass(frozen=True)
class Program:
    """What a process runs.

    Attributes:
        runtime: What executes it.
        version: "3.11.7", "3.11" when only that can be told, "go1.26.8", or None.
        go: How a Go program was built; None for others.
        bootloader: It is a PyInstaller program without Python in it: the Python runs in a child.
        libpython: The library it has loaded that holds its interpreter, by the path it has there.
    """

    runtime: Runtime
    version: str | None = None
    go: GoBuild | None = None
    bootloader: bool = False
    libpython: str | None = None


OTHER = Program(Runtime.OTHER)
_PYINSTALLER = Program(Runtime.FROZEN, bootloader=True)

_known_programs: dict[tuple[int, int, int], Program] = {}


def _identity(path: str) -> tuple[int, int, int]:
    facts = os.stat(path)  # noqa: PTH116 - for thousands of processes
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns


def read_link(path: str) -> str | None:
    """Read a link in /proc, without the " (deleted)" of a file that was replaced; None when it cannot be read."""
    try:
        return os.readlink(path).removesuffix(" (deleted)")  # noqa: PTH115 - for thousands of processes
    except OSError:
        return None


def read_maps(pid: int, proc: Path = PROC) -> str:
    """Read which files a process has mapped; empty when it cannot be read."""
    try:
        return (proc / str(pid) / "maps").read_text(errors="surrogateescape")
    except OSError:
        return ""


def examine_file(path: str) -> Program:
    """Say what a program file is, without running it: Go, PyInstaller, or other. Each file is looked at once.

    Args:
        path: A file, or `/proc/PID/exe`, which opens also what was deleted or lies in another mount namespace.
    """
    try:
        key = _identity(path)
        if key not in _known_programs:
            with open(path, "rb") as file:  # noqa: PTH123 - `path` is text everywhere here
                _known_programs[key] = _examine(file)
        return _known_programs[key]
    except OSError:
        return OTHER


def _examine(file: BinaryIO) -> Program:
    sections = elf_sections(file)
    if ".go.buildinfo" in sections:
        offset, size = sections[".go.buildinfo"]
        file.seek(offset)
        program = parse_go_buildinfo(file.read(min(size, _SECTION_BYTES)))
        assert program.go is not None
        return replace(program, go=replace(program.go, stripped=not _GO_DEBUG_INFO.intersection(sections)))
    if "pydata" in sections:
        offset, size = sections["pydata"]
        file.seek(max(offset, offset + size - 4096))
        return parse_pyinstaller_cookie(file.read(min(size, 4096)))
    return OTHER


def parse_go_buildinfo(data: bytes) -> Program:
    """Read the `.go.buildinfo` section of a Go program: its version, and how it was built.

    Source:
        Go's debug/buildinfo. Before Go 1.18 it held pointers instead of text: Go then, but no version.
    """
    if not data.startswith(_GO_MAGIC) or len(data) <= _GO_STRINGS_AT or not data[_GO_FLAGS_AT] & _GO_STRINGS_INLINE:
        return Program(Runtime.GO, go=GoBuild())
    version, rest = _go_string(data[_GO_STRINGS_AT:])
    settings, _ = _go_string(rest)
    # The settings stand between two 16-byte marks, one "build<TAB>key=value" to a line.
    flags = re.search(rb'^build\t"?-gcflags=(.*)$', settings, re.MULTILINE)
    module = re.search(rb"^mod\t([^\t\n]+)", settings, re.MULTILINE)
    build = GoBuild(
        module=module[1].decode(errors="replace") if module else None,
        optimised=not (flags and re.search(rb"-N\b", flags[1])),
        trimpath=re.search(rb"^build\t-trimpath=true$", settings, re.MULTILINE) is not None,
    )
    return Program(Runtime.GO, version.decode(errors="replace").partition(" ")[0] or None, go=build)


def _go_string(data: bytes) -> tuple[bytes, bytes]:
    """Take one string with a varint length off the start."""
    length = shift = used = 0
    for used, byte in enumerate(data, start=1):  # noqa: B007 - used after the loop
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return data[used : used + length], data[used + length :]


def parse_pyinstaller_cookie(data: bytes) -> Program:
    """Read the cookie at the end of a PyInstaller archive: the Python version it was built with."""
    at = data.rfind(_PYINSTALLER_MAGIC)
    if at < 0 or len(data) < at + _PYINSTALLER_COOKIE.size:
        return OTHER
    version = _PYINSTALLER_COOKIE.unpack_from(data, at)[4]  # 311 is 3.11
    return replace(_PYINSTALLER, version=f"{version // 100}.{version % 100}")


def is_frozen_debug_build(path: Path) -> bool:
    """Tell whether a program file is what `debugtool build --debug` makes, without running it.

    Source:
        PyInstaller's bootloader, pyi_archive.h: the table of contents names each file of a onefile program, and of
        another one the directory beside it that its files lie in.
    """
    try:
        with path.open("rb") as file:
            table = _table_of_contents(file)
    except OSError:
        return False
    directory = re.search(rb"pyi-contents-directory ([^\0]+)", table)
    record = read_build_record(path.parent / os.fsdecode(directory[1])) if directory else None
    return b"debugtool_agent/__init__.py" in table or (record is not None and record.debug)


def _table_of_contents(file: BinaryIO) -> bytes:
    """Read the table of contents of a PyInstaller archive; empty where a file has none."""
    offset, size = elf_sections(file).get("pydata", (0, 0))
    if size < _PYINSTALLER_COOKIE.size:
        return b""
    end = offset + size
    file.seek(end - _PYINSTALLER_COOKIE.size)
    magic, length, table_at, table_size, _, _ = _PYINSTALLER_COOKIE.unpack(file.read(_PYINSTALLER_COOKIE.size))
    if magic != _PYINSTALLER_MAGIC or not table_at + table_size <= length <= size:
        return b""
    file.seek(end - length + table_at)
    return file.read(table_size)


def runtime_of(pid: int, *, proc: Path = PROC, maps: str | None = None) -> Program:
    """Say what executes a process.

    Args:
        pid: Process id.
        proc: Where procfs is mounted.
        maps: The text of its /proc/PID/maps when it is known already. It costs a read of tens of kilobytes, which is
            done for Python and PyInstaller programs alone; give it to recognise a program that embeds Python, too.
    """
    base = f"{proc}/{pid}"
    exe = read_link(f"{base}/exe")
    if exe is None:
        return OTHER
    named = _PYTHON_PROGRAM.fullmatch(exe.rpartition("/")[2])
    program = OTHER if named else examine_file(f"{base}/exe")
    if program.runtime is Runtime.GO or (not named and program is OTHER and maps is None):
        return program
    library = _LIBPYTHON.search(read_maps(pid, proc) if maps is None else maps)
    if library:
        version = python_version_in(f"{base}/root{library[1]}", library[2]) or library[2]
        frozen = program.bootloader or _is_bundle(f"{base}/root{library[1].rpartition('/')[0]}")
        return Program(Runtime.FROZEN if frozen else Runtime.CPYTHON, version, libpython=library[1])
    if named:
        minor = named[1] if named[1] and "." in named[1] else None
        return Program(Runtime.CPYTHON, (python_version_in(f"{base}/exe", minor) or minor) if minor else None)
    return program


def _is_bundle(directory: str) -> bool:
    """Tell whether PyInstaller made a directory, whatever it is called: what the interpreter starts with lies there."""
    return os.path.exists(f"{directory}/base_library.zip")  # noqa: PTH110 - `directory` is text everywhere here
