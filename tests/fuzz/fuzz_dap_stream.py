"""DAP's framing: whatever comes is messages, or a BadFrame."""

from __future__ import annotations

import contextlib

from fuzzing import Violation, connection, run

from debugtool.debuggers import BadFrame, DapStream


def fuzz_one(data: bytes) -> None:
    """Read bytes as DAP, to their end."""
    run(lambda: _read_all(data))


async def _read_all(data: bytes) -> None:
    async with connection() as ((reader, writer), (_, far)):
        far.write(data)
        far.write_eof()
        stream = DapStream(reader, writer, max_message_bytes=1000)
        with contextlib.suppress(BadFrame):
            while (message := await stream.read()) is not None:
                if not isinstance(message["type"], str):
                    raise Violation(f"no message: {message}")
