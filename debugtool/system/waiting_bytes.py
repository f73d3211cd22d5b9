"""What waits in the sockets of a process that does not run, looked at without taking it out."""

from __future__ import annotations

import contextlib
import ctypes
import socket
from collections.abc import Iterator
from pathlib import Path

from debugtool.errors import ProcessGone
from debugtool.system.process_facts import opened_pidfd

_PIDFD_GETFD = 438  # on every architecture
_PEEK_BYTES = 256 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


def waiting_bytes(pid: int) -> list[bytes]:
    """Give the first bytes that wait in each stream socket of a process; none where we may not look.

    The process's own descriptors are duplicated here and nothing is taken from them: it reads all of it once it runs.

    Source:
        pidfd_getfd(2), Linux 5.6: as permitted as tracing the process is; recv(2), MSG_PEEK.
    """
    found = []
    with contextlib.suppress(ProcessGone, OSError), opened_pidfd(pid) as pidfd:
        for number in _socket_numbers(pid):
            descriptor = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
            if descriptor < 0:
                continue
            with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as duplicate:
                if duplicate.type == socket.SOCK_STREAM:
                    found.append(duplicate.recv(_PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    return found


def _socket_numbers(pid: int) -> Iterator[int]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()).startswith("socket:"):
                yield int(entry.name)
