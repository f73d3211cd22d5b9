"""A hostile target at the control channel: an error in words for whoever attaches, and no orders without the token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

from fuzzing import Violation, run, this_process

from debugtool.debuggers import ControlChannel, DebugpyTarget, MeetingPlace
from debugtool.errors import DebugtoolError


def fuzz_one(data: bytes) -> None:
    """Say what a target might: lines, in which `TOKEN` is the session's token and `4242` the target's pid."""
    run(lambda: _talk(data))


async def _talk(data: bytes) -> None:
    async with ControlChannel(this_process(), MeetingPlace(os.geteuid())) as control:
        proof = control.place.token.encode()
        said = data.replace(b"TOKEN", proof).replace(b"4242", b"%d" % os.getpid())
        attaching = asyncio.create_task(_attach(control))
        heard = await _say(control, said)
        if proof not in said and heard:
            raise Violation(f"orders for one without the token: {heard!r}")
        if proof not in said:
            hello = {"event": "hello", "protocol": 1, "token": control.place.token}
            heard = await _say(control, json.dumps(hello).encode() + b"\n", waits=True)
            if b'"do": "load"' not in heard:
                raise Violation(f"the target itself is not listened to afterwards: {heard!r}")
        if control.gone.is_set():
            await attaching
        else:
            attaching.cancel()  # it goes on waiting for its target
        await asyncio.wait([attaching])


async def _attach(control: ControlChannel) -> None:
    with contextlib.suppress(DebugtoolError):
        await control.wait_for_payload(timeout_s=5)
        async with DebugpyTarget(control.target, control) as debugger:
            await debugger.verify()
            await debugger.host_calls()


async def _say(control: ControlChannel, said: bytes, *, waits: bool = False) -> bytes:
    """Say something and hang up, or wait for the first order before that; give what was heard."""
    reader, writer = await asyncio.open_unix_connection(control.place.socket)
    heard = b""
    with contextlib.suppress(OSError):
        writer.write(said)
        if waits:
            heard = await reader.readline()
        writer.write_eof()
        heard += await reader.read()
    writer.close()
    return heard
