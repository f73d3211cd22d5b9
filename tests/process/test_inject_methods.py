"""Every way into a target, and what is said where a way cannot serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from attach_driver import (
    BREAK_LINE,
    ROOT,
    SHORT_TURNS,
    WORKER,
    Worker,
    attached,
    find_pythons,
    run_debugtool,
    running_worker,
)
from dap_client import DapClient

from debugtool.errors import ProcessGone
from debugtool.inject import METHODS, Bootstrap, inject
from debugtool.processes import find_target

PYTHONS = find_pythons()
REMOTE_EXEC = [python for python in PYTHONS if tuple(map(int, python.parents[1].name.split(".")[:2])) >= (3, 14)]


def version_of(python: Path) -> str:
    return python.parents[1].name


def debug(worker: Worker, method: str) -> None:
    """Attach, stop at a breakpoint, look around, detach; the target is as it was."""
    before = worker.ask()
    with attached("--pid", worker.pid, "--method", method) as session:
        ready = session.wait_for("ready")
        assert ready["method"] == method
        worker.wait_until_untraced()
        with DapClient(session.port) as editor:
            editor.attach({WORKER: [BREAK_LINE]})
            worker.send(20)
            thread = editor.wait_for_stop()["threadId"]
            frame = editor.stack(thread)[0]
            assert (frame["name"], frame["line"]) == ("work", BREAK_LINE)
            assert editor.evaluate("doubled + 2", frame) == "42"
            editor.resume(thread)
            assert worker.answer()["answer"] == 41
            editor.disconnect()
        session.wait_for("client")
        assert session.stop() == 0
    after = worker.settle(before)
    assert not after["tracing"]
    assert worker.tracer() == 0
    assert (after["fds"], after["threads"]) == (before["fds"], before["threads"])


@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("python", PYTHONS, ids=version_of)
def test_agent(python: Path, state: str) -> None:
    with running_worker(state, "--agent", str(ROOT), *SHORT_TURNS, python=python) as worker:
        debug(worker, "agent")
        debug(worker, "agent")


@pytest.mark.parametrize("python", PYTHONS, ids=version_of)
def test_ptrace_twice(python: Path) -> None:
    with running_worker("idle", python=python) as worker:
        debug(worker, "ptrace")
        debug(worker, "ptrace")


@pytest.mark.parametrize("python", PYTHONS, ids=version_of)
def test_gdb(python: Path) -> None:
    with running_worker("idle", python=python) as worker:
        debug(worker, "gdb")


@pytest.mark.parametrize("method", [None, *METHODS])
def test_a_target_that_ends_meanwhile_is_told_as_ended(method: str | None, tmp_path: Path) -> None:
    with running_worker("idle") as worker:
        target = find_target(None, pid=worker.pid)
    bootstrap = Bootstrap(tmp_path / "payload.py", tmp_path / "control.sock", "token", tmp_path, os.geteuid())
    with pytest.raises(ProcessGone, match=f"{worker.pid}"):
        inject(target, bootstrap, method=method, timeout_s=5)


@pytest.mark.parametrize("state", ["locked", "busy"])
def test_gdb_in_other_states(state: str) -> None:
    with running_worker(state, *SHORT_TURNS) as worker:
        debug(worker, "gdb")


@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("python", REMOTE_EXEC, ids=version_of)
def test_remote_exec(python: Path, state: str) -> None:
    with running_worker(state, *SHORT_TURNS, python=python) as worker:
        debug(worker, "remote_exec")
        debug(worker, "remote_exec")


def test_the_agent_is_taken_where_there_is_one_and_ptrace_where_there_is_none() -> None:
    for arguments, method in ((("idle", "--agent", str(ROOT)), "agent"), (("idle",), "ptrace")):
        with running_worker(*arguments) as worker, attached("--pid", worker.pid) as session:
            assert session.wait_for("ready")["method"] == method


def test_agent_is_forced_on_a_process_that_has_none() -> None:
    with running_worker("idle") as worker:
        result = run_debugtool("attach", "--pid", worker.pid, "--port", 0, "--method", "agent")
        assert (result.returncode, result.stdout) == (7, "")
        assert result.stderr.splitlines()[1:] == [
            f"Error: No way into pid {worker.pid} (worker).",
            "  why:  agent: no debug agent listens in it (debugtool build --debug puts one in)",
            "  next: drop --method to let debugtool choose",
        ]
        worker.ask()


def test_remote_exec_is_forced_on_an_older_python() -> None:
    with running_worker("idle", python=PYTHONS[0]) as worker:
        result = run_debugtool("attach", "--pid", worker.pid, "--port", 0, "--method", "remote_exec")
        assert (result.returncode, result.stdout) == (7, "")
        assert result.stderr.splitlines()[1:] == [
            f"Error: No way into pid {worker.pid} (worker).",
            f"  why:  remote_exec: needs CPython 3.14 or later, the target runs {version_of(PYTHONS[0])}",
            "  next: drop --method to let debugtool choose",
        ]
        worker.ask()


def test_gdb_is_forced_where_it_is_not_installed(tmp_path: Path) -> None:
    with running_worker("idle") as worker:
        environment = {**os.environ, "PATH": str(tmp_path)}
        result = run_debugtool("attach", "--pid", worker.pid, "--port", 0, "--method", "gdb", env=environment)
        assert (result.returncode, result.stdout) == (7, "")
        assert result.stderr.splitlines()[1:] == [
            f"Error: No way into pid {worker.pid} (worker).",
            "  why:  gdb: gdb is not installed (apt-get install gdb)",
            "  next: drop --method to let debugtool choose",
        ]
        worker.ask()


def test_a_way_that_is_none() -> None:
    result = run_debugtool("attach", "--pid", os.getpid(), "--method", "magic")
    assert result.returncode == 2
    assert "'magic' is not one of 'agent', 'remote_exec', 'ptrace', 'gdb'" in result.stderr


def test_no_trace_is_left_in_the_targets_own_names() -> None:
    """GIVEN a process that lists its `__main__` WHEN a session has come and gone THEN it holds the same names."""
    with running_worker("idle") as worker:
        with attached("--pid", worker.pid, "--method", "ptrace") as session, DapClient(session.port) as editor:
            editor.attach({WORKER: [BREAK_LINE]})
            worker.send(1)
            thread = editor.wait_for_stop()["threadId"]
            frame = editor.stack(thread)[0]
            names = editor.evaluate(
                "sorted(n for n in vars(__import__('__main__')) if 'boot' in n or 'debug' in n)", frame
            )
            assert names == "[]"
            assert editor.evaluate("[p for p in __import__('sys').path if 'debugpy' in p]", frame) == "[]"
            editor.resume(thread)
            worker.answer()
        assert sys.executable  # the worker ran with our own interpreter, whose modules it shares
