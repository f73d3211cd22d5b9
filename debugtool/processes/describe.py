"""All that is to be known about one process: the dear facts, read for the matches only."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from debugtool.build_record import read_build_record
from debugtool.manifest import EDITABLE_MARKER
from debugtool.model import Build, ProcessRef, Runtime, Target
from debugtool.processes.debugged import debugger_words
from debugtool.processes.naming import display_name
from debugtool.processes.plugins import Candidate
from debugtool.processes.runtime import OTHER, Program, read_link, read_maps, runtime_of
from debugtool.processes.scan import Seen, see_process
from debugtool.processes.sockets import grpc_address
from debugtool.processes.table import ProcessTable
from debugtool.system import printable

if TYPE_CHECKING:
    from debugtool.system import SessionRecord

_MARKER_LINES, _MARKER_BYTES = 10, 4096
_BOOT_TIME = re.compile(r"^btime (\d+)$", re.MULTILINE)


def describe(candidate: Candidate, table: ProcessTable, sessions: Sequence[SessionRecord] = ()) -> Target | None:
    """Read all facts of one process.

    Args:
        candidate: The process, with its launcher.
        table: The processes it was found among.
        sessions: Debug sessions that are running.

    Returns:
        The target; None when the process has ended meanwhile. What another user's process hides is None in it.
    """
    seen, launcher, proc = candidate.seen, candidate.launcher, table.proc
    uid = _effective_uid(seen.pid, proc)
    now = see_process(seen.pid, proc)
    if uid is None or now is None or now.started_ticks != seen.started_ticks:  # its pid may be another's by now
        return None
    program = table.program(seen)
    if program is OTHER:
        program = runtime_of(seen.pid, proc=proc, maps=read_maps(seen.pid, proc))  # it may embed Python
    link = read_link(f"{proc}/{seen.pid}/exe")
    executable = Path(link) if link else None
    script = _script(seen, launcher, table)
    return Target(
        pid=seen.pid,
        name=_name(candidate, table),
        plugin_id=candidate.manifest.id if candidate.manifest else None,
        runtime=program.runtime,
        runtime_version=program.version,
        build=_build(program, seen.pid, uid, [script, executable], proc),
        host=_host(launcher, table),
        user=_user_name(uid),
        uid=uid,
        started_at=_boot_time(proc) + seen.started_ticks / os.sysconf("SC_CLK_TCK"),
        grpc_address=grpc_address(seen.pid, proc),
        debugger=debugger_words(seen, table, sessions),
        executable=executable,
        script=script,
        cwd=table.cwd(seen),
        plugin_dir=candidate.manifest.directory if candidate.manifest else None,
        venv=_venv(seen, table) if program.runtime is Runtime.CPYTHON else None,
        libpython=Path(program.libpython) if program.libpython else None,
        go=program.go,
        launcher_pid=launcher.pid if launcher.pid != seen.pid else None,
        command_line=seen.argv,
        started_ticks=seen.started_ticks,
    )


def _name(candidate: Candidate, table: ProcessTable) -> str:
    """Name it after the script that the host started; after the process itself when that is `tini` or the like."""
    command = table.command(candidate.launcher)
    named_by = candidate.launcher if command.script or command.module else candidate.seen
    return printable(display_name(table.command(named_by), named_by.comm))


def _effective_uid(pid: int, proc: Path) -> int | None:
    # Not the owner of the file: that is root for a process that made itself undumpable.
    try:
        status = (proc / str(pid) / "status").read_text(errors="replace")
    except OSError:
        return None
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _boot_time(proc: Path) -> int:
    match = _BOOT_TIME.search((proc / "stat").read_text())
    return int(match[1]) if match else 0


def _host(launcher: Seen, table: ProcessTable) -> ProcessRef | None:
    parent = table.get(launcher.ppid)
    if parent is None or parent.pid == 1:
        return None
    return ProcessRef(parent.pid, printable(display_name(table.command(parent), parent.comm)))


def _build(program: Program, pid: int, uid: int, files: Sequence[Path | None], proc: Path) -> Build:
    if program.runtime is Runtime.GO:
        optimised = program.go.optimised if program.go else None
        return {True: Build.RELEASE, False: Build.DEBUG, None: Build.UNKNOWN}[optimised]
    from debugtool.plugin.agent import paths  # its package takes longer to import than the scan of all processes

    if _exists(paths.agent_socket(uid, pid)):
        return Build.DEBUG
    if any(is_editable_build(path) for path in files if path) or _is_frozen_debug_build(program, pid, proc):
        return Build.DEBUG
    return {Runtime.CPYTHON: Build.SOURCE, Runtime.FROZEN: Build.RELEASE}.get(program.runtime, Build.UNKNOWN)


def is_editable_build(path: Path) -> bool:
    """Tell whether a program is what `debugtool build --debug --editable` makes: a launcher with our mark on top."""
    if not os.path.isfile(path):  # noqa: PTH113 - as in _exists; and opening a pipe (`python <(...)`) would wait for ever
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_MARKER_BYTES)
    except OSError:
        return False
    return head.startswith(b"#!") and EDITABLE_MARKER.encode() in head.splitlines()[:_MARKER_LINES]


def _is_frozen_debug_build(program: Program, pid: int, proc: Path) -> bool:
    """Tell whether a frozen program is what `debugtool build --debug` makes, by the record it has beside its Python."""
    if program.runtime is not Runtime.FROZEN or not program.libpython:
        return False
    record = read_build_record(Path(f"{proc}/{pid}/root{program.libpython}").parent)
    return record is not None and record.debug


def _exists(path: Path | str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises when a directory above is closed to us


def _script(seen: Seen, launcher: Seen, table: ProcessTable) -> Path | None:
    """Give the script, module file or launcher; the launcher first, because that is what the host starts."""
    for process in (launcher, seen):
        command = table.command(process)
        if command.script:
            return table.path(process, command.script)
        cwd = table.cwd(process)
        if command.module and cwd:
            base = cwd / command.module.replace(".", "/")
            for path in (base / "__main__.py", base.with_suffix(".py")):
                if _exists(path):
                    return path
    return None


def _venv(seen: Seen, table: ProcessTable) -> Path | None:
    """Find the virtual environment: the interpreter is named by its path there, and only linked to the real one."""
    program = seen.argv[0]
    directories = [os.path.dirname(program)] if "/" in program else _search_path(seen, table)  # noqa: PTH120
    for directory in directories:
        interpreter = table.path(seen, directory + "/" + os.path.basename(program))  # noqa: PTH119
        if interpreter and _exists(interpreter):
            root = interpreter.parent.parent
            return root if _exists(root / "pyvenv.cfg") else None
    return None


def _search_path(seen: Seen, table: ProcessTable) -> list[str]:
    return table.environment(seen).get("PATH", "").split(":")
