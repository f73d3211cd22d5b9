"""`attach --wait`: the plugin that does not run yet, and the editor that comes before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attach_driver import BREAK_LINE, DEADLINE_S, WORKER, attached, run_debugtool, running_worker
from dap_client import DapClient
from debug_driver import write_debug_build
from fault_driver import eventually

from debugtool.errors import ExitCode
from debugtool.system import process_state


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A worker with a name that no other process has."""
    return Path(shutil.copy(WORKER, tmp_path / f"early{os.getpid()}.py"))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@contextlib.contextmanager
def running(program: Path) -> Iterator[None]:
    """Run a debug build of the worker for the length of the block; it may never come to say that it is ready."""
    with subprocess.Popen([program, "idle"], stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.kill()


def test_an_editor_may_come_before_the_plugin(program: Path, pool: ThreadPoolExecutor) -> None:
    with attached(program.stem, "--wait", cwd="/") as session:
        port = session.wait_for("waiting")["port"]
        with DapClient(port, timeout_s=DEADLINE_S) as editor:
            coming = pool.submit(editor.attach, {program: [BREAK_LINE]})
            with running_worker("idle", script=program) as worker:
                assert session.wait_for("ready")["port"] == port
                coming.result(DEADLINE_S)
                worker.send(20)
                editor.resume(editor.wait_for_stop()["threadId"])
                assert worker.answer()["answer"] == 41
                editor.disconnect()
                assert session.stop() == 0


def test_an_editor_that_gave_up_before_the_plugin_came_disturbs_nobody(program: Path) -> None:
    with attached(program.stem, "--wait", cwd="/") as session:
        port = session.wait_for("waiting")["port"]
        with DapClient(port) as hasty:
            hasty.send("initialize", {"adapterID": "debugpy"})
        with running_worker("idle", script=program) as worker, DapClient(session.port) as editor:
            editor.attach({program: [BREAK_LINE]})
            worker.send(20)
            editor.resume(editor.wait_for_stop()["threadId"])
            assert worker.answer()["answer"] == 41
            assert session.stop() == 0


def test_the_end_of_the_wait_sends_an_editor_away_that_came_early(program: Path) -> None:
    with attached(program.stem, "--wait", cwd="/") as session:
        port = session.wait_for("waiting")["port"]
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as early:
            assert session.stop(signal.SIGINT) == ExitCode.INTERRUPTED
            with pytest.raises(ConnectionResetError):
                early.recv(1)


def test_a_port_in_use_is_told_of_once_the_plugin_is_there(program: Path) -> None:
    # and not before: it may be the port of a session that waits for the same plugin
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with attached(program.stem, "--wait", "--port", port, cwd="/") as session:
            assert session.wait_for("waiting")["port"] is None
            with running_worker("idle", script=program) as worker:
                assert session.process.wait(DEADLINE_S) == ExitCode.ADDRESS_IN_USE
                assert worker.ask()


def test_one_that_ends_before_we_are_in_is_waited_for_again(program: Path) -> None:
    environment = {**os.environ, "DEBUGTOOL_FAULT": "listening:stop"}
    with attached(program.stem, "--wait", cwd="/", env=environment) as session:
        session.wait_for("waiting")
        with running_worker("idle", script=program):
            eventually(lambda: process_state(session.process.pid), "T")
        session.process.send_signal(signal.SIGCONT)
        port = session.wait_for("waiting")["port"]
        with running_worker("idle", script=program) as worker:
            assert session.wait_for("ready")["port"] == port
            assert worker.ask()
            assert session.stop() == 0


def test_a_held_one_that_ends_before_we_are_in_is_waited_for_again_with_its_editor(
    program: Path, pool: ThreadPoolExecutor
) -> None:
    source, program = program, program.with_name(f"held{os.getpid()}")
    write_debug_build(program, Path(sys.executable), source)
    environment = {**os.environ, "DEBUGTOOL_FAULT": "listening:stop"}
    with attached(program.name, "--wait", "--wait-at-start", cwd="/", env=environment) as session:
        session.wait_for("waiting")
        with running(program):
            eventually(lambda: process_state(session.process.pid), "T")
        session.process.send_signal(signal.SIGCONT)
        with DapClient(session.wait_for("waiting")["port"], timeout_s=DEADLINE_S) as editor:
            coming = pool.submit(editor.attach, {source: [BREAK_LINE]})
            with running(program):
                coming.result(DEADLINE_S)
                assert session.wait_for("hold_ended")["by"] == "editor"
                stopped = editor.wait_for_stop()  # at its start it works on a few numbers
                assert editor.stack(stopped["threadId"])[0]["line"] == BREAK_LINE
                editor.disconnect()
                assert session.stop() == 0


@pytest.mark.parametrize("options", [[], ["--wait-at-start"]], ids=["running", "at its start"])
def test_where_nothing_says_what_to_wait_for_nothing_is_waited_for(options: list[str], tmp_path: Path) -> None:
    done = run_debugtool("attach", "--wait", *options, "--port", "0", cwd=tmp_path)
    assert done.returncode == ExitCode.NOT_FOUND, done.stderr
