"""A debug client that nobody here wrote, Microsoft's DebugClient, through the launch.json that attach wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attach_driver import DEBUGTOOL, AttachSession, Lines
from debug_driver import DEBUGGEE, Debuggee, line_of, running_debuggee

CLIENT = Path(__file__).resolve().parents[1] / "dapclient"
INSTALL_LIMIT_S = 170
COMMENTED = """{
    // kept, as everything here is
    "version": "0.2.0",
    "configurations": [
        { "name": "Frontend", "type": "chrome", "request": "launch", "url": "http://localhost:3000/a//b", },
    ],
}
"""


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the client's packages installed; no Node or npm is an error."""
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node and npm, "these tests need Node and npm, see tests/dapclient/package.json"
    if not (CLIENT / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--no-audit", "--no-fund"]
        installed = subprocess.run(
            command, cwd=CLIENT, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
        assert installed.returncode == 0, installed.stderr
    return node


@pytest.fixture
def target() -> Iterator[Debuggee]:
    with running_debuggee() as target:
        yield target


def debug_once(node: str, launch_json: Path, target: Debuggee, number: int) -> dict[str, Any]:
    """Run one session of the client, with the target running into its breakpoint; give what it saw."""
    command = [node, "session.js", str(launch_json), str(DEBUGGEE), str(line_of("INSIDE"))]
    with subprocess.Popen(command, cwd=CLIENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        lines, errors = Lines(client.stdout), Lines(client.stderr)
        try:
            assert lines.next() == "waiting\n"
            target.begin("steps", number)
            seen: dict[str, Any] = json.loads(lines.next())
            assert client.wait(20) == 0
        except EOFError:
            raise AssertionError(errors.next()) from None
        finally:
            client.kill()
    assert target.result() == number * 2 + 1
    target.assert_untraced()
    return seen


def test_it_debugs_through_the_launch_json_that_attach_wrote(node: str, target: Debuggee, tmp_path: Path) -> None:
    launch_json = tmp_path / ".vscode" / "launch.json"
    launch_json.parent.mkdir()
    launch_json.write_text(COMMENTED)
    command = [DEBUGTOOL, "attach", "--json", "--pid", str(target.pid), "--port", "0", "--workspace", str(tmp_path)]
    with subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            session = AttachSession(process)
            port = session.port
            assert session.wait_for("launch_json")["path"] == str(launch_json)
            seen = debug_once(node, launch_json, target, 20)
            again = [debug_once(node, launch_json, target, number) for number in range(3)]
            assert session.stop() == 0
        finally:
            process.kill()
    assert "// kept, as everything here is" in launch_json.read_text()
    configuration = seen["configuration"]
    assert configuration["connect"] == {"host": "127.0.0.1", "port": port}
    assert (configuration["type"], configuration["request"]) == ("debugpy", "attach")
    assert (seen["verified"], seen["reason"]) == ([True], "breakpoint")
    assert seen["frames"][0] == ["double", str(DEBUGGEE), line_of("INSIDE")]
    assert seen["frames"][1] == ["steps", str(DEBUGGEE), line_of("STEP HERE")]
    assert (seen["variables"], seen["watched"]) == ({"number": "20"}, "21")
    assert seen["next"] == line_of("INSIDE") + 1
    assert {"MainThread", "server", "pool_0", "pool_1", "pool_2"} <= set(seen["threads"])
    assert [each["variables"] for each in again] == [{"number": str(number)} for number in range(3)]
