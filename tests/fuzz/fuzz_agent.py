"""Whatever comes to the socket of a debug build's agent: the next one who asks is answered."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
from functools import cache

from fuzzing import LIMIT_S, watched_threads

from debugtool.plugin import agent


def fuzz_one(data: bytes) -> None:
    """Send bytes to the agent, then a request that is none of debugtool's sessions, as one that was killed sends it."""
    directory = _listening()
    with watched_threads():
        _ask(directory, data)
        request = {"socket": f"{directory}/nobody", "token": "t", "debugpy": "/nowhere", "uid": os.geteuid()}
        assert _ask(directory, json.dumps(request).encode() + b"\n") == b"{}\n", "the next one is not answered"


@cache
def _listening() -> str:
    """Start an agent for the rest of this process; give the directory with its socket."""
    directory = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{directory}/agent")
    listener.listen()
    work = (listener, os.geteuid(), os.getpid())
    threading.Thread(target=agent.serve, args=work, name="agent", daemon=True).start()
    return directory


def _ask(directory: str, sent: bytes) -> bytes:
    heard = b""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(LIMIT_S)
        channel.connect(f"{directory}/agent")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            channel.sendall(sent)
            channel.shutdown(socket.SHUT_WR)
            while part := channel.recv(4096):
                heard += part
    return heard
