"""Targets and `debugtool attach` sessions for the tests: started, spoken to, and always ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "tests" / "targets" / "worker.py"
DEBUGTOOL = Path(sys.executable).with_name("debugtool")
BREAK_LINE = next(n for n, text in enumerate(WORKER.read_text().splitlines(), 1) if "BREAK HERE" in text)
DEADLINE_S = 60.0

SHORT_TURNS = ("--switch-interval", "0.0005")
"""For a `busy` or `importing` worker: its threads take turns ten times as often as by default.

Each wait for the GIL of a busy program takes up to 15 ms, an attach waits some hundred times, and the tests with it.
How long a thread's turn is does not matter to most; test_attach_states.py has every CPython with turns as they are.
"""

Event = dict[str, Any]


def find_pythons() -> list[Path]:
    """List the CPythons of this machine that targets are tested with, 3.8 and later, one for each version.

    Pyenv's, our own, and what `scripts/get-python314 .cache/pythons/3.14` fetched.
    """
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [path / "bin" / "python3" for path in (root / "versions").glob("3.*")]
    found += [path / "bin" / "python3" for path in (ROOT / ".cache" / "pythons").glob("3.*")]
    own = Path(sys.base_prefix) / "bin" / "python3"
    pythons = {python.parents[1].name: python for python in [*found, own] if python.exists()}
    return [pythons[name] for name in sorted(pythons, key=_version) if _version(name) >= (3, 8)]


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


class Lines:
    """The lines of a pipe, read by a thread so that waiting for one can have a deadline."""

    def __init__(self, pipe: Any) -> None:
        self.seen: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: Any) -> None:
        with contextlib.suppress(ValueError):  # closed under us at the end of a test
            for line in pipe:
                self._queue.put(line)
        self._queue.put(None)

    def next(self, timeout_s: float = DEADLINE_S) -> str:
        """Give the next line.

        Raises:
            TimeoutError: None came in time.
            EOFError: The pipe is closed.
        """
        try:
            line = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"no line within {timeout_s:g} s; so far: {self.seen[-20:]}") from None
        if line is None:
            self._queue.put(None)
            raise EOFError(f"the pipe is closed; so far: {self.seen[-20:]}")
        self.seen.append(line)
        return line


class Worker:
    """A running tests/targets/worker.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        self.pid = int(self.lines.next().split()[1])

    def send(self, line: object) -> None:
        """Send a line without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """Wait for the next answer."""
        answer: dict[str, Any] = json.loads(self.lines.next(timeout_s))
        return answer

    def ask(self, number: int = 1, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """Have a number worked on; give the answer, which is proven right, and the facts of the process."""
        self.send(number)
        answer = self.answer(timeout_s)
        assert answer["answer"] == number * 2 + 1
        return answer

    def settle(
        self, before: dict[str, Any], names: Sequence[str] = ("fds", "threads"), timeout_s: float = 10.0
    ) -> dict[str, Any]:
        """Give the facts once those named are as `before` again, or the last ones in time."""
        deadline = time.monotonic() + timeout_s
        facts = self.ask()
        while any(facts[name] != before[name] for name in names) and time.monotonic() < deadline:
            facts = self.ask()
        return facts

    def wait_until_untraced(self, timeout_s: float = 10.0) -> None:
        """Wait until no debugger is active in it: `ready` is told while the proof of that debugger is taken down."""
        deadline = time.monotonic() + timeout_s
        while self.ask()["tracing"]:
            assert time.monotonic() < deadline, "tracing stays on without an editor"

    def tracer(self) -> int:
        """Give the pid of its tracer, 0 without one."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("TracerPid")))


@contextlib.contextmanager
def running_worker(
    *arguments: str, python: str | Path = sys.executable, command: Sequence[str | Path] = (), **popen: Any
) -> Iterator[Worker]:
    """Run a worker for the length of the block, and end it.

    Args:
        arguments: The state (`idle`, `locked`, `busy`, `importing`) and more for its command line.
        python: Interpreter to run it with.
        command: What stands before the interpreter, such as setpriv.
        popen: More arguments for Popen.
    """
    with subprocess.Popen(
        [*command, python, "-u", popen.pop("script", WORKER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **popen,
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


class AttachSession:
    """A running `debugtool attach --json`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        self.errors = Lines(process.stderr)
        self.events: list[Event] = []

    def wait_for(self, name: str, timeout_s: float = DEADLINE_S) -> Event:
        """Wait for an event; an `error` event fails the test instead."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event: Event = json.loads(self.lines.next(deadline - time.monotonic()))
            except EOFError:
                raise AssertionError(f"no {name!r} event: {self.events}, {self.error_text()}") from None
            self.events.append(event)
            if event["event"] == name:
                return event
            assert event["event"] != "error", event

    def error_text(self) -> str:
        """Give all of stderr; waits for the process's end."""
        with contextlib.suppress(EOFError):
            while True:
                self.errors.next()
        return "".join(self.errors.seen)

    @property
    def port(self) -> int:
        """Where the editor connects; waits for `ready`."""
        for event in self.events:
            if event["event"] == "ready":
                return int(event["port"])
        return int(self.wait_for("ready")["port"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


@contextlib.contextmanager
def attached(*arguments: str | int, through: Sequence[str] = (), **popen: Any) -> Iterator[AttachSession]:
    """Run `debugtool attach --json --port 0 --no-launch-json ARGUMENTS` for the length of the block.

    Give `--pid` or a name, and other options that overrule these; `through` is a command that runs it. Where the test
    has not ended it, SIGTERM does.
    """
    command = [*through, str(DEBUGTOOL), "attach", "--json", "--port", "0", "--no-launch-json", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen
    ) as process:
        try:
            yield AttachSession(process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(DEADLINE_S)
                finally:
                    process.kill()


def run_debugtool(
    *arguments: str | int | Path, through: Sequence[str] = (), **popen: Any
) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end; `through` is a command that runs it."""
    return subprocess.run(
        [*through, DEBUGTOOL, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        **popen,
    )
