"""While a debugger stands at a breakpoint the plugin still answers its host's own calls, and ends when told to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from gohost_driver import LIMIT_S, GoHost, StartGoHost, queries


class DapClient:
    """As much of an editor as stops and continues a program."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._stream = self._socket.makefile("rb")
        self._sequence = 0

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, command: str, **arguments: Any) -> None:
        self._sequence += 1
        request = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(request).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def wait_for(self, kind: str, name: str) -> dict[str, Any]:
        """The next event or response of that name."""
        while True:
            length = 0
            while (header := self._stream.readline().strip()) != b"":
                key, _, value = header.partition(b":")
                length = int(value) if key == b"Content-Length" else length
            assert length, "the debugger has gone"
            message: dict[str, Any] = json.loads(self._stream.read(length))
            if message["type"] == kind and message.get("event", message.get("command")) == name:
                return message


@pytest.fixture
def paused(start_go_host: StartGoHost) -> Iterator[tuple[GoHost, DapClient, int]]:
    """A plugin that stands at a breakpoint in a query; the query's number is the third."""
    host = start_go_host("paused_plugin.py")
    editor = DapClient(host.wait_message("debugger listens")["port"])
    try:
        editor.send("initialize", adapterID="test")
        editor.wait_for("response", "initialize")
        editor.send("attach", justMyCode=False)
        editor.wait_for("event", "initialized")
        editor.send("configurationDone")
        editor.wait_for("response", "attach")
        waiting = host.send("QueryData", queries(), **{"async": True})
        assert editor.wait_for("event", "stopped")["body"]["allThreadsStopped"] is True
        yield host, editor, waiting
    finally:
        editor.close()


def test_a_pause_is_no_hang_to_the_host(paused: tuple[GoHost, DapClient, int]) -> None:
    host, editor, waiting = paused
    for _ in range(3):
        assert host.good("ping")["elapsed_ms"] < 1000
    editor.send("threads")
    names = {thread["name"] for thread in editor.wait_for("response", "threads")["body"]["threads"]}
    assert "MainThread" in names and any(name.startswith("plugin-worker") for name in names)
    assert not any(name.startswith(("plugin-control", "plugin-stdout", "plugin-host")) for name in names)
    editor.send("continue", threadId=1)
    assert host.answer(waiting)["frames"]["A"]


def test_a_paused_plugin_ends_when_the_host_stops_it(paused: tuple[GoHost, DapClient, int]) -> None:
    host, _, _ = paused
    killed = host.good("kill")
    assert (killed["exited"], killed["exit_code"]) == (True, 0)
    assert killed["kill_ms"] < 2000
