"""The sections of an ELF file: just enough to find what Go and PyInstaller leave there."""

from __future__ import annotations

import struct
from typing import BinaryIO

# A program file is somebody else's: what it says about sizes is not believed.
_NAMES_BYTES = 1 << 20

# e_shoff, then (at the second offset) e_shentsize, e_shnum, e_shstrndx; and a section header's fields up to its size.
# Source: elf(5), Elf64_Ehdr and Elf32_Ehdr.
_LAYOUT = {2: (40, "Q", 58, "IIQQQQ"), 1: (32, "I", 46, "IIIIII")}


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


def _read(file: BinaryIO, offset: int, layout: str) -> tuple[int, ...]:
    file.seek(offset)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
