"""Where the interpreter's own functions lie in a running process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from debugtool.errors import ProcessGone, Refused, Unsupported
from debugtool.system import exported_symbols, has_fixed_addresses

FUNCTIONS = ("PyGILState_Ensure", "PyRun_SimpleString", "PyGILState_Release")


@dataclass(frozen=True)
class Mapping:
    """One line of /proc/PID/maps: addresses, permissions, offset in the file, path (empty when anonymous)."""

    start: int
    end: int
    permissions: str
    offset: int
    path: str


@dataclass(frozen=True)
class Interpreter:
    """The CPython inside a process.

    Attributes:
        path: File that holds it, as the target names it: libpython or the executable.
        functions: Address of each of FUNCTIONS in the target.
        data: Address ranges of its own data, where the GIL lies.
    """

    path: str
    functions: dict[str, int]
    data: list[tuple[int, int]]


def parse_maps(text: str) -> list[Mapping]:
    """Read the text of /proc/PID/maps (proc(5))."""
    mappings = []
    for line in text.splitlines():
        fields = line.split(maxsplit=5)
        start, _, end = fields[0].partition("-")
        path = fields[5] if len(fields) > 5 else ""
        mappings.append(Mapping(int(start, 16), int(end, 16), fields[1], int(fields[2], 16), path))
    return mappings


def data_ranges(mappings: list[Mapping], path: str) -> list[tuple[int, int]]:
    """Give the address ranges of a file's mappings, each with the anonymous memory that follows it (its .bss)."""
    ranges: list[tuple[int, int]] = []
    for mapping in mappings:
        follows = bool(ranges) and ranges[-1][1] == mapping.start and not mapping.path
        if follows:
            ranges[-1] = (ranges[-1][0], mapping.end)
        elif mapping.path == path:
            ranges.append((mapping.start, mapping.end))
    return ranges


def find_interpreter(pid: int, proc: Path = Path("/proc")) -> Interpreter:
    """Find the CPython in a process and the functions we call in it.

    Raises:
        ProcessGone: It ended.
        Refused: Its memory map may not be read.
        Unsupported: It has no CPython, or one whose symbols were stripped.

    Source:
        ELF symbol tables; both libpython and a static interpreter export the C API dynamically, because extension
        modules need it.
    """
    try:
        mappings = parse_maps((proc / str(pid) / "maps").read_text(errors="surrogateescape"))
        executable = str((proc / str(pid) / "exe").readlink())
    except PermissionError as error:
        raise Refused(
            f"Could not read the memory map of pid {pid}.",
            why=str(error),
            next_step=f"see what forbids it: debugtool doctor --pid {pid}",
        ) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGone(f"pid {pid} ended.", why=str(error)) from error
    libraries = {m.path for m in mappings if "/libpython" in m.path}
    for path in [*sorted(libraries), executable]:
        functions = _read_functions(pid, proc, path, mappings)
        if functions:
            return Interpreter(path, functions, data_ranges(mappings, path))
    raise Unsupported(
        f"pid {pid} has no CPython interpreter that can be called.",
        why=f"neither a libpython it has loaded nor {executable} exports {FUNCTIONS[0]}",
        next_step="make a debug build, whose agent needs none: debugtool build --debug --editable",
    )


def _read_functions(pid: int, proc: Path, path: str, mappings: list[Mapping]) -> dict[str, int]:
    file = proc / str(pid) / "root" / path.removesuffix(" (deleted)").lstrip("/")
    base = min((m.start - m.offset for m in mappings if m.path == path), default=None)
    if base is None:
        return {}
    try:
        with file.open("rb") as stream:
            found = exported_symbols(stream, FUNCTIONS)
            if found and has_fixed_addresses(stream):
                base = 0
    except OSError:
        return {}
    if len(found) < len(FUNCTIONS):
        return {}
    return {name: base + address for name, address in found.items()}
