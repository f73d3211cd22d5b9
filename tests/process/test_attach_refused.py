"""Targets that cannot be attached to, or not yet: what is said, with which code, and that they are as they were."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import (
    BREAK_LINE,
    DEADLINE_S,
    WORKER,
    Lines,
    Worker,
    attached,
    find_pythons,
    run_debugtool,
    running_worker,
)
from dap_client import DapClient

WAITING = WORKER.with_name("waiting_start.py")
VERSIONS = find_pythons()
OLDEST = VERSIONS[0]
NEWEST_AND_OLDEST = [OLDEST, VERSIONS[-1]]


def error_of(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Give the error's lines, without the line that says which process is attached to."""
    assert result.stdout == ""
    return [line for line in result.stderr.splitlines() if not line.startswith("Attaching to ")]


def attach_to(pid: int, *more: str | int) -> subprocess.CompletedProcess[str]:
    return run_debugtool("attach", "--pid", pid, "--port", 0, "--no-launch-json", *more)


def state_of(pid: int) -> str:
    return next(
        line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("State")
    )


def wait_for_state(pid: int, states: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while state_of(pid) not in states:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Stage:
    """A program that says where it is and goes on when told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        self.pid = process.pid

    def wait_for(self, word: str) -> None:
        while not self.lines.next().startswith(word):
            pass

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def staged(python: Path, *arguments: str, **environment: str) -> Iterator[Stage]:
    with subprocess.Popen(
        [python, "-u", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield Stage(process)
        finally:
            process.kill()


@pytest.fixture
def waiting_start(tmp_path: Path) -> Path:
    """A directory whose sitecustomize waits for a line: an interpreter that is still starting."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('starting', flush=True)\nsys.stdin.readline()\n")
    return tmp_path


@pytest.mark.parametrize("python", VERSIONS, ids=lambda path: path.parents[1].name)
def test_an_interpreter_that_is_still_starting_is_waited_for(python: Path, waiting_start: Path) -> None:
    with staged(python, str(WORKER), "idle", PYTHONPATH=str(waiting_start)) as stage:
        stage.wait_for("starting")
        with attached("--pid", stage.pid) as session:
            session.wait_for("target")
            with pytest.raises(TimeoutError):
                session.wait_for("ready", timeout_s=1.5)
            stage.go_on()
            session.wait_for("ready")
            with DapClient(session.port) as editor:
                editor.attach({WORKER: [BREAK_LINE]})
                editor.disconnect()
            assert session.stop() == 0
        stage.wait_for("ready")
        assert stage.process.poll() is None


def test_an_interpreter_that_does_not_start(waiting_start: Path) -> None:
    with staged(VERSIONS[-1], str(WORKER), "idle", PYTHONPATH=str(waiting_start)) as stage:
        stage.wait_for("starting")
        result = attach_to(stage.pid, "--timeout", 2)
        assert error_of(result) == [
            f"Error: Pid {stage.pid} (worker) was not ready for a debugger within 2 s.",
            "  why:  its main thread runs no Python code: it is starting or ending",
            "  next: wait until the plugin has started, then try again",
        ]
        assert result.returncode == 5
        stage.go_on()
        stage.wait_for("ready")


ENDING = """\
import atexit, sys, threading
def end():
    print("ending", flush=True)
    sys.stdin.readline()
    print("ended", flush=True)
atexit.register(end)
"""


@pytest.mark.parametrize("python", VERSIONS, ids=lambda path: path.parents[1].name)
def test_an_interpreter_that_ends_in_its_own_way(python: Path, tmp_path: Path) -> None:
    """GIVEN a process in an exit handler WHEN attached to THEN it is debugged or refused, and ends as it would have."""
    script = tmp_path / "ending.py"
    script.write_text(ENDING)
    with staged(python, str(script)) as stage:
        stage.wait_for("ending")
        with attached("--pid", stage.pid, "--once", "--timeout", 3) as session:
            outcome = session.lines.next()
            while '"target"' in outcome:
                outcome = session.lines.next()
            stage.go_on()
            stage.wait_for("ended")
            assert stage.process.wait(DEADLINE_S) == 0
            assert session.process.wait(DEADLINE_S) in (0, 1, 4, 5, 7)
            assert "Traceback" not in session.error_text()
        assert stage.process.stderr is not None
        assert stage.process.stderr.read() == ""


def test_a_stopped_process_stays_stopped_and_untouched() -> None:
    with running_worker("idle") as worker:
        before = worker.ask()
        os.kill(worker.pid, signal.SIGSTOP)
        wait_for_state(worker.pid, "T")
        result = attach_to(worker.pid)
        assert error_of(result) == [
            f"Error: Could not attach to pid {worker.pid} (worker).",
            "  why:  it is stopped (SIGSTOP or Ctrl-Z), so it cannot run the debugger",
            f"  next: let it continue with `kill -CONT {worker.pid}`, then try again",
        ]
        assert result.returncode == 4
        assert state_of(worker.pid) == "T"
        assert worker.tracer() == 0
        os.kill(worker.pid, signal.SIGCONT)
        after = worker.ask()
        assert (after["fds"], after["threads"]) == (before["fds"], before["threads"])


def test_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_for_state(child.pid, "Z")
        result = attach_to(child.pid)
        assert error_of(result) == [
            f"Error: Process {child.pid} is gone.",
            "  why:  It has ended; its parent has not collected it yet.",
            "  next: List the running plugins: debugtool ps",
        ]
        assert result.returncode == 3
    finally:
        child.wait()


def test_a_process_that_does_not_exist() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    result = attach_to(child.pid)
    assert error_of(result) == [
        f"Error: Process {child.pid} is gone.",
        "  why:  There is no process of that number.",
        "  next: List the running plugins: debugtool ps",
    ]
    assert result.returncode == 3


@pytest.fixture
def held_by_gdb() -> Iterator[tuple[Worker, int]]:
    """A worker that gdb traces, and gdb's pid."""
    with running_worker("idle") as worker:
        with subprocess.Popen(
            ["gdb", "-nx", "--quiet", "-iex", "set auto-solib-add off", "-p", str(worker.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as gdb:
            deadline = time.monotonic() + DEADLINE_S
            while worker.tracer() == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield worker, worker.tracer()
            gdb.communicate("detach\nquit\n", timeout=DEADLINE_S)
        worker.ask()


@pytest.mark.parametrize("method", [None, "ptrace", "gdb"])
def test_a_process_that_is_traced_already(held_by_gdb: tuple[Worker, int], method: str | None) -> None:
    worker, gdb = held_by_gdb
    result = attach_to(worker.pid, *(["--method", method] if method else []))
    assert error_of(result) == [
        f"Error: Could not attach to pid {worker.pid} (worker).",
        f"  why:  pid {gdb} (gdb) traces it already, and Linux allows one tracer",
        f"  next: end that debugger (pid {gdb}), then try again",
    ]
    assert result.returncode == 4
    assert worker.tracer() == gdb


def test_a_process_that_is_not_python() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            result = attach_to(process.pid)
        finally:
            process.kill()
    assert error_of(result) == [
        f"Error: Cannot debug pid {process.pid} (sleep).",
        "  why:  it is neither a CPython nor a Go program",
        "  next: name a Python or Go process; debugtool ps --all lists them",
    ]
    assert result.returncode == 7


def test_no_process_of_that_name() -> None:
    result = run_debugtool("attach", "no-such-plugin-anywhere", "--port", 0)
    lines = error_of(result)
    assert lines[0] == "Error: No process is called no-such-plugin-anywhere."
    assert lines[1].startswith("  why:  Names are compared as a whole. Running plugins: ")
    assert lines[2] == "  next: Start it through its host. All Python and Go processes: debugtool ps --all"
    assert result.returncode == 3


def test_several_processes_of_one_name(tmp_path: Path) -> None:
    script = tmp_path / "one_of_many.py"
    script.write_text(WORKER.read_text())
    with running_worker("idle", script=script) as one, running_worker("idle", script=script) as other:
        result = run_debugtool("attach", "one_of_many", "--port", 0)
        lines = error_of(result)
        assert lines[0] == "Error: 2 processes are called one_of_many."
        assert lines[1] == "  why:  Each of these has that name:"
        assert {str(one.pid), str(other.pid)} == {word for line in lines[3:5] for word in line.split()[:1]}
        choose = f"Choose one by its number, for example: --pid {other.pid}"
        assert lines[-1] == f"  next: {choose}. `attach --all` takes all of them"
        assert result.returncode == 6
        with attached("--pid", one.pid) as session:
            session.wait_for("ready")


POISONED = """\
import os, sys, time
class Poison:
    def __getattr__(self, name):
        raise ImportError("poisoned: " + name)
sys.modules[sys.argv[1]] = Poison()
print("ready", os.getpid(), flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("module", ["json", "socket", "threading", "traceback", "selectors", "xmlrpc.client"])
@pytest.mark.parametrize("python", NEWEST_AND_OLDEST, ids=lambda path: path.parents[1].name)
def test_a_payload_that_fails_inside_the_target(python: Path, module: str, tmp_path: Path) -> None:
    """GIVEN a program that broke a standard module WHEN attached to THEN its traceback is told, and it lives on."""
    script = tmp_path / "poisoned.py"
    script.write_text(POISONED)
    with staged(python, str(script), module) as stage:
        stage.wait_for("ready")
        if (module, python) == ("traceback", OLDEST):  # there nothing of what debugpy needs imports it
            with attached("--pid", stage.pid, "--method", "ptrace") as session:
                session.wait_for("ready")
            return
        result = attach_to(stage.pid, "--method", "ptrace")
        text = "\n".join(error_of(result))
        assert f"The debugger failed inside pid {stage.pid} (poisoned): " in text
        assert "why:  Traceback (most recent call last):" in text or module == "traceback"
        assert "poisoned: " in text
        assert (
            "next: the plugin runs on as before; the traceback's last line says what the debugger lacks there" in text
        )
        assert result.returncode == 1
        assert stage.process.poll() is None
        stage.process.kill()
        assert stage.process.stderr is not None
        assert stage.process.stderr.read() == ""


GREEN = """
import os, sys
if sys.argv[1] == "gevent":
    from gevent import monkey
    monkey.patch_all()
else:
    import eventlet
    eventlet.monkey_patch()
import time
print("ready", os.getpid(), flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_a_program_whose_threads_are_greenlets(library: str, tmp_path: Path) -> None:
    """GIVEN monkey-patched threads THEN it is refused, not attached to with breakpoints that nothing ever hits."""
    script = tmp_path / "green.py"
    script.write_text(GREEN)
    with staged(Path(sys.executable), "-W", "ignore", str(script), library) as stage:
        stage.wait_for("ready")
        result = attach_to(stage.pid)
        assert error_of(result) == [
            f"Error: Cannot debug pid {stage.pid} (green).",
            f"  why:  {library} has made greenlets of its threads (monkey patching), in which no breakpoint is hit",
            f"  next: start it without {library}, gunicorn with --worker-class gthread for one, and attach to that",
        ]
        assert result.returncode == 7
        assert stage.process.poll() is None


@pytest.mark.parametrize("python", NEWEST_AND_OLDEST, ids=lambda path: path.parents[1].name)
def test_a_module_that_runs_as_a_program(python: Path) -> None:
    """GIVEN `python -m MODULE`, whose outermost frame is the interpreter's own THEN it counts as started."""
    with staged(python, "-m", "worker", "idle", PYTHONPATH=str(WORKER.parent)) as stage:
        stage.wait_for("ready")
        with attached("--pid", stage.pid) as session:
            session.wait_for("ready")
            assert session.stop() == 0
