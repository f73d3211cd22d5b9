"""docs/tutorial.md: every command in it, in order, as its reader types them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from attach_driver import DEBUGTOOL, ROOT
from debug_driver import with_own_sessions
from go_driver import delve_environment

TUTORIAL = ROOT / "docs" / "tutorial.md"
SCRIPT = ROOT / "scripts" / "debug-backend.sh"
LIMIT_S = 300

# The loopback interface of a new network namespace is down.
LOOPBACK_UP = """\
python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'  # SIOCSIFFLAGS, IFF_UP
"""
# Its reader sees when a command in the background is ready.
HEAD = """\
set -eu
until_ready() { for _ in $(seq 200); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.1; done; "$@"; }
is_debugged() { debugtool ps "$1" --json | grep -q '"debugger": "debugtool on'; }
"""
READY = {
    "debugtool run my-datasource": "until_ready debugtool health my-datasource",
    "debugtool run my-go-datasource": "until_ready debugtool health my-go-datasource",
    "scripts/debug-backend.sh": "until_ready is_debugged my-datasource",
}


def commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def script() -> str:
    lines = [HEAD, LOOPBACK_UP]
    for command in commands():
        lines.append(command)
        if command.endswith("&"):
            lines.append(next(wait for start, wait in READY.items() if command.startswith(f"{start} ")))
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go: what needs it is left out")
@pytest.mark.timeout(LIMIT_S + 30)
def test_every_command(tmp_path: Path) -> None:
    """On its real ports, so in namespaces of its own: of the network, of processes and of sessions."""
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    program = tmp_path / "tutorial.sh"
    program.write_text(script())
    own = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", *with_own_sessions()]
    environment = delve_environment()
    environment["PATH"] = f"{DEBUGTOOL.parent}:{environment['PATH']}"
    done = subprocess.run(
        [*own, "bash", program],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^A: 101 rows", done.stdout, re.MULTILINE)) == 2, done.stdout
    assert done.stdout.count('"results"') == 2, done.stdout  # of /api/ds/query and of /api/tsdb/query
    assert done.stderr.count("Detached from ") == 2, done.stderr


def test_both_languages_and_the_old_script_are_in_it() -> None:
    text = "\n".join(commands())
    for part in ("--runtime go", "scripts/debug-backend.sh my-datasource 3222", "/api/ds/query", "/api/tsdb/query"):
        assert part in text


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_scripts_usage_line_is_the_old_ones() -> None:
    usage = f"Usage: {SCRIPT} [plugin process name] [port]\n"
    assert (run_script("-h").returncode, run_script("-h").stdout) == (0, usage)
    wrong = run_script("my-datasource", "3222", "more")
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, "", usage)


def test_the_script_names_what_it_does_not_find() -> None:
    missing = run_script("no-such-plugin-anywhere", "0")
    assert missing.returncode == 3
    assert missing.stderr.startswith("Error: No process is called no-such-plugin-anywhere.")
