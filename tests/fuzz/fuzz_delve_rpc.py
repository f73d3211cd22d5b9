"""A hostile delve: whatever it answers, what was asked of it is told or a DelveError."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from fuzzing import flags, run

from debugtool.debuggers import delve_rpc
from debugtool.debuggers.delve_rpc import DelveError, DelveRpc

delve_rpc._ATTEMPTS = 3
delve_rpc._POLL_S = 0.0
delve_rpc._SETTLE_S = 0.0


def fuzz_one(data: bytes) -> None:
    """Answer calls with lines, over and over, after a byte of flags that says which calls (1: clear; 2: resume)."""
    run(lambda: _answer(data[1:].split(b"\n"), *flags(data)))


async def _answer(lines: list[bytes], clears: bool, resumes: bool, detaches: bool) -> None:
    answers = iter(lines)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.readline() and (line := next(answers, None)) is not None:
                writer.write(line + b"\n")
        writer.close()

    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        path = Path(directory, "s")
        server = await asyncio.start_unix_server(play, path)
        with contextlib.suppress(DelveError):
            async with DelveRpc(path) as rpc:
                assert isinstance(await rpc.is_running(), bool)
        for wanted, work in ((clears, delve_rpc.clear(path)), (resumes, delve_rpc.resume(path, os.getpid()))):
            if not wanted:
                work.close()
                continue
            with contextlib.suppress(DelveError):
                await work
        if detaches:
            with contextlib.suppress(DelveError):
                await delve_rpc.detach(path, os.getpid())
        server.close()
