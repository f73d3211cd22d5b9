"""Lowering ptrace_scope on a real terminal, and its return whatever happens to the session.

This kernel may have no Yama, so a tmpfs stands in its place, in a mount namespace that only these tests see.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from process_targets import DEADLINE_S, DEBUGTOOL, NOBODY, WAITING, read_line, running

from debugtool.system import wait_for_exit

SESSION = WAITING.with_name("scope_session.py")
WITHOUT_PTRACE = ("capsh", "--drop=cap_sys_ptrace", "--", "-c", 'exec "$0" "$@"')
PREPARE = """
mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && echo 1 > /proc/sys/kernel/yama/ptrace_scope
mount -t tmpfs none /run && echo "nobody ALL=(root) NOPASSWD: ALL" > /run/sudoers && chmod 440 /run/sudoers
[ ! -f /etc/sudoers ] || mount --bind /run/sudoers /etc/sudoers
echo ready && exec sleep 300
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make a mount namespace"),
    pytest.mark.skipif(not shutil.which("capsh"), reason="no capsh (Debian: libcap2-bin)"),
]


@dataclass
class Machine:
    """A mount namespace with a Yama of its own, and a process in it that is no child of any session."""

    holder: int
    target: int

    @property
    def scope_file(self) -> Path:
        return Path(f"/proc/{self.holder}/root/proc/sys/kernel/yama/ptrace_scope")

    @property
    def scope(self) -> str:
        return self.scope_file.read_text().strip()


@dataclass
class Session:
    """A session on a terminal: what it has written there, and its end."""

    process: subprocess.Popen[str]
    terminal: int
    lifeline: int

    def wait_for(self, text: str) -> str:
        """Read the terminal until a text has come."""
        seen = ""
        while text not in seen:
            assert select.select([self.terminal], [], [], DEADLINE_S)[0], f"only {seen!r} came"
            try:
                seen += os.read(self.terminal, 4096).decode()
            except OSError:  # EIO: the session has ended and so closed its terminal
                pytest.fail(f"the session ended; only {seen!r} came")
        return seen

    def answer(self, text: str) -> str:
        """Type an answer to the question, and give what the session says then."""
        self.wait_for("Set ptrace_scope to 0? y/N ")
        os.write(self.terminal, text.encode())
        return read_line(self.process).strip()

    def end(self) -> str:
        """End the session in order, and give its last words."""
        os.close(self.lifeline)
        self.lifeline = -1
        return read_line(self.process).strip()

    def guard(self) -> int:
        """Give the pid of its guard process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])


@pytest.fixture
def machine() -> Iterator[Machine]:
    with (
        running(["unshare", "--mount", "sh", "-c", PREPARE]) as holder,
        running([*WITHOUT_PTRACE, sys.executable, WAITING]) as target,  # as without it as the session is
    ):
        yield Machine(holder.pid, target.pid)


@contextmanager
def session_on(
    machine: Machine,
    *,
    through: tuple[str, ...] = WITHOUT_PTRACE,
    tty: bool = True,
    target: int | None = None,
    uid: int | None = None,
    path: str = os.environ["PATH"],
    attach: bool = False,
) -> Iterator[Session]:
    ours, theirs = pty.openpty()
    wait_on, lifeline = os.pipe()
    enter = [shutil.which("nsenter") or "nsenter", "-t", str(machine.holder), "--mount", f"--wd={Path.cwd()}", *through]
    user = [str(uid)] if uid is not None else []
    script = [sys.executable, SESSION, target or machine.target, "/run/debugtool", wait_on, *user]
    cli = [
        DEBUGTOOL,
        "attach",
        "--pid",
        machine.target,
        "--method",
        "ptrace",
        "--port",
        0,
        "--no-launch-json",
        "--json",
    ]
    process = subprocess.Popen(
        [*enter, *map(str, cli if attach else script)],
        env={**os.environ, "PATH": path},
        stdin=theirs if tty else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        pass_fds=(wait_on,),
        start_new_session=True,
    )
    os.close(theirs)
    os.close(wait_on)
    session = Session(process, ours, lifeline)
    try:
        yield session
    finally:
        if session.lifeline >= 0:
            os.close(session.lifeline)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(ours)


@pytest.fixture
def session(machine: Machine) -> Iterator[Callable[..., Session]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(session_on(machine, **options))


Sessions = Callable[..., Session]


def test_yes_lowers_it_for_the_length_of_the_session(machine: Machine, session: Sessions) -> None:
    one = session()
    assert one.answer("y\n") == "relaxed"
    assert machine.scope == "0"
    assert one.end() == "ended"
    assert machine.scope == "1"


@pytest.mark.parametrize("typed", ["\n", "n\n", "N\n", "x\n", "\x04"], ids=["Enter", "n", "N", "x", "Ctrl-D"])
def test_anything_else_leaves_it(machine: Machine, session: Sessions, typed: str) -> None:
    one = session()
    assert one.answer(typed) == "refused"
    assert machine.scope == "1"
    assert one.end() == "ended"


@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "process group"])
def test_kill_9_puts_it_back(machine: Machine, session: Sessions, whole_group: bool) -> None:
    one = session()
    assert one.answer("y\n") == "relaxed"
    guard = one.guard()
    if whole_group:
        os.killpg(one.process.pid, signal.SIGKILL)
    else:
        one.process.kill()
    assert wait_for_exit(guard, DEADLINE_S)
    assert machine.scope == "1"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_other_signals_put_it_back_too(machine: Machine, session: Sessions, ending: signal.Signals) -> None:
    one = session()
    assert one.answer("y\n") == "relaxed"
    guard = one.guard()
    os.kill(guard, ending)
    os.killpg(one.process.pid, ending)
    assert wait_for_exit(guard, DEADLINE_S)
    assert machine.scope == "1"


def test_of_several_sessions_the_last_one_puts_it_back(machine: Machine, session: Sessions) -> None:
    first, second, third = session(), session(), session()
    for one in (first, second, third):
        one.wait_for("y/N ")  # all ask before any has lowered it
    for one in (first, second, third):
        os.write(one.terminal, b"y\n")
        assert read_line(one.process).strip() == "relaxed"
    assert second.end() == "ended"
    assert machine.scope == "0"
    guard = first.guard()
    first.process.kill()
    assert wait_for_exit(guard, DEADLINE_S)
    assert machine.scope == "0"
    assert third.end() == "ended"
    assert machine.scope == "1"
    again = session()
    assert again.answer("y\n") == "relaxed"
    again.end()
    assert machine.scope == "1"


def test_a_guard_that_was_itself_killed_is_made_good_by_the_next(machine: Machine, session: Sessions) -> None:
    one = session()
    assert one.answer("y\n") == "relaxed"
    guard = one.guard()
    os.kill(guard, signal.SIGKILL)
    assert wait_for_exit(guard, DEADLINE_S)
    last_words = one.end()
    assert last_words == "Error: Could not see ptrace_scope put back."
    assert machine.scope == "0", "nothing asks while it is 0, so what the dead guard remembered stays"
    machine.scope_file.write_text("2\n")
    again = session()
    assert again.answer("y\n") == "relaxed"
    again.end()
    assert machine.scope == "2"


def test_a_value_that_somebody_set_meanwhile_stays(machine: Machine, session: Sessions) -> None:
    one = session()
    assert one.answer("y\n") == "relaxed"
    machine.scope_file.write_text("2\n")
    assert one.end() == "ended"
    assert machine.scope == "2"


@pytest.mark.parametrize("scope", ["0", "3"])
def test_nothing_is_asked_when_it_is_0_or_cannot_be_lowered(machine: Machine, session: Sessions, scope: str) -> None:
    machine.scope_file.write_text(f"{scope}\n")
    one = session()
    assert read_line(one.process).strip() == "refused"
    assert one.end() == "ended"
    assert machine.scope == scope


def test_nothing_is_asked_of_whoever_has_the_capability(machine: Machine, session: Sessions) -> None:
    one = session(through=())
    assert read_line(one.process).strip() == "refused"
    assert machine.scope == "1"


def test_nothing_is_asked_where_nobody_can_answer(machine: Machine, session: Sessions) -> None:
    one = session(tty=False)
    assert read_line(one.process).strip() == "refused"
    assert machine.scope == "1"


def events_of(session: Session) -> Iterator[dict[str, Any]]:
    """Give the events of `debugtool attach --json` until it ends."""
    while line := read_line(session.process):
        yield json.loads(line)


@pytest.mark.parametrize("killed", [False, True], ids=["Ctrl-C", "kill -9"])
def test_debugtool_attach_lowers_it_while_it_is_attached(machine: Machine, session: Sessions, killed: bool) -> None:
    one = session(attach=True)
    assert json.loads(one.answer("y\n"))["event"] == "target"
    ready = next(event for event in events_of(one) if event["event"] in ("ready", "error"))
    assert (ready["event"], ready.get("method")) == ("ready", "ptrace"), ready
    assert machine.scope == "0"
    guard = one.guard()
    one.process.send_signal(signal.SIGKILL if killed else signal.SIGINT)
    assert wait_for_exit(guard, DEADLINE_S)
    assert machine.scope == "1"


@pytest.mark.parametrize("typed", ["\n", "n\n"], ids=["Enter", "n"])
def test_debugtool_attach_is_refused_without_a_yes(machine: Machine, session: Sessions, typed: str) -> None:
    one = session(attach=True)
    one.answer(typed)
    (error,) = [event for event in events_of(one) if event["event"] == "error"]
    assert (error["code"], error["cause"]) == (4, "scope-1")
    assert error["next"].endswith("(more: docs/permissions.md#scope-1)")
    assert one.process.wait(DEADLINE_S) == 4
    assert machine.scope == "1"


@pytest.mark.skipif(not shutil.which("sudo"), reason="no sudo")
def test_who_is_not_root_changes_it_through_sudo(machine: Machine, session: Sessions) -> None:
    with running([sys.executable, WAITING, "--uid", str(NOBODY)]) as target:
        one = session(through=(), target=target.pid, uid=NOBODY)
        assert one.answer("y\n") == "relaxed"
        assert machine.scope == "0"
        assert one.end() == "ended"
        assert machine.scope == "1"
        killed = session(through=(), target=target.pid, uid=NOBODY)
        assert killed.answer("y\n") == "relaxed"
        sudo = killed.guard()
        killed.process.kill()
        assert wait_for_exit(sudo, DEADLINE_S)
        assert machine.scope == "1"


def test_who_is_not_root_and_has_no_sudo_is_told_the_command(machine: Machine, session: Sessions) -> None:
    with running([sys.executable, WAITING, "--uid", str(NOBODY)]) as target:
        one = session(through=(), target=target.pid, uid=NOBODY, path="/nowhere")
        assert one.answer("y\n") == "Error: Could not set ptrace_scope to 0."
        assert one.process.stdout is not None
        assert one.process.stdout.readlines() == [
            f"  why:  /proc/sys/kernel/yama/ptrace_scope is not writable for uid {NOBODY}, and there is no sudo.\n",
            "  next: Run this one command as root, which needs no change: debugtool attach\n",
        ]
        assert machine.scope == "1"
