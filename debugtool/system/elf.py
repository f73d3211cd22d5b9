"""Sections and exported symbols of an ELF file: just enough to find what Go, PyInstaller and CPython leave there."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import BinaryIO

# A program file is somebody else's: what it says about sizes is not believed.
_NAMES_BYTES = 1 << 20

# e_shoff, then (at the second offset) e_shentsize, e_shnum, e_shstrndx; and a section header's fields up to its size.
# Source: elf(5), Elf64_Ehdr and Elf32_Ehdr.
_LAYOUT = {2: (40, "Q", 58, "IIQQQQ"), 1: (32, "I", 46, "IIIIII")}
_TABLE_BYTES = 1 << 24
# The fields of a symbol, and which of them are its name, section and value. Source: elf(5), Elf64_Sym and Elf32_Sym.
_SYMBOL = {2: ("IBBHQQ", 0, 3, 4), 1: ("IIIBBH", 0, 5, 1)}
_EXECUTABLE = 2  # ET_EXEC: its addresses are where it is loaded, too


def elf_sections(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Map the name of each section to its (offset, size) in bytes; empty for what is no ELF file.

    pyelftools does this too, but importing it takes 80 ms, which is more than all the rest of `debugtool ps`.
    """
    ident = file.read(16)
    if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in _LAYOUT:
        return {}
    table_at, word, counts_at, fields = _LAYOUT[ident[4]]
    order = "<" if ident[5] == 1 else ">"
    try:
        (table,) = _read(file, table_at, f"{order}{word}")
        entry_size, count, names_index = _read(file, counts_at, f"{order}HHH")
        headers = [_read(file, table + index * entry_size, order + fields) for index in range(count)]
        if not headers:
            return {}
        *_, names_offset, names_size = headers[names_index]
        file.seek(names_offset)
        names = file.read(min(names_size, _NAMES_BYTES))
    except (struct.error, IndexError, OverflowError, OSError):  # cut short, or offsets beyond any file
        return {}
    return {
        names[header[0] : names.find(b"\0", header[0])].decode(errors="replace"): (header[4], header[5])
        for header in headers
    }


def exported_symbols(file: BinaryIO, names: Collection[str]) -> dict[str, int]:
    """Give the addresses of exported symbols, those that are not there left out.

    An address counts from where the file is loaded; in a program that is loaded at a fixed place it is the address
    itself, see `has_fixed_addresses`.
    """
    file.seek(0)
    sections = elf_sections(file)
    if ".dynsym" not in sections or ".dynstr" not in sections:
        return {}
    file.seek(4)
    wordsize, order = file.read(2)
    texts, symbols = (_section(file, *sections[name]) for name in (".dynstr", ".dynsym"))
    fields, name_at, section_at, value_at = _SYMBOL[wordsize]
    layout = struct.Struct(("<" if order == 1 else ">") + fields)
    wanted = {offset: name for name in names for offset in _places(texts, name.encode() + b"\0")}
    whole = len(symbols) - len(symbols) % layout.size
    return {
        wanted[symbol[name_at]]: symbol[value_at]
        for symbol in layout.iter_unpack(symbols[:whole])
        if symbol[name_at] in wanted and symbol[section_at]  # section 0: it is imported from elsewhere
    }


def has_fixed_addresses(file: BinaryIO) -> bool:
    """Tell whether an ELF file is a program that is loaded at the addresses it names."""
    file.seek(5)
    order = "<" if file.read(1) == b"\1" else ">"
    return _read(file, 16, f"{order}H") == (_EXECUTABLE,)


def _section(file: BinaryIO, offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
        return file.read(min(size, _TABLE_BYTES))
    except (OverflowError, OSError):  # an offset beyond any file
        return b""


def _places(texts: bytes, name: bytes) -> list[int]:
    """List where a name ends a text: linkers let a name share the end of a longer one."""
    found = []
    at = texts.find(name)
    while at >= 0:
        found.append(at)
        at = texts.find(name, at + 1)
    return found


def _read(file: BinaryIO, offset: int, layout: str) -> tuple[int, ...]:
    file.seek(offset)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
