"""A plugin with a host that restarts it, debugtool held at a fault point, and what must hold after every fault."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attach_driver import BREAK_LINE, DEADLINE_S, ROOT, WORKER, AttachSession, Worker, attached
from dap_client import DapClient, DapError
from debug_driver import is_listening, listeners_of

from debugtool.plugin.agent import paths
from debugtool.system import process_state

# Not in what a worker does at its start: a debug build is armed before.
POINT = {"line": BREAK_LINE, "condition": "number == 20"}
KEEPER = WORKER.with_name("keeper.py")
MARK = "DEBUGTOOL_TEST_MARK"
LAUNCHER = """
import runpy, sys
sys.path.append({root!r})
from debugtool.plugin import agent
agent.start(__file__)
runpy.run_path({program!r}, run_name="__main__")
"""


class Kept(Worker):
    """A worker whose host starts it again whenever it ends. `program` is its file, which is no other worker's."""

    def __init__(self, process: subprocess.Popen[str], program: Path) -> None:
        super().__init__(process)
        self.program = program
        self.pids = [self.pid]
        self.before = self.ask()

    def kill(self) -> int:
        """Kill the process, wait until its host has started the next one, give the pid of that."""
        os.kill(self.pid, signal.SIGKILL)
        return self.next_pid()

    def next_pid(self) -> int:
        """Wait until the host has started the next one; answers of the one before are passed over."""
        while not (line := self.lines.next()).startswith("ready"):
            pass
        self.pid = int(line.split()[1])
        self.pids.append(self.pid)
        return self.pid


@contextlib.contextmanager
def kept_worker(directory: Path, *, agent: bool = False) -> Iterator[Kept]:
    """Run a copy of the worker under a host for the length of the block; with `agent` as a debug build.

    Args:
        directory: For the copy: no other target has this program.
        agent: Whether it has the debug agent.
    """
    name = f"kept{secrets.token_hex(3)}.py"
    program = started = Path(shutil.copy(WORKER, directory / name))
    if agent:  # as builds do it: a launcher, whose own lines are not the user's
        started = directory / f"debug_{name}"
        started.write_text(LAUNCHER.format(root=str(ROOT), program=str(program)))
    with subprocess.Popen(
        [sys.executable, "-u", KEEPER, started, "idle"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Kept(process, program)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # which ends both
            try:
                process.wait(DEADLINE_S)
            finally:
                process.kill()


class Held:
    """A session that a fault point stops or kills, in an environment by which all its processes are known."""

    def __init__(self, kept: Kept, session: AttachSession, mark: str, directory: Path) -> None:
        self.kept = kept
        self.session = session
        self.mark = mark
        self.pid = session.process.pid
        self.directory = directory
        self.port = 0

    def wait_until_stopped(self) -> None:
        """Wait until it stands at its fault point."""
        deadline = time.monotonic() + DEADLINE_S
        while process_state(self.pid) != "T":
            assert self.session.process.poll() is None, self.session.error_text()
            assert time.monotonic() < deadline, (self.session.events, "the fault point was not reached")
            time.sleep(0.005)
        ports = listeners_of(self.pid)
        self.port = self.port or (ports[0] if ports else 0)

    def wait_until_killed(self) -> None:
        assert self.session.process.wait(DEADLINE_S) == -signal.SIGKILL, self.session.error_text()

    def go_on(self) -> None:
        self.session.process.send_signal(signal.SIGCONT)

    def processes(self) -> list[str]:
        """List the processes of this session that run, by what stands in their environment."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}".encode() in path.read_bytes() and process_state(int(path.parent.name)) != "Z":
                    found.append(f"{path.parent.name} {(path.parent / 'cmdline').read_text()}")
        return found

    def files(self) -> list[str]:
        """List what there is on disk of the session, by its pid and those of its targets in the names."""
        runtime = Path(paths.runtime_dir(os.geteuid()))
        ours = [p for kind in ("session", "rendezvous") for p in runtime.glob(f"{kind}-{self.pid}[-.]*")]
        locks = [p for pid in self.kept.pids if (p := runtime / f"target-{pid}.lock").exists()]
        return sorted(str(path) for path in [*ours, *locks, *self.directory.iterdir()])


@contextlib.contextmanager
def held(kept: Kept, directory: Path, fault: str, *arguments: str | int) -> Iterator[Held]:
    """Attach to a worker with a fault point set (`system.fault_point`), for the length of the block."""
    mark = secrets.token_hex(8)
    own = directory / f"tmp-{mark}"
    own.mkdir()
    environment = {**os.environ, "DEBUGTOOL_FAULT": fault, MARK: mark, "TMPDIR": str(own)}
    with attached("--pid", kept.pid, *arguments, env=environment) as session:
        try:
            yield Held(kept, session, mark, own)
        finally:
            session.process.send_signal(signal.SIGCONT)


def eventually(look: Callable[[], object], wanted: object = None, limit_s: float = DEADLINE_S) -> None:
    """Look again and again until what is seen is wanted (by default something empty)."""
    deadline = time.monotonic() + limit_s
    while (seen := look()) != wanted and (wanted is not None or seen):
        assert time.monotonic() < deadline, (seen, wanted)
        time.sleep(0.01)


def stops_at_breakpoint(kept: Kept, port: int) -> None:
    """Fail unless an editor that comes now stops at a breakpoint, and the worker goes on when it leaves."""
    with DapClient(port) as editor:
        assert editor.attach({kept.program: [POINT]})[str(kept.program)][0]["verified"]
        kept.send(20)
        thread = editor.wait_for_stop()["threadId"]
        assert editor.evaluate("doubled", editor.stack(thread)[0]) == "40"
        editor.disconnect()
        assert kept.answer()["answer"] == 41


def assert_untouched(kept: Kept) -> None:
    """Fail unless the worker answers right, and soon nothing in it is ours."""

    def look() -> tuple[object, ...]:
        facts = kept.ask()
        names = [path.read_text().strip() for path in Path(f"/proc/{kept.pid}/task").glob("*/comm")]
        ours = [name for name in names if re.match("debugtool$|pydevd", name)]
        return facts["fds"], facts["threads"], facts["tracing"], kept.tracer(), ours

    eventually(look, (kept.before["fds"], kept.before["threads"], False, 0, []))


def assert_over(kept: Kept, over: Held) -> None:
    """Fail unless nothing is left of a session that has ended, in whatever way, and the next attach works."""
    assert over.session.process.poll() is not None
    assert_untouched(kept)
    eventually(over.processes)
    assert not over.port or not is_listening(over.port)
    with attached("--pid", kept.pid) as session:
        stops_at_breakpoint(kept, session.port)
        assert session.stop() == 0
    eventually(over.files)
    assert_untouched(kept)


def try_to_attach(editor: DapClient, kept: Kept) -> None:
    """Have an editor attach; debugtool may be killed meanwhile, or the editor's own connection be cut."""
    with contextlib.suppress(DapError, OSError, ValueError):
        editor.attach({kept.program: [POINT]}, exceptions=["uncaught"])


def cut(editor: DapClient) -> None:
    """Cut a connection off, as a network or a killed editor does: by a reset."""
    with contextlib.suppress(OSError):
        editor.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    editor.close()
