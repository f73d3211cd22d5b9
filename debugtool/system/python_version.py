"""Which CPython a library or program file holds, read from the file."""

from __future__ import annotations

import os
import re

from debugtool.system.elf import elf_sections

# A section that says it is larger is not believed; libpython's read-only data are 5 MB.
_SECTION_BYTES = 64 << 20

_PATCH_LEVEL = re.compile(rb"(\d{1,2}(?:(?:a|b|rc)\d+)?\+?)\0")
_DIGITS_AND_DOT = frozenset(b"%c" % character for character in b"0123456789.")

_known_versions: dict[tuple[int, int, int], str | None] = {}


def python_version_in(path: str, minor: str) -> str | None:
    """Find the full version of a CPython of known minor version in its library or program file.

    Source:
        PY_VERSION (Include/patchlevel.h) stands in the read-only data as a C string, "3.11.7". The linker may have made
        it the end of a longer one.
    """
    try:
        facts = os.stat(path)  # noqa: PTH116 - `path` is text everywhere here
        key = (facts.st_dev, facts.st_ino, facts.st_mtime_ns)
        if key not in _known_versions:
            with open(path, "rb") as file:  # noqa: PTH123 - as above
                offset, size = elf_sections(file).get(".rodata", (0, 0))
                file.seek(offset)
                _known_versions[key] = find_version(file.read(min(size, _SECTION_BYTES)), minor)
        return _known_versions[key]
    except OSError:
        return None


def find_version(data: bytes, minor: str) -> str | None:
    """Find "3.11.7" for the minor version "3.11" among C strings."""
    prefix = minor.encode() + b"."
    at = data.find(prefix)
    # find() and one match per hit: a regular expression over the whole takes 80 ms.
    while at >= 0:
        match = _PATCH_LEVEL.match(data, at + len(prefix))
        if match and data[at - 1 : at] not in _DIGITS_AND_DOT:
            return f"{minor}.{match[1].decode()}"
        at = data.find(prefix, at + 1)
    return None
