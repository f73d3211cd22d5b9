"""A starting plugin's look for a session that waits for it: whatever is in the file and said there, it starts."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from fuzzing import LIMIT_S, watched_threads

from debugtool.plugin.agent import paths, rendezvous
from debugtool.system import start_ticks

PROGRAM = "/the/plugin"
_BEGINNING = b'{"program": "/the/plugin", "pid": 4242, "started": 777, "socket": "SOCKET"}'


def fuzz_one(data: bytes) -> None:
    """Put a file there and say something at its socket.

    Args:
        data: The file's content, a NUL, and what is said. Without a NUL it is all said, and the file is as it should
            be. In it `4242` and `777` are a process that runs, and `SOCKET` is where something is said.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory, socket.socket(socket.AF_UNIX) as listener:
        place = f"{directory}/s"
        content, nul, said = data.partition(b"\0")
        content, said = (content, said) if nul else (_BEGINNING, data)
        facts = {
            b"4242": b"%d" % os.getpid(),
            b"777": b"%d" % (start_ticks(os.getpid()) or 0),
            b"SOCKET": place.encode(),
        }
        for name, value in facts.items():
            content, said = content.replace(name, value), said.replace(name, value)
        path = Path(directory, f"{rendezvous.PREFIX}1-2.json")
        path.write_bytes(content)
        path.chmod(0o600)
        listener.bind(place)
        listener.listen()
        talking = threading.Thread(target=_talk, args=(listener, said))
        talking.start()
        try:
            with watched_threads(), _runtime_directory(directory):
                rendezvous.keep(PROGRAM, os.geteuid())
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            talking.join(LIMIT_S)
        assert not talking.is_alive()


@contextlib.contextmanager
def _runtime_directory(directory: str) -> Iterator[None]:
    before, paths.runtime_dir = paths.runtime_dir, lambda uid: directory
    try:
        yield
    finally:
        paths.runtime_dir = before


def _talk(listener: socket.socket, said: bytes) -> None:
    """Say something to each one that comes, until the listener is shut."""
    while True:
        try:
            channel, _ = listener.accept()
        except OSError:
            return
        with channel, contextlib.suppress(OSError):
            channel.settimeout(LIMIT_S)
            channel.sendall(said)
            channel.shutdown(socket.SHUT_WR)
            while channel.recv(65536):
                pass
