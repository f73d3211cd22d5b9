"""Memory maps and what is read from them, from recorded samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from debugtool.errors import NotFound, Unsupported
from debugtool.inject.symbols import Mapping, data_ranges, find_interpreter, parse_maps

LIBRARY = "/opt/python/lib/libpython3.11.so.1.0"
# Recorded from CPython 3.11 built with --enable-shared, shortened
SHARED = f"""\
5581aa400000-5581aa401000 r--p 00000000 fe:00 1311 /opt/python/bin/python3.11
5581aa401000-5581aa402000 r-xp 00001000 fe:00 1311 /opt/python/bin/python3.11
5581ab000000-5581ab100000 rw-p 00000000 00:00 0 [heap]
7f1c50000000-7f1c50021000 rw-p 00000000 00:00 0
7f1c5c000000-7f1c5c100000 r--p 00000000 fe:00 1400 {LIBRARY}
7f1c5c100000-7f1c5c300000 r-xp 00100000 fe:00 1400 {LIBRARY}
7f1c5c300000-7f1c5c400000 r--p 00300000 fe:00 1400 {LIBRARY}
7f1c5c400000-7f1c5c480000 rw-p 003ff000 fe:00 1400 {LIBRARY}
7f1c5c480000-7f1c5c4c0000 rw-p 00000000 00:00 0
7f1c5c4c0000-7f1c5c4d0000 rw-p 00000000 00:00 0
7f1c5d000000-7f1c5d001000 r-xp 00000000 fe:00 1500 /opt/my plugin/libs/one two.so (deleted)
7ffd6c000000-7ffd6c021000 rw-p 00000000 00:00 0 [stack]
"""


def test_each_line_of_a_map() -> None:
    mappings = parse_maps(SHARED)
    assert len(mappings) == 12
    assert mappings[0] == Mapping(0x5581AA400000, 0x5581AA401000, "r--p", 0, "/opt/python/bin/python3.11")
    assert mappings[3].path == ""
    assert mappings[7].offset == 0x3FF000
    assert mappings[10].path == "/opt/my plugin/libs/one two.so (deleted)"


def test_an_empty_map_of_a_zombie() -> None:
    assert parse_maps("") == []


def test_a_librarys_ranges_hold_the_anonymous_memory_behind_its_data() -> None:
    ranges = data_ranges(parse_maps(SHARED), LIBRARY)
    assert ranges[-1] == (0x7F1C5C400000, 0x7F1C5C4D0000)
    gil = 0x7F1C5C4A0010
    assert any(start <= gil < end for start, end in ranges)
    somewhere_else = 0x7F1C50000010
    assert not any(start <= somewhere_else < end for start, end in ranges)


def test_memory_that_does_not_touch_it_is_not_the_librarys() -> None:
    text = f"1000-2000 rw-p 00000000 fe:00 1 {LIBRARY}\n3000-4000 rw-p 00000000 00:00 0 \n"
    assert data_ranges(parse_maps(text), LIBRARY) == [(0x1000, 0x2000)]


def test_the_heap_behind_a_static_interpreter_is_not_its_data() -> None:
    text = "1000-2000 rw-p 00000000 fe:00 1 /usr/bin/python3\n2000-3000 rw-p 00000000 00:00 0 [heap]\n"
    assert data_ranges(parse_maps(text), "/usr/bin/python3") == [(0x1000, 0x2000)]


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process = tmp_path / "42"
    (process / "root" / "bin").mkdir(parents=True)
    (process / "root" / "bin" / "program").write_bytes(b"#!/bin/sh\n")
    (process / "exe").symlink_to("/bin/program")
    (process / "maps").write_text("1000-2000 r-xp 00000000 fe:00 1 /bin/program\n")
    return tmp_path


def test_a_program_without_an_interpreter(proc: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        find_interpreter(42, proc)
    assert caught.value.what == "pid 42 has no CPython interpreter that can be called."
    assert caught.value.why == "neither a libpython it has loaded nor /bin/program exports PyGILState_Ensure"


def test_a_process_that_ended(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"pid 42 ended\."):
        find_interpreter(42, tmp_path)


def test_a_library_that_is_gone_from_the_disk(proc: Path) -> None:
    with (proc / "42" / "maps").open("a") as maps:
        maps.write("3000-4000 r-xp 00000000 fe:00 2 /gone/libpython3.11.so.1.0 (deleted)\n")
    with pytest.raises(Unsupported):
        find_interpreter(42, proc)
