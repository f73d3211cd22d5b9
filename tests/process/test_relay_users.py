"""Who may connect to the debug ports: the plugin's own user and root, on this machine, and nobody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from attach_driver import attached, run_debugtool
from dap_client import DapClient
from debug_driver import DEBUGGEE, Scene, debugging, line_of, listeners_of, running_debuggee, stop_at

NOBODY = 65534
ASK = """
import encodings.idna, os, socket, sys  # connecting imports the first, and nobody may not read it
os.setgroups([])
os.setresgid(*[int(sys.argv[1])] * 3)
os.setresuid(*[int(sys.argv[1])] * 3)
with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=20) as connection:
    try:
        body = b'{"type": "request", "seq": 1, "command": "initialize", "arguments": {"adapterID": "debugpy"}}'
        connection.sendall(b"Content-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
        print(connection.recv(100))
    except ConnectionError:
        print(b"")
"""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with debugging() as scene:
        yield scene


def ask_as(uid: int, port: int, host: str = "127.0.0.1") -> str:
    """Say `initialize` to a port as another user; give the beginning of the answer, as repr of bytes."""
    command = [sys.executable, "-c", ASK, str(uid), host, str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def assert_serves(scene: Scene, host: str = "127.0.0.1") -> None:
    with DapClient(scene.session.port, host) as editor:
        editor.attach({DEBUGGEE: [line_of("INSIDE")]})
        scene.target.begin("steps", 4)
        editor.resume(stop_at(editor, "breakpoint", "INSIDE")["threadId"])
        assert scene.target.result() == 9
        editor.disconnect()


def wait_for_warning(scene: Scene, text: str) -> None:
    while text not in scene.session.errors.next(20):
        pass


def test_another_user_is_refused_and_the_next_editor_is_served(scene: Scene) -> None:
    assert ask_as(NOBODY, scene.session.port) == "b''"
    wait_for_warning(scene, f"refused a connection of user {NOBODY}: only the plugin's own user may debug it")
    assert_serves(scene)


def test_another_user_is_refused_at_the_debuggers_private_port(scene: Scene) -> None:
    (private,) = set(listeners_of(scene.session.process.pid)) - {scene.session.port}
    assert ask_as(NOBODY, private) == "b''"
    wait_for_warning(scene, f"refused a connection of user {NOBODY} to the debugger's private port")
    assert_serves(scene)


def test_what_is_no_debugger_is_refused_at_the_debuggers_private_port(scene: Scene) -> None:
    (private,) = set(listeners_of(scene.session.process.pid)) - {scene.session.port}
    ask_as(os.getuid(), private)
    wait_for_warning(scene, "a connection to the debugger's private port was not pydevd")
    assert_serves(scene)


def test_nobodys_process_is_debugged_by_nobody_and_by_root() -> None:
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    with running_debuggee(_python_for_everybody(), command) as target, attached("--pid", target.pid) as session:
        assert "Content-Length" in ask_as(NOBODY, session.port)
        assert ask_as(NOBODY - 1, session.port) == "b''"
        scene = Scene(target, session)
        assert_serves(scene)
        target.wait_until_untraced()


def test_another_loopback_address_and_ipv6_are_served() -> None:
    for host in ("::1", "127.0.0.7", "localhost"):
        with running_debuggee() as target, attached("--pid", target.pid, "--host", host) as session:
            assert session.wait_for("ready")["host"] == host
            assert_serves(Scene(target, session), host)
            assert ask_as(NOBODY, session.port, host) == "b''"


def test_an_address_that_others_can_reach_is_refused() -> None:
    with running_debuggee() as target:
        for host in ("0.0.0.0", "::", "192.0.2.1"):
            ended = run_debugtool("attach", "--pid", target.pid, "--port", 0, "--host", host, "--no-launch-json")
            assert ended.returncode == 4
            assert ended.stderr.splitlines()[-3:] == [
                f"Error: Not listening on {host}.",
                "  why:  whoever reaches the debug port runs code as the plugin's user, without a password",
                "  next: leave --host out and forward the port (ssh -L 3222:127.0.0.1:3222), or add --allow-remote",
            ]
        assert [name for name in target.call("trace_facts")["threads"] if name == "debugtool"] == []


def test_such_an_address_is_listened_on_when_it_is_wanted_and_local_users_are_still_told_apart() -> None:
    options: list[Any] = ["--host", "0.0.0.0", "--allow-remote"]
    with running_debuggee() as target, attached("--pid", target.pid, *options) as session:
        assert session.wait_for("ready")["host"] == "0.0.0.0"
        assert_serves(Scene(target, session))
        assert ask_as(NOBODY, session.port) == "b''"
        for address in _own_addresses():
            assert_serves(Scene(target, session), address)
            assert ask_as(NOBODY, session.port, address) == "b''"


def _own_addresses() -> list[str]:
    """List this machine's IPv4 addresses that others may reach."""
    shown = subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, text=True, check=True, timeout=10)
    found = [address["local"] for link in json.loads(shown.stdout) for address in link["addr_info"]]
    return [address for address in found if not address.startswith("127.")]


def _python_for_everybody() -> str:
    """Give a Python that a user without rights can run."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert python is not None
    return python
