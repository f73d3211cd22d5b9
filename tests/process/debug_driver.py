"""tests/targets/debuggee.py under `debugtool attach`: run, asked, and looked at for traces of the debugger."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attach_driver import AttachSession, Worker, attached, find_pythons, running_worker
from dap_client import DapClient, Message

from debugtool.builds.editable import launcher_text
from debugtool.plugin.agent import paths

DEBUGGEE = Path(__file__).resolve().parents[1] / "targets" / "debuggee.py"
CHILD = DEBUGGEE.with_name("child.py")
CROWD = DEBUGGEE.with_name("crowd.py")
UNTRACED = {"hook": "None", "monitoring": [], "events": [], "patched": []}


def line_of(mark: str, program: Path = DEBUGGEE) -> int:
    """Find the line of a program that ends with `# MARK`."""
    lines = program.read_text().splitlines()
    return next(number for number, text in enumerate(lines, 1) if text.endswith(f"# {mark}"))


def pythons_of(*versions: str) -> list[Path]:
    """Pick CPythons of this machine by the start of their version, such as `3.12`; `oldest` is the oldest."""
    known = find_pythons()
    picked = [known[0]] if "oldest" in versions else []
    return picked + [p for p in known if any(p.parents[1].name.startswith(f"{version}.") for version in versions)]


def write_debug_build(program: Path, python: Path, source: Path) -> None:
    """Make the editable debug build of a source file."""
    program.write_bytes(launcher_text(python, source, source.parent, [source.parent]))
    program.chmod(0o755)


class Debuggee:
    """A running debuggee.py."""

    def __init__(self, worker: Worker) -> None:
        self.process = worker.process
        self.pid = worker.pid
        self.tracer = worker.tracer
        self._worker = worker
        self._calls = 0

    def begin(self, function: str, argument: object = None) -> None:
        """Have a function called, without waiting for its result."""
        self._calls += 1
        self._worker.send(f"{self._calls} {function} {json.dumps(argument)}")

    def result(self) -> Any:
        """Wait for the result of the last call."""
        while True:
            call, result = json.loads(self._worker.lines.next())
            if call == self._calls:
                return result

    def wait_until(self, word: str) -> None:
        """Wait until the function that was begun says a word."""
        while json.loads(self._worker.lines.next()) != [0, word]:
            pass

    def call(self, function: str, argument: object = None) -> Any:
        """Have a function called and give its result."""
        self.begin(function, argument)
        return self.result()

    def assert_untraced(self) -> None:
        """Fail if anything of a debugger that costs time is in the process."""
        facts = self.call("trace_facts")
        assert facts["trace"] == ["None"] * 4, facts
        assert {name: facts[name] for name in UNTRACED} == UNTRACED, facts
        # what is left on a frame that was running before a thread was freed has no effect: the thread has none
        assert set(facts["frames"]) <= {"untrace"}, facts
        assert [name for name in facts["threads"] if "pydev" in name.lower()] == []

    def wait_until_untraced(self) -> None:
        """Wait until nothing of a debugger that costs time is in the process."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                return self.assert_untraced()
        self.assert_untraced()


@contextlib.contextmanager
def running_debuggee(
    python: str | Path = sys.executable, command: Sequence[str | Path] = (), **popen: Any
) -> Iterator[Debuggee]:
    """Run a debuggee for the length of the block, and end it."""
    with running_worker(python=python, command=command, script=DEBUGGEE, **popen) as worker:
        yield Debuggee(worker)


def with_own_sessions() -> list[str]:
    """Give a command that runs another where no session of anybody else is known: with a runtime directory of its own.

    `sharing_sessions` runs one more in the same place.
    """
    directory = paths.make_runtime_dir(os.geteuid())
    mount = f"mount -t tmpfs -o mode=700,size=64m own {directory}"
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]


def sharing_sessions(target: Debuggee) -> list[str]:
    """Give a command that runs another where a target of `with_own_sessions` runs."""
    return ["nsenter", "--mount", "--wdns=.", "--target", str(target.pid)]


@dataclass
class Scene:
    """A debuggee with a session on it."""

    target: Debuggee
    session: AttachSession

    @contextlib.contextmanager
    def editor(self, *arguments: Any, **named: Any) -> Iterator[DapClient]:
        """Attach an editor for the length of the block; then it leaves as by Stop, and the target must be free again.

        Args:
            arguments: Of DapClient.attach, with `named`.
            named: See `arguments`.
        """
        with DapClient(self.session.port) as client:
            client.attach(*arguments, **named)
            yield client
            client.disconnect()
        assert self.target.process.poll() is None
        self.target.assert_untraced()


@contextlib.contextmanager
def debugging(python: str | Path = sys.executable) -> Iterator[Scene]:
    """Run a debuggee with a session on it for the length of the block."""
    with running_debuggee(python) as target, attached("--pid", target.pid) as session:
        session.wait_for("ready")
        target.wait_until_untraced()  # of the handshake that proved the debugger
        yield Scene(target, session)
        assert session.stop() == 0
        target.assert_untraced()
        assert target.tracer() == 0


def stop_at(editor: DapClient, reason: str, mark: str, program: Path = DEBUGGEE) -> Message:
    """Wait for a stop for that reason at the marked line; give the thread's innermost frame, with `threadId` in it."""
    stopped = editor.wait_for_stop()
    assert stopped["reason"] == reason, stopped
    frame = editor.stack(stopped["threadId"])[0]
    assert (frame["source"]["path"], frame["line"]) == (str(program), line_of(mark, program))
    return {**frame, "threadId": stopped["threadId"]}


def listeners_of(pid: int) -> list[int]:
    """List the TCP ports that a process listens on, without connecting to any."""
    from debugtool.system.tcp import LISTEN, socket_inodes, tcp_sockets

    inodes = socket_inodes(pid)
    return sorted(found.local[1] for found in tcp_sockets() if found.state == LISTEN and found.inode in inodes)


def is_listening(port: int) -> bool:
    """Tell whether anybody listens on a port, without connecting to it."""
    from debugtool.system import listener_owner

    return listener_owner(port) is not None
