"""Connections to the debug port that are no editor: closed, told of on stderr, and the next editor is served."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from dap_client import DapClient
from debug_driver import DEBUGGEE, Scene, debugging, line_of, stop_at


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with debugging() as scene:
        yield scene


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def connect(scene: Scene) -> socket.socket:
    return socket.create_connection(("127.0.0.1", scene.session.port), timeout=20)


def assert_serves(scene: Scene) -> None:
    """Fail unless an editor that comes now is served."""
    with scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
        scene.target.begin("steps", 4)
        editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
        assert scene.target.result() == 9


def wait_for_warning(scene: Scene, text: str) -> None:
    """Wait for a line on debugtool's stderr."""
    while text not in scene.session.errors.next(20):
        pass


def memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


INITIALIZE = json.dumps({"type": "request", "seq": 1, "command": "initialize", "arguments": {}}).encode()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no DAP header"),
        (random.Random(7).randbytes(64).replace(b"\n", b"x").replace(b":", b"x") + b"\n", "no DAP header"),
        (b"x" * 100_000, "a header line without end"),
        (b"X: y\r\n" * 1000, "a header without end"),
        (b"\r\n", "a header without Content-Length"),
        (b"Content-Length: 1000000000\r\n\r\n{", "a message of 1000000000 bytes"),
        (b"Content-Length: 100000000000000000000\r\n\r\n{", "a Content-Length of"),
        (b"Content-Length: -1\r\n\r\n", "a Content-Length of"),
        (b"Content-Length: 0x10\r\n\r\n", "a Content-Length of"),
        (frame(b"not JSON"), "a body that is not JSON"),
        (frame(b"\xff\xfe\xfd"), "a body that is not JSON"),
        (frame(b"[" * 60_000), "a body that is not JSON"),
        (frame(b"[1, 2]"), "JSON that is not a DAP message"),
        (frame(b'{"type": 7}'), "JSON that is not a DAP message"),
        (frame(b'{"type": "request", "seq": 1, "command": "threads"}'), "not an initialize request"),
        (frame(b'{"type": "event", "event": "stopped"}'), "not an initialize request"),
        (frame(b'{"type": "request", "command": "initialize"}'), "without command or seq"),
        (frame(b'{"type": "request", "seq": 1, "command": "initialize", "arguments": [1]}'), "that are no object"),
        (frame(INITIALIZE) + frame(b'{"type": "request", "seq": 2}'), "without command or seq"),
        (frame(INITIALIZE) + b"Content-Length: 99999999999\r\n\r\n", "a message of 99999999999 bytes"),
    ],
)
def test_what_is_not_dap_is_closed_and_told_of(scene: Scene, sent: bytes, told: str) -> None:
    with connect(scene) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
    wait_for_warning(scene, told)
    scene.target.assert_untraced()


def test_the_next_editor_is_served(scene: Scene) -> None:
    assert_serves(scene)


@pytest.mark.parametrize("sent", [b"", b"Content-Le", b"Content-Length: 50\r\n\r\n{", frame(INITIALIZE)])
def test_a_connection_that_ends_early_disturbs_nobody(scene: Scene, sent: bytes) -> None:
    for is_reset in (False, True):
        connection = connect(scene)
        connection.sendall(sent)
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert_serves(scene)


def test_a_thousand_connections_and_silent_ones_among_them_leave_nothing(scene: Scene) -> None:
    pid = scene.session.process.pid
    before = len(list(Path(f"/proc/{pid}/fd").iterdir())), memory_kb(pid)
    with connect(scene) as silent, connect(scene) as half:
        half.sendall(b"Content-Length: 100\r\n\r\n{")
        assert_serves(scene)
        for _ in range(1000):
            connect(scene).close()
        assert silent.recv(1) == b""  # after 10 s
        assert half.recv(1) == b""
    wait_for_warning(scene, "nothing of DAP within 10 s")
    assert_serves(scene)
    assert len(list(Path(f"/proc/{pid}/fd").iterdir())) <= before[0] + 2
    assert memory_kb(pid) < before[1] + 10_000


def test_an_editor_that_never_reads_is_cut_off(scene: Scene) -> None:
    pid = scene.session.process.pid
    before = memory_kb(pid)
    point = {"line": line_of("IN LOOP"), "logMessage": "{'x' * 100_000}"}
    with DapClient(scene.session.port) as deaf:
        deaf.attach({DEBUGGEE: [point]})
        assert scene.target.call("count", 2000) == 1999000
        wait_for_warning(scene, "cut off a connection whose other end has not read")
        assert memory_kb(pid) < before + 300_000
    scene.target.wait_until_untraced()
    assert_serves(scene)
