"""The guard of ptrace_scope: lowers it, and puts it back when the session that needed it ends, however it ends.

Runs as a process of its own (`python -I -S scope_guard.py SCOPE_FILE STATE_DIRECTORY`), so that kill -9 of debugtool
does not leave the machine open; under sudo when debugtool is not root. It imports nothing but the standard library:
neither the path nor the environment of debugtool reaches it.

Its standard input is a pipe that only debugtool holds the other end of: its end is the end of the session. On standard
output it says one line, `lowered` or `error: ...`, and `restored` at the end.

Several guards may be there at once. Each holds a shared lock on the state file, which keeps the value from before the
first of them; the one that ends last, and so can lock it exclusively, puts that value back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

_LOWERED = "0"


@contextlib.contextmanager
def _one_at_a_time(state_directory: Path) -> Iterator[None]:
    """Keep other guards from coming or going meanwhile."""
    with (state_directory / "ptrace_scope.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_last(descriptor: int) -> bool:
    """Trade the shared lock for an exclusive one, which succeeds when no other guard holds a shared one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lower(scope_file: Path, state_directory: Path, descriptor: int) -> None:
    with _one_at_a_time(state_directory):
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        present = scope_file.read_text().strip()
        # When it is lowered already, another guard has remembered the value; even one that was killed itself.
        if present != _LOWERED:
            _remember(descriptor, present)
            scope_file.write_text(f"{_LOWERED}\n")


def _remember(descriptor: int, value: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, value.encode(), 0)


def _restore(scope_file: Path, state_directory: Path, descriptor: int) -> None:
    with _one_at_a_time(state_directory):
        if not _is_last(descriptor):
            return
        remembered = os.pread(descriptor, 16, 0).decode().strip()
        # Whoever set another value meanwhile meant it.
        if remembered and scope_file.read_text().strip() == _LOWERED:
            scope_file.write_text(f"{remembered}\n")
        _remember(descriptor, "")


def main(scope_file: Path, state_directory: Path) -> int:
    """Lower the scope, wait for the end of standard input, put the scope back.

    Args:
        scope_file: Yama's ptrace_scope.
        state_directory: A directory of root alone; made when it is missing.
    """
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ending, signal.SIG_IGN)  # Ctrl-C at the terminal is for debugtool; the pipe tells us
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()  # out of debugtool's process group, which may be killed as a whole
    os.chdir("/")
    try:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_directory / "ptrace_scope", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _lower(scope_file, state_directory, descriptor)
    except OSError as error:
        print(f"error: {error}", flush=True)
        return 1
    print("lowered", flush=True)
    while os.read(0, 4096):
        pass
    _restore(scope_file, state_directory, descriptor)
    with contextlib.suppress(OSError):  # debugtool is gone, and nobody reads it
        print("restored", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
