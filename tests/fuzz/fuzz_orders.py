"""Orders to the payload inside a target, as a broken session might give them: it lets go and ends, whatever comes."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from fuzzing import LIMIT_S, watched_threads

from debugtool.plugin.agent import payload


class Orders(payload.Session):
    """The payload's session without the debugger itself, which would come up in the fuzzer."""

    version = "0"

    def load(self) -> None:
        """Leave debugpy where it is."""

    def probe(self, host: str, port: int, token: str) -> None:
        """Connect to nothing."""

    connect = probe


def fuzz_one(data: bytes) -> None:
    """Give bytes as orders, a line each."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory, socket.socket(socket.AF_UNIX) as listener:
        private = Path(directory, "session-1-1-x")
        private.mkdir()
        path = str(private / "control.sock")
        listener.bind(path)
        listener.listen()
        arguments: dict[str, Any] = {"socket": path, "token": "t", "debugpy": "/nowhere", "uid": os.geteuid()}
        session = Orders(arguments, True, socket.socket(socket.AF_UNIX))
        with watched_threads():
            thread = threading.Thread(target=session.serve, name="debugtool", daemon=True)
            thread.start()
            _order(listener, data)
        assert not private.exists(), "the private directory is left"


def _order(listener: socket.socket, data: bytes) -> None:
    listener.settimeout(LIMIT_S)
    channel, _ = listener.accept()
    with channel, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        channel.settimeout(LIMIT_S)
        channel.sendall(data)
        channel.shutdown(socket.SHUT_WR)
        while channel.recv(65536):
            pass
