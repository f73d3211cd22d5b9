"""debugtool's end of the control channel: what a target may say there, and how much of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
from collections.abc import Awaitable, Callable

import pytest

from debugtool.debuggers import ControlChannel, MeetingPlace
from debugtool.errors import DebugtoolError, ProcessGone
from debugtool.model import Build, Runtime, Target

LIMIT_S = 20
UID = os.geteuid()
SELF = Target(
    os.getpid(), "self", None, Runtime.CPYTHON, "3.11", Build.SOURCE, None, pwd.getpwuid(UID).pw_name, UID, 0.0
)


def play(scene: Callable[[ControlChannel], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), ControlChannel(SELF, MeetingPlace(UID)) as control:
            await scene(control)

    asyncio.run(run())


def hello(control: ControlChannel, **changes: object) -> bytes:
    return json.dumps({"event": "hello", "token": control.place.token, "protocol": 1, **changes}).encode() + b"\n"


async def hear_the_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "said", [b"\n", b"[]\n", b"{}\n", b'{"token": "\\u00e4"}\n', b"\xff\n", b"[" * 60_000 + b"\n", b"x" * 100_000]
)
def test_what_is_no_payload_is_hung_up_on_and_the_payload_is_heard_after_it(said: bytes) -> None:
    async def scene(control: ControlChannel) -> None:
        reader, writer = await asyncio.open_unix_connection(control.place.socket)
        writer.write(said)
        await hear_the_end(reader)
        writer.close()
        _, payload = await asyncio.open_unix_connection(control.place.socket)
        payload.write(hello(control))
        await control.wait_for_payload(timeout_s=10)
        payload.close()

    play(scene)


def test_a_target_that_says_more_than_it_was_asked_is_hung_up_on() -> None:
    async def scene(control: ControlChannel) -> None:
        reader, writer = await asyncio.open_unix_connection(control.place.socket)
        writer.write(hello(control) + b'{"event": "loaded"}\n' * 10_000)
        await hear_the_end(reader)
        await control.gone.wait()
        assert control._answers.qsize() < 20  # what it says is not kept without end
        with pytest.raises(ProcessGone):
            await control.ask("load", "loaded", timeout_s=10)
        writer.close()

    play(scene)


def test_an_answer_that_is_none_ends_the_order_in_words() -> None:
    async def scene(control: ControlChannel) -> None:
        reader, writer = await asyncio.open_unix_connection(control.place.socket)
        writer.write(hello(control))
        await control.wait_for_payload(timeout_s=10)
        asking = asyncio.create_task(control.ask("load", "loaded", timeout_s=10))
        assert json.loads(await reader.readline()) == {"do": "load"}
        writer.write(b"[]\n")
        with pytest.raises(DebugtoolError, match="ended"):
            await asking
        writer.close()

    play(scene)
