"""Lowering Yama's ptrace_scope for the length of a session, on an explicit yes."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from debugtool.errors import DebugtoolError, Refused
from debugtool.system import scope_guard
from debugtool.system.permission import PROC, Permission, scope_file
from debugtool.system.refusal import Cause, why_not

QUESTION = "Set ptrace_scope to 0? y/N"

STATE_DIRECTORY = Path("/run/debugtool")
"""Where guards remember the value to put back. Root's alone; /run is emptied when the value itself is reset."""

# sudo may ask for a password first, which takes a person a while.
_LOWER_TIMEOUT_S = 60.0
_RESTORE_TIMEOUT_S = 5.0

Ask = Callable[[str], bool]


def ask_on_terminal() -> Ask | None:
    """Give a way to ask the user; None when nobody is there to answer."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        return _ask
    return None


def _ask(question: str) -> bool:
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextlib.contextmanager
def temporarily_relax_ptrace_scope(
    permission: Permission,
    *,
    ask: Ask | None,
    proc: Path = PROC,
    state_directory: Path = STATE_DIRECTORY,
) -> Iterator[bool]:
    """Set ptrace_scope to 0 while the block runs, if that is what stands in the way and the user says yes.

    Asks nothing and changes nothing when the scope is not the reason (`why_not`), when it is 3, which cannot be
    lowered, or when nobody can be asked. A guard process puts the value back when the block ends, and when debugtool
    is killed. Sessions side by side share one change: the last one puts it back.

    Args:
        permission: What `examine` read.
        ask: Asks a yes-no question; `ask_on_terminal()`.
        proc: Where procfs is mounted.
        state_directory: Where guards remember the value to put back.

    Yields:
        Whether the scope is 0 now because of us. When it is not, `why_not(permission)` says what else can be done.

    Raises:
        Refused: The user said yes, and it could not be changed.
        DebugtoolError: It was not seen to be put back.

    Source:
        The setting can be written with CAP_SYS_PTRACE only (Yama.rst), and whoever has that needs no change. So it
        takes sudo in practice.
    """
    refusal = why_not(permission)
    wanted = refusal is not None and refusal.cause in (Cause.RESTRICTED, Cause.ADMIN_ONLY)
    if not wanted or ask is None or not ask(QUESTION):
        yield False
        return
    guard = _start_guard(scope_file(proc), state_directory)
    try:
        yield True
    finally:
        _end_guard(guard, scope_file(proc), permission.scope)


def _start_guard(file: Path, state_directory: Path) -> subprocess.Popen[str]:
    # -I -S: nothing of the user's environment or site-packages runs as root.
    command = [sys.executable, "-I", "-S", scope_guard.__file__, str(file), str(state_directory)]
    sudo = [] if os.access(file, os.W_OK) else _sudo(file)
    guard = subprocess.Popen(
        [*sudo, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Signals to debugtool's group, kill -9 included, must not reach it. sudo needs our terminal for its password.
        start_new_session=not sudo,
    )
    answer = _read_line(guard, _LOWER_TIMEOUT_S)
    if answer == "lowered":
        return guard
    guard.communicate()
    raise Refused(
        "Could not set ptrace_scope to 0.",
        why=answer.removeprefix("error: ") or f"{' '.join(sudo) or 'The guard process'} ended with {guard.returncode}.",
        next_step="Run this one command as root, which needs no change: sudo debugtool attach",
    )


def _sudo(file: Path) -> list[str]:
    if shutil.which("sudo"):
        return ["sudo", "--"]
    raise Refused(
        "Could not set ptrace_scope to 0.",
        why=f"{file} is not writable for uid {os.geteuid()}, and there is no sudo.",
        next_step="Run this one command as root, which needs no change: debugtool attach",
    )


def _read_line(guard: subprocess.Popen[str], timeout_s: float) -> str:
    """Read one line of the guard; empty when it ended or took too long."""
    assert guard.stdout is not None
    ready, _, _ = select.select([guard.stdout], [], [], timeout_s)
    return guard.stdout.readline().strip() if ready else ""


def _end_guard(guard: subprocess.Popen[str], file: Path, old: int | None) -> None:
    """Close the pipe that the guard lives by, and see that it has put the value back."""
    try:
        answer, _ = guard.communicate(timeout=_RESTORE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        answer = ""
    if answer.strip() != "restored":
        raise DebugtoolError(
            "Could not see ptrace_scope put back.",
            why=f"The guard process {guard.pid} did not say so; {file} is {file.read_text().strip()} now.",
            next_step=f"Look at it, and set it as it was: sudo sysctl kernel.yama.ptrace_scope={old}",
        )
