"""A command of debugtool as a child process that tells its events and never outlives us."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable, Sequence
from typing import Any

from debugtool.errors import DebugtoolError, ExitCode
from debugtool.system import tethered

Event = dict[str, Any]

_LINE_BYTES = 1 << 24  # a log line of a plugin may be long
_STOP_S = 40.0  # longer than the host waits for a plugin that does not answer Shutdown


class Child:
    """A running `debugtool COMMAND --json`. Belongs to one event loop; started from the main thread.

    It is in a process group of its own: Ctrl-C in the terminal is for us, who end things in order. When we are killed,
    it gets SIGTERM and ends in order by itself.

    Attributes:
        pid: Its process id.
        error: The last error that it told; None so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, on_event: Callable[[Event], None]) -> None:
        self._process = process
        self._on_event = on_event
        self._last_line = ""
        self.pid = process.pid
        self.error: DebugtoolError | None = None
        self._ended = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, arguments: Sequence[str], on_event: Callable[[Event], None]) -> Child:
        """Start it; `on_event` is called with each event that it tells."""
        command = tethered([sys.executable, "-P", "-m", "debugtool", *arguments, "--json"])
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit=_LINE_BYTES, process_group=0
        )
        return cls(process, on_event)

    async def _read(self) -> int:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(line.decode(errors="replace"))
        return await self._process.wait()

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event" not in event:
            self._last_line = line.strip() or self._last_line  # stderr: errors come as events too
            return
        if event["event"] == "error":
            self.error = as_error(event)
        self._on_event(event)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and all that it told was read."""
        return self._ended.done()

    async def wait(self) -> int:
        """Wait for its end; gives its exit code."""
        return await asyncio.shield(self._ended)

    def failure(self) -> DebugtoolError:
        """Say why it has ended, after it has."""
        why = self._last_line or f"exit code {self._process.returncode}"
        return self.error or DebugtoolError(f"debugtool's own child process {self.pid} has ended.", why=why)

    def interrupt(self) -> None:
        """Ask it to end."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def stop(self) -> None:
        """Ask it to end and wait for that."""
        self.interrupt()
        done, _ = await asyncio.wait([self._ended], timeout=_STOP_S)
        if not done:
            self._process.kill()
        await self._ended


def as_error(event: Event) -> DebugtoolError:
    """Make the error again that an `error` event tells of."""
    error = DebugtoolError(str(event["what"]), why=str(event["why"]), next_step=str(event["next"]))
    error.exit_code = ExitCode(int(event["code"]))
    return error
