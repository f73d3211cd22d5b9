"""What connects to the debugger's private port: pydevd with the session's token, or a BadFrame."""

from __future__ import annotations

import contextlib

from fuzzing import as_message, connection, framed, run

from debugtool.debuggers import BadFrame, DapStream, DebuggerChannel
from debugtool.debuggers.debugpy_target import identify

TOKEN = "the session's token"


def fuzz_one(data: bytes) -> None:
    """Answer the requests that say who connects with lines (`fuzzing.framed`); `TOKEN` in them is the token."""
    run(lambda: _arrive(data.replace(b"TOKEN", TOKEN.encode()).split(b"\n")))


async def _arrive(lines: list[bytes]) -> None:
    async with connection() as (near, (_, writer)):
        channel = DebuggerChannel(DapStream(*near))
        for line in lines:
            writer.writelines(framed(line))
        writer.write_eof()
        with contextlib.suppress(BadFrame):
            pid, parent = await identify(channel, TOKEN)
            assert isinstance(pid, int) and isinstance(parent, int)
            assert any(TOKEN in str(as_message(line)) for line in lines), "it has not said the token"
        await channel.close()
