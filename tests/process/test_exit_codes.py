"""Every exit code of the contract, from the installed command: the whole message, and the code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import DEBUGTOOL, WORKER, Worker, attached, run_debugtool, running_worker

from debugtool.errors import ExitCode

SLEEP = "sitecustomize.py", "import time\ntime.sleep(600)\n"


@pytest.fixture
def worker() -> Iterator[Worker]:
    with running_worker("idle") as process:
        yield process
        process.ask()


def errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if not line.startswith("Attaching to ")]


def attach(*arguments: str | int) -> subprocess.CompletedProcess[str]:
    return run_debugtool("attach", "--port", 0, "--no-launch-json", *arguments)


def test_0_ok(worker: Worker) -> None:
    with attached("--pid", worker.pid) as session:
        session.wait_for("ready")
        result = run_debugtool("detach", str(worker.pid))
        assert errors(result) == [f"Detached from worker (pid {worker.pid}). It serves on."]
        assert result.returncode == ExitCode.OK
        assert session.process.wait(60) == ExitCode.OK


def test_1_failed(tmp_path: Path) -> None:
    script = tmp_path / "hides_json.py"
    script.write_text(
        "import os, sys, time\nsys.modules['json'] = None\nprint('ready', os.getpid(), flush=True)\ntime.sleep(600)"
    )
    with running_worker(script=script) as hidden:
        result = attach("--pid", hidden.pid)
        lines = errors(result)
        assert lines[0] == f"Error: The debugger failed inside pid {hidden.pid} (hides_json): starting the payload."
        assert lines[1] == "  why:  Traceback (most recent call last):"
        assert lines[-2].strip() == "ModuleNotFoundError: import of json halted; None in sys.modules"
        assert lines[-1] == (
            "  next: the plugin runs on as before; the traceback's last line says what the debugger lacks there"
        )
        assert result.returncode == ExitCode.FAILED
        assert hidden.process.poll() is None


def test_2_usage() -> None:
    result = attach("--pid", "four")
    assert errors(result)[-1] == "Error: Invalid value for '--pid': 'four' is not a valid integer range."
    assert result.returncode == ExitCode.USAGE


def test_3_not_found() -> None:
    result = run_debugtool("detach", "no-such-plugin-anywhere")
    lines = errors(result)
    assert lines[0] == "Error: No debug session of 'no-such-plugin-anywhere'."
    assert lines[1].startswith("  why:  running sessions of this user: ")
    assert lines[2:] == ["  next: start one with debugtool attach"]
    assert result.returncode == ExitCode.NOT_FOUND


def test_4_refused(worker: Worker) -> None:
    result = attach("--pid", worker.pid, "--host", "0.0.0.0")
    assert errors(result) == [
        "Error: Not listening on 0.0.0.0.",
        "  why:  whoever reaches the debug port runs code as the plugin's user, without a password",
        "  next: leave --host out and forward the port (ssh -L 3222:127.0.0.1:3222), or add --allow-remote",
    ]
    assert result.returncode == ExitCode.REFUSED


def test_5_timed_out(tmp_path: Path) -> None:
    name, text = SLEEP
    (tmp_path / name).write_text("print('starting', flush=True)\n" + text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([DEBUGTOOL.with_name("python"), WORKER], stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            result = attach("--pid", process.pid, "--timeout", 1)
        finally:
            process.kill()
    assert errors(result) == [
        f"Error: Pid {process.pid} (worker) was not ready for a debugger within 1 s.",
        "  why:  its main thread runs no Python code: it is starting or ending",
        "  next: wait until the plugin has started, then try again",
    ]
    assert result.returncode == ExitCode.TIMED_OUT


def test_6_ambiguous(tmp_path: Path) -> None:
    script = tmp_path / "both_alike.py"
    script.write_text(WORKER.read_text())
    with running_worker("idle", script=script), running_worker("idle", script=script) as other:
        result = attach("both_alike")
        lines = errors(result)
        assert lines[:2] == ["Error: 2 processes are called both_alike.", "  why:  Each of these has that name:"]
        choose = f"Choose one by its number, for example: --pid {other.pid}"
        assert lines[-1] == f"  next: {choose}. `attach --all` takes all of them"
        assert result.returncode == ExitCode.AMBIGUOUS


def test_7_unsupported(worker: Worker) -> None:
    result = attach("--pid", worker.pid, "--method", "agent")
    assert errors(result) == [
        f"Error: No way into pid {worker.pid} (worker).",
        "  why:  agent: no debug agent listens in it (debugtool build --debug puts one in)",
        "  next: drop --method to let debugtool choose",
    ]
    assert result.returncode == ExitCode.UNSUPPORTED


def test_8_address_in_use(worker: Worker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = attach("--pid", worker.pid, "--port", port)
    lines = errors(result)
    assert lines[0] == f"Error: Could not listen on 127.0.0.1:{port}: the address is in use."
    assert lines[1].startswith(f"  why:  pid {os.getpid()} (") and lines[1].endswith(
        f" of user {os.geteuid()} listens there"
    )
    assert lines[2:] == ["  next: end that process, or choose another --port (0 takes a free one)"]
    assert result.returncode == ExitCode.ADDRESS_IN_USE
    assert worker.tracer() == 0


def test_130_interrupted() -> None:
    """GIVEN a wait for a plugin WHEN Ctrl-C is pressed THEN it ends with 130 and one word."""
    with attached("--wait", "no-such-plugin-anywhere") as session:
        session.wait_for("waiting")
        assert session.stop(signal.SIGINT) == ExitCode.INTERRUPTED
        assert session.error_text().strip() == "Interrupted."


def test_an_error_as_json_is_the_last_event(worker: Worker) -> None:
    result = attach("--pid", worker.pid, "--method", "agent", "--json")
    event = json.loads(result.stdout.splitlines()[-1])
    del event["time"]
    assert event == {
        "event": "error",
        "code": 7,
        "what": f"No way into pid {worker.pid} (worker).",
        "why": "agent: no debug agent listens in it (debugtool build --debug puts one in)",
        "next": "drop --method to let debugtool choose",
    }
