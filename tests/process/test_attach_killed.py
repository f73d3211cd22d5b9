"""kill -9 of debugtool at every step of an attach: the target answers, and the next attach works."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from attach_driver import (
    BREAK_LINE,
    DEADLINE_S,
    SHORT_TURNS,
    WORKER,
    AttachSession,
    Worker,
    attached,
    running_worker,
)
from dap_client import DapClient, DapError

from debugtool.plugin.agent import paths
from debugtool.system import FAULT_POINTS

ANSWER_S = 2.0  # what the contract of a killed debugtool is
# Three threads that never let the GIL go by themselves make every answer of that target slow.
ANSWER_S_OF = {"idle": ANSWER_S, "busy": 10 * ANSWER_S}


def session_directories(relay_pid: int) -> list[Path]:
    return list(Path(paths.runtime_dir(os.geteuid())).glob(f"session-{relay_pid}-*"))


def debugger_threads(worker: Worker) -> list[str]:
    """Name the threads of the process that debugtool or pydevd started; they name themselves from CPython 3.14 on."""
    names = [path.read_text().strip() for path in Path(f"/proc/{worker.pid}/task").glob("*/comm")]
    return [name for name in names if re.match("debugtool|pydevd", name)]


def listeners(worker: Worker) -> set[str]:
    """Give the inodes of the sockets that it listens on, of TCP and of unix."""
    own = {os.readlink(path) for path in Path(f"/proc/{worker.pid}/fd").iterdir() if path.is_symlink()}  # noqa: PTH115
    tcp = [line.split() for line in Path(f"/proc/{worker.pid}/net/tcp").read_text().splitlines()[1:]]
    unix = [line.split() for line in Path(f"/proc/{worker.pid}/net/unix").read_text().splitlines()[1:]]
    found = {fields[9] for fields in tcp if fields[3] == "0A"} | {
        fields[6] for fields in unix if fields[3] == "00010000"
    }
    return {inode for inode in found if f"socket:[{inode}]" in own}


def assert_let_go(worker: Worker, before: dict[str, int], relay_pid: int, answer_s: float = ANSWER_S) -> None:
    """The process answers in time, and soon nothing in it is ours."""
    began = time.monotonic()
    facts = worker.ask(timeout_s=answer_s)
    assert time.monotonic() - began < answer_s
    # Letting go takes as long as what had begun: a busy target imports debugpy for many seconds.
    deadline = time.monotonic() + DEADLINE_S
    wanted = (before["fds"], before["threads"], False, 0)
    while (facts["fds"], facts["threads"], facts["tracing"], worker.tracer()) != wanted:
        assert time.monotonic() < deadline, (facts, before, worker.tracer())
        facts = worker.ask(timeout_s=answer_s)
    assert debugger_threads(worker) == []
    assert listeners(worker) == set()


def assert_attaches(worker: Worker) -> None:
    with attached("--pid", worker.pid, "--method", "ptrace") as session, DapClient(session.port) as editor:
        editor.attach({WORKER: [BREAK_LINE]})
        worker.send(20)
        thread = editor.wait_for_stop()["threadId"]
        assert editor.evaluate("doubled", editor.stack(thread)[0]) == "40"
        editor.resume(thread)
        assert worker.answer()["answer"] == 41
        editor.disconnect()
        session.wait_for("client")
        assert session.stop() == 0


def wait_for_kill(session: AttachSession) -> None:
    assert session.process.wait(DEADLINE_S) == -signal.SIGKILL, session.error_text()


@pytest.mark.parametrize(
    ("point", "state"),
    [*((point, "idle") for point in FAULT_POINTS), ("injecting", "busy"), ("asked_load", "busy"), ("arrived", "busy")],
)
def test_killed_at_a_step(point: str, state: str) -> None:
    with running_worker(state, *SHORT_TURNS) as worker:
        before = worker.ask()
        with attached(
            "--pid", worker.pid, "--method", "ptrace", env={**os.environ, "DEBUGTOOL_FAULT": point}
        ) as session:
            if point == "asked_end":
                session.wait_for("ready")
                session.process.terminate()
            if point == "asked_connect":
                with DapClient(session.port) as editor, pytest.raises(DapError):
                    editor.attach({WORKER: [1]})
            wait_for_kill(session)
            assert_let_go(worker, before, session.process.pid, ANSWER_S_OF[state])
        assert_attaches(worker)
        assert session_directories(session.process.pid) == []


def test_killed_while_gdb_is_inside() -> None:
    with running_worker("idle") as worker:
        before = worker.ask()
        with attached(
            "--pid", worker.pid, "--method", "gdb", env={**os.environ, "DEBUGTOOL_FAULT": "injecting"}
        ) as session:
            wait_for_kill(session)
            assert_let_go_of_gdb(worker)
            assert_let_go(worker, before, session.process.pid)
        assert_attaches(worker)


def assert_let_go_of_gdb(worker: Worker) -> None:
    """Gdb goes on by itself; the 2 s count from when it is done, because all threads stand still until then."""
    deadline = time.monotonic() + DEADLINE_S
    while worker.tracer() == 0 and time.monotonic() < deadline - DEADLINE_S + 5:
        time.sleep(0.01)
    while worker.tracer():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_with_an_editor_connected() -> None:
    with running_worker("idle") as worker:
        before = worker.ask()
        with attached("--pid", worker.pid) as session, DapClient(session.port) as editor:
            editor.attach({WORKER: [1]})
            assert worker.ask()["tracing"]
            session.stop(signal.SIGKILL)
            assert_let_go(worker, before, session.process.pid)
        # the payload in the target removes what its debugtool could not
        assert session_directories(session.process.pid) == []
        assert_attaches(worker)


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_killed_while_a_thread_is_stopped_at_a_breakpoint(state: str) -> None:
    with running_worker(state, *SHORT_TURNS) as worker:
        before = worker.ask()
        with attached("--pid", worker.pid) as session, DapClient(session.port) as editor:
            editor.attach({WORKER: [BREAK_LINE]})
            worker.send(20)
            editor.wait_for_stop()
            session.stop(signal.SIGKILL)
            assert worker.answer(ANSWER_S_OF[state])["answer"] == 41
            assert_let_go(worker, before, session.process.pid, ANSWER_S_OF[state])
        assert_attaches(worker)
