"""The two pipes of a plugin process: the first line of stdout, and the log on stderr."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import IO

from debugtool.devhost.hclog import LineSplitter, LogLine, LogParser
from debugtool.system import pipe_holders

_KEPT_STDERR_LINES = 20
_READ_BYTES = 64 * 1024


class PluginOutput:
    """Reads both pipes until they end, so that the plugin never blocks on a full one.

    Belongs to one event loop.

    Args:
        stdout: Our end of the plugin's stdout; closed at its end.
        stderr: The same of its stderr.
        on_log: Called with each line of the log, and with each line that the plugin prints on stdout after its first.

    Attributes:
        first_line: The first line on stdout; None if stdout ended without one.
        partial_line: What stdout said so far, while its first line is not complete.
        stderr_tail: The last lines on stderr.
        ended: Done when both pipes are at their end: every process that held them has gone.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], on_log: Callable[[LogLine], None]) -> None:
        self._on_log = on_log
        self.first_line: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.partial_line = ""
        self._too_long = False
        self._inodes = [os.fstat(pipe.fileno()).st_ino for pipe in (stdout, stderr)]
        self.stderr_tail: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self.ended = asyncio.gather(self._read_stdout(stdout), self._read_stderr(stderr))

    def note(self, level: str, message: str, **fields: object) -> None:
        """Add a line of the host's own to the plugin's log."""
        self._on_log(LogLine(level, message, fields, plain=True))

    def holders(self) -> str:
        """Name the processes that hold the other end of a pipe, as far as we may see."""
        found = [f"pid {holder.pid} ({holder.name})" for holder in pipe_holders(self._inodes)]
        return " and ".join(found) or "a process that it started"

    async def _read_stdout(self, pipe: IO[bytes]) -> None:
        splitter = LineSplitter()
        async for data in _chunks(pipe):
            for line, whole in splitter.feed(data):
                self._take_stdout(line, whole)
            self.partial_line = "" if self.first_line.done() else splitter.pending
        for line, whole in splitter.end():
            self._take_stdout(line, whole)
        if not self.first_line.done():
            self.first_line.set_result(None)

    def _take_stdout(self, line: str, whole: bool) -> None:
        if not self.first_line.done():
            self.first_line.set_result(line)
        elif whole:
            self.note("debug", line, stream="stdout", note="Grafana drops what a plugin prints on stdout")
        elif not self._too_long:
            self._too_long = True
            self.note("warn", f"a line above 64 KiB on stdout: Grafana reads no further than this one: {line[:80]}...")

    async def _read_stderr(self, pipe: IO[bytes]) -> None:
        splitter, parser = LineSplitter(), LogParser()
        async for data in _chunks(pipe):
            for line, whole in splitter.feed(data):
                self._take_stderr(parser, line, whole)
        for line, whole in splitter.end():
            self._take_stderr(parser, line, whole)

    def _take_stderr(self, parser: LogParser, line: str, whole: bool) -> None:
        entry = parser.parse(line, whole=whole)
        self.stderr_tail.extend(entry.text().splitlines())
        self._on_log(entry)
        if entry.would_crash_host:
            self.note("warn", f"the line above would crash Grafana itself: its {entry.would_crash_host} is no string")


async def _chunks(pipe: IO[bytes]) -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while data := await reader.read(_READ_BYTES):
            yield data
    finally:
        transport.close()
