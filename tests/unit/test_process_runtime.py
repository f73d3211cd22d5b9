"""What program files say about themselves."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from debugtool.model import GoBuild, Runtime
from debugtool.processes.runtime import parse_go_buildinfo, parse_pyinstaller_cookie
from debugtool.system import elf_sections, exported_symbols, find_version, has_fixed_addresses


def varint_string(data: bytes) -> bytes:
    length, prefix = len(data), b""
    while length >= 0x80:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + data


def go_buildinfo(version: str, *settings: str) -> bytes:
    lines = "\n".join(["path\tplugin/pkg", "mod\tplugin\t(devel)\t", *settings, ""])
    mark = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
    head = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    return head + varint_string(version.encode()) + varint_string(mark + lines.encode() + mark)


def test_go_release_and_debug_builds() -> None:
    release = parse_go_buildinfo(go_buildinfo("go1.26.8", "build\tCGO_ENABLED=0"))
    assert (release.runtime, release.version) == (Runtime.GO, "go1.26.8")
    assert release.go == GoBuild(module="plugin", optimised=True)
    debug = parse_go_buildinfo(go_buildinfo("go1.22.0 X:boringcrypto", 'build\t-gcflags="all=-N -l"'))
    assert debug.version == "go1.22.0"
    assert debug.go is not None and debug.go.optimised is False
    trimmed = parse_go_buildinfo(go_buildinfo("go1.26.8", "build\t-trimpath=true"))
    assert trimmed.go == GoBuild(module="plugin", optimised=True, trimpath=True)


def test_go_before_1_18_kept_pointers_and_so_has_no_version() -> None:
    program = parse_go_buildinfo(b"\xff Go buildinf:" + bytes([8, 0]) + bytes(32))
    assert (program.runtime, program.version, program.go) == (Runtime.GO, None, GoBuild())


def test_pyinstaller_cookie_gives_the_python_it_was_built_with() -> None:
    cookie = struct.pack("!8sIIII64s", b"MEI\014\013\012\013\016", 100, 10, 20, 313, b"libpython3.13.so.1.0")
    program = parse_pyinstaller_cookie(b"\0" * 50 + cookie + b"\0" * 8)
    assert (program.runtime, program.version, program.bootloader) == (Runtime.FROZEN, "3.13", True)
    assert parse_pyinstaller_cookie(b"nothing of the kind").runtime is Runtime.OTHER


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"\x003.11.7\0", "3.11.7"),
        (b"python-3.11.14+\0", "3.11.14+"),
        (b"\x003.11.0rc2\0", "3.11.0rc2"),
        (b"1.3.11.7\0 libpython3.11.so\0", None),
        (b"3.11.7 (main)\0", None),
        (b"3.45.1\0", None),
    ],
)
def test_the_full_version_among_other_strings(data: bytes, version: str | None) -> None:
    assert find_version(data, "3.11") == version


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 80])
def test_what_is_no_whole_elf_file_has_no_sections(content: bytes) -> None:
    assert elf_sections(io.BytesIO(content)) == {}
    assert exported_symbols(io.BytesIO(content), ["main"]) == {}


def interpreter() -> Path:
    """Give the file that exports our own interpreter's C API."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    libraries = [line.split(maxsplit=5)[5] for line in lines if "/libpython" in line]
    return Path(libraries[0] if libraries else sys.executable).resolve()


def test_exported_symbols_are_where_pyelftools_finds_them() -> None:
    names = ("PyGILState_Ensure", "Py_Initialize", "PyGILState")  # the last is the beginning of one, and none
    with interpreter().open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        theirs = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name in names}
        assert exported_symbols(file, names) == theirs
        assert set(theirs) == {"PyGILState_Ensure", "Py_Initialize"}
        assert has_fixed_addresses(file) == (ELFFile(file).header["e_type"] == "ET_EXEC")


def test_what_a_file_only_imports_is_not_in_it() -> None:
    with interpreter().open("rb") as file:
        assert exported_symbols(file, ["malloc"]) == {}


def test_a_symbol_table_that_is_cut_short() -> None:
    whole = interpreter().read_bytes()
    offset, size = elf_sections(io.BytesIO(whole))[".dynsym"]
    broken = bytearray(whole)
    broken[offset : offset + size] = b"\xff" * size
    assert exported_symbols(io.BytesIO(broken), ["PyGILState_Ensure"]) == {}
