"""A hostile process that calls a session which waits for its plugin: it is let go, and the next one that calls, too."""

from __future__ import annotations

import asyncio
import contextlib

from fuzzing import connection, flags, run

from debugtool.session.rendezvous import Meeting


def fuzz_one(data: bytes) -> None:
    """Say something as a process that has called, after a byte of flags (1: it hangs up; 2: the payload is started)."""
    run(lambda: _call(data[1:], *flags(data)))


async def _call(said: bytes, hangs_up: bool, is_armed: bool, reads: bool) -> None:
    async with connection() as (near, (reader, writer)):
        meeting = Meeting(1, *near)
        writer.write(said + b"\n")
        if hangs_up:
            writer.close()
        if is_armed:
            meeting.start_payload({"token": "t"})
            assert not await meeting.starts(asyncio.Event().wait())  # it has said something else
        assert isinstance(await meeting.let_go(), bool)
        if reads and not hangs_up:
            with contextlib.suppress(OSError):
                heard = await asyncio.wait_for(reader.read(), 5)
                assert heard.endswith(b'{"do": "go"}\n')
