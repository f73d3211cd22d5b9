"""Why a plugin did not start, in words: what the kernel said, what the file is, how the process ended."""

from __future__ import annotations

import errno
import os
import signal
import struct
from collections.abc import Iterable
from pathlib import Path

from debugtool.errors import DebugtoolError, NotFound, Refused, TimedOut

_REBUILD = "Build it for this machine: debugtool build"

# Source: elf.h, e_machine.
_ELF_MACHINES = {3: "386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64"}


def exit_words(code: int | None, signal_number: int | None) -> str:
    """Say how a process ended: `exit code 1`, `killed by SIGKILL`."""
    if signal_number is None:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(signal_number).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {signal_number}"


def exec_refused(path: Path, error: OSError) -> DebugtoolError:
    """Explain why the kernel did not run a plugin's executable."""
    what = f"Could not start {path}."
    head = _head(path)
    if error.errno == errno.ENOENT and head is None:
        return NotFound(f"There is no {path}.", why="Grafana starts exactly this file.", next_step=_REBUILD)
    if error.errno == errno.ENOENT:
        return DebugtoolError(what, why=_missing_interpreter(head or b""), next_step=_REBUILD)
    if error.errno == errno.EACCES:
        return _not_permitted(path, what)
    if error.errno == errno.ENOEXEC:
        return DebugtoolError(what, why=f"The kernel cannot run it: {_format_words(head or b'')}.", next_step=_REBUILD)
    return DebugtoolError(what, why=f"The kernel said: {error.strerror}.", next_step=f"Try to run it by hand: {path}")


def _head(path: Path) -> bytes | None:
    """Read the first bytes of a file; None when there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(256)
    except FileNotFoundError:
        return None
    except OSError:  # not readable, or a directory: still a file that exists
        return b""


def _shebang(head: bytes) -> str | None:
    return os.fsdecode(head[2:].split(b"\n", 1)[0].strip()) if head.startswith(b"#!") else None


def _missing_interpreter(head: bytes) -> str:
    line = _shebang(head)
    if line is None:
        return "The file exists, but the dynamic loader or library it names does not."
    interpreter = line.split()[0] if line else ""
    dos = " (its first line ends with a carriage return)" if head.split(b"\n", 1)[0].endswith(b"\r") else ""
    return f"Its first line names the interpreter {interpreter!r}, which does not exist{dos}."


def _not_permitted(path: Path, what: str) -> DebugtoolError:
    if path.is_dir():
        return DebugtoolError(what, why="It is a directory.", next_step=_REBUILD)
    if not os.access(path, os.X_OK):
        mode = oct(path.stat().st_mode & 0o7777)
        return Refused(
            what, why=f"It is not executable for this user (its mode is {mode}).", next_step=f"Run: chmod +x {path}"
        )
    return Refused(
        what,
        why="The kernel does not permit to run it (a directory above it, its interpreter, or a noexec mount).",
        next_step=f"Try to run it by hand: {path}",
    )


def _format_words(head: bytes) -> str:
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "<" if head[5] == 1 else ">"
        machine = struct.unpack_from(f"{order}H", head, 18)[0]
        return f"it is a program for {_ELF_MACHINES.get(machine, f'processor {machine}')}, and this machine is not"
    if head.startswith(b"MZ"):
        return "it is a Windows program"
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
        return "it is a macOS program"
    if not head:
        return "it is empty"
    return "it is a script without a #! line, or no program at all"


def no_handshake(path: Path, pid: int, ending: str | None, stderr: Iterable[str]) -> DebugtoolError:
    """Explain a plugin whose stdout ended without a line.

    Args:
        path: What was started.
        pid: Its process id.
        ending: How it ended, None when it only closed its stdout.
        stderr: Its last lines on stderr.
    """
    lines = list(stderr)
    if ending is None:
        reason = "It closed its stdout without printing a handshake line, and was killed."
    else:
        reason = f"It ended ({ending}) before it printed its handshake line."
    return DebugtoolError(
        f"The plugin {path.name} (pid {pid}) did not start.",
        why=with_stderr(reason, lines),
        next_step=_advice(path, lines),
        details={"stderr": lines},
    )


def _advice(path: Path, stderr: list[str]) -> str:
    line = _shebang(_head(path) or b"") or ""
    if line.split()[:1] == ["/usr/bin/env"]:
        return (
            "Name the interpreter by its absolute path in the first line: since 12.4 Grafana passes no PATH, so that"
            f" `#!{line}` finds only the system's."
        )
    if not stderr:
        return f"Run it by hand to see more: grafana_plugin_type=datasource {path}"
    return "Correct what its stderr shows."


def bad_handshake(path: Path, pid: int, reason: str, next_step: str, stderr: Iterable[str]) -> DebugtoolError:
    """Explain a first line that is no handshake."""
    lines = list(stderr)
    return DebugtoolError(
        f"The plugin {path.name} (pid {pid}) did not start.",
        why=with_stderr(reason, lines),
        next_step=next_step,
        details={"stderr": lines},
    )


def start_timed_out(path: Path, pid: int, limit_s: float, partial: str, stderr: Iterable[str]) -> TimedOut:
    """Explain a plugin that printed no whole line within the start limit."""
    lines = list(stderr)
    said = f" Its stdout says so far, without a newline: {partial[:200]}" if partial else ""
    return TimedOut(
        f"The plugin {path.name} (pid {pid}) did not start within {limit_s:g} s, and was killed.",
        why=with_stderr(f"It printed no handshake line.{said}", lines),
        next_step="Serve before doing anything slow; if you are debugging its start, give more: --start-timeout 600",
        details={"stderr": lines},
    )


def with_stderr(reason: str, lines: list[str]) -> str:
    """Add what stderr said to a reason."""
    return "\n".join([reason, "Its stderr:", *(f"  {line}" for line in lines)]) if lines else reason
