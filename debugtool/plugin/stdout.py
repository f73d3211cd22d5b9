"""Keeps stdout for the handshake line: what anybody else prints becomes log lines.

A host reads the handshake from the plugin's first line on stdout; a stray print() before it ends the start, and one
of more than 64 KiB after it blocks the plugin (wire-spec 1.2). So fd 1 becomes a pipe into this module, whose thread
writes each line as a debug record of the logger `stdout` on stderr. Children inherit that pipe and never the host's.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading

from debugtool.plugin import logs
from debugtool.plugin.handshake import COOKIE_KEY, COOKIE_VALUE
from debugtool.plugin.service_threads import hide_from_debugger

_MAX_LINE_BYTES = 16 * 1024  # well below the host's 64 KiB, JSON escapes (six characters for one) counted
_JOIN_S = 0.5

_host_fd: int | None = None
_guarded = False


def guard_stdout() -> None:
    """Send what is printed from now on to the log, and keep the real stdout for the handshake.

    `serve()` does this first thing. Call it earlier, before other imports, when those may print. Without a host (the
    cookie is not in the environment) it does nothing, so that a plugin run by hand prints as usual. Calling it twice is
    the same as calling it once.
    """
    global _host_fd, _guarded
    if _guarded or os.environ.get(COOKIE_KEY) != COOKIE_VALUE:
        return
    _guarded = True
    read_fd, write_fd = os.pipe()
    _host_fd = os.dup(1)  # not inheritable, unlike fd 1
    os.dup2(write_fd, 1)
    os.close(write_fd)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Text printed before now sits in the buffer and goes to the log with this flush.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
        sys.stdout.flush()
    pump = threading.Thread(target=_pump, args=(read_fd,), name="plugin-stdout", daemon=True)
    hide_from_debugger(pump)
    pump.start()
    atexit.register(_finish, pump)


def send_handshake(line: bytes) -> None:
    """Write the handshake line to the host and let go of its pipe: nothing else may ever be written there.

    Raises:
        OSError: The host is gone.
    """
    global _host_fd
    if _host_fd is None:
        raise RuntimeError("stdout is not guarded, or the handshake has been sent")
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(_host_fd, rest) :]
    os.close(_host_fd)
    _host_fd = None


def _pump(fd: int) -> None:
    pending = b""
    while chunk := os.read(fd, 65536):
        *lines, pending = (pending + chunk).split(b"\n")
        if len(pending) > _MAX_LINE_BYTES:
            lines.append(pending)
            pending = b""
        for line in lines:
            _log(line)
    _log(pending)
    os.close(fd)


def _log(line: bytes) -> None:
    for start in range(0, len(line), _MAX_LINE_BYTES):
        text = line[start : start + _MAX_LINE_BYTES].decode("utf-8", "backslashreplace").rstrip("\r")
        logs.write({"@level": "debug", "@message": text, "@module": "stdout"})


def _finish(pump: threading.Thread) -> None:
    """Let the last prints reach the log: the interpreter stops daemon threads wherever they are."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    pump.join(_JOIN_S)  # no end comes while a child of ours holds the pipe
