"""An editor's session from one debugger to the next, both ends in the hands of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from test_client_session import Stage, play

from debugtool.debuggers import DapStream, DebuggerChannel, Message
from debugtool.errors import DebugtoolError

SHOP = {"source": {"path": "/shop.py"}, "breakpoints": [{"line": 3}, {"line": 8}]}


def points(*verified: tuple[int, bool, int]) -> Message:
    """A debugger's answer to setBreakpoints: id, verified, line of each."""
    return {"breakpoints": [{"id": number, "verified": good, "line": line} for number, good, line in verified]}


@contextlib.asynccontextmanager
async def next_debugger(played: Stage) -> AsyncIterator[DebuggerChannel]:
    """Put another debugger behind the session; `played.debugger` is its end from now on."""
    ours, theirs = [DapStream(*await asyncio.open_connection(sock=each)) for each in socket.socketpair()]
    await played.debugger.close()
    played.debugger = theirs
    channel = DebuggerChannel(ours)
    try:
        yield channel
    finally:
        await channel.close()


async def set_points(played: Stage, answer: Message) -> list[Message]:
    played.ask("setBreakpoints", SHOP)
    played.reply(await played.expect("setBreakpoints"), answer)
    told: list[Message] = (await played.take())["body"]["breakpoints"]
    return told


async def answer_restore(played: Stage, answer: Message) -> None:
    """Play the new debugger while a session is restored."""
    for command in ("initialize", "attach"):
        played.reply(await played.expect(command))
    request = await played.expect("setBreakpoints")
    assert request["arguments"] == SHOP
    played.reply(request, answer)
    played.reply(await played.expect("configurationDone"))


def test_ids_stay_and_changes_are_told() -> None:
    async def scene(played: Stage) -> None:
        played.follows = True
        await played.attach()
        first, second = await set_points(played, points((70, True, 3), (71, True, 8)))
        played.session.lose_debugger("it ended")
        assert (await played.take())["body"]["output"] == "it ended\n"
        async with next_debugger(played) as channel:
            answer = points((0, True, 3), (1, True, 9))
            await asyncio.gather(played.session.restore(channel, {}), answer_restore(played, answer))
            changed = await played.take()
            assert changed["body"] == {"reason": "changed", "breakpoint": {**second, "line": 9}}
            played.debugger.send({"type": "event", "event": "stopped", "body": {"hitBreakpointIds": [0, 1, 99]}})
            assert (await played.take())["body"]["hitBreakpointIds"] == [first["id"], second["id"]]
            later = {"reason": "changed", "breakpoint": {"id": 1, "verified": False, "line": 9}}
            played.debugger.send({"type": "event", "event": "breakpoint", "body": later})
            assert (await played.take())["body"]["breakpoint"] == {"id": second["id"], "verified": False, "line": 9}

    play(scene)


def test_breakpoints_on_their_way_when_the_process_ends_are_kept() -> None:
    async def scene(played: Stage) -> None:
        played.follows = True
        await played.attach()
        number = played.ask("setBreakpoints", SHOP)
        await played.expect("setBreakpoints")
        await played.debugger.close()
        answer = await played.take()
        assert (answer["request_seq"], answer["success"]) == (number, True)
        told = answer["body"]["breakpoints"]
        assert [(point["verified"], point["line"]) for point in told] == [(False, 3), (False, 8)]
        played.session.lose_debugger("it ended")
        await played.take()
        async with next_debugger(played) as channel:
            answer = points((0, True, 3), (1, True, 8))
            await asyncio.gather(played.session.restore(channel, {}), answer_restore(played, answer))
            changed = [(await played.take())["body"]["breakpoint"] for _ in range(2)]
            assert changed == [
                {"id": told[0]["id"], "verified": True, "line": 3},
                {"id": told[1]["id"], "verified": True, "line": 8},
            ]

    play(scene)


def test_a_change_that_comes_before_its_breakpoint_is_told_after_it() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        played.ask("setBreakpoints", SHOP)
        request = await played.expect("setBreakpoints")
        early = {"reason": "changed", "breakpoint": {"id": 7, "verified": True, "line": 4}}
        played.debugger.send({"type": "event", "event": "breakpoint", "body": early})
        played.reply(request, points((6, True, 3), (7, False, 8)))
        told = (await played.take())["body"]["breakpoints"]
        assert (await played.take())["body"]["breakpoint"] == {**told[1], "verified": True, "line": 4}

    play(scene)


def test_what_the_editor_sees_of_threads_ends_with_the_process() -> None:
    async def scene(played: Stage) -> list[tuple[str, Any]]:
        await played.attach()
        for name, body in (
            ("thread", {"reason": "started", "threadId": 1}),
            ("thread", {"reason": "started", "threadId": 2}),
            ("thread", {"reason": "exited", "threadId": 1}),
            ("stopped", {"reason": "breakpoint", "threadId": 2}),
        ):
            played.debugger.send({"type": "event", "event": name, "body": body})
            await played.take()
        await played.expect("stackTrace")  # by the relay, for the place of the stop
        played.ask("threads")
        played.reply(await played.expect("threads"), {"threads": [{"id": 2, "name": "a"}, {"id": 3, "name": "b"}]})
        await played.take()
        played.session.lose_debugger("it ended")
        got = [await played.take() for _ in range(4)]
        return [(message["event"], message["body"].get("threadId")) for message in got]

    assert play(scene) == [("continued", 2), ("thread", 2), ("thread", 3), ("output", None)]


def test_of_the_threads_that_are_listed_the_last_list_counts() -> None:
    """GIVEN delve, which tells of no goroutine's end THEN those of all the stops of a day are not kept."""

    async def scene(played: Stage) -> list[tuple[str, Any]]:
        await played.attach()
        for listed in ([1, 2, 3], [1, 4]):
            played.ask("threads")
            threads = [{"id": number, "name": "goroutine"} for number in listed]
            played.reply(await played.expect("threads"), {"threads": threads})
            await played.take()
        played.session.lose_debugger("it ended")
        got = [await played.take() for _ in range(3)]
        return [(message["event"], message["body"].get("threadId")) for message in got]

    assert play(scene) == [("thread", 1), ("thread", 4), ("output", None)]


def test_between_the_end_of_the_debugger_and_that_of_the_process_the_session_waits_already() -> None:
    async def scene(played: Stage) -> None:
        played.follows = True
        await played.attach()
        await played.debugger.close()
        await played.channel.closed.wait()
        played.ask("threads")
        assert (await played.take())["body"] == {"threads": []}
        played.ask("setBreakpoints", SHOP)
        assert [point["verified"] for point in (await played.take())["body"]["breakpoints"]] == [False, False]
        played.session.lose_debugger("it ended")
        await played.take()
        async with next_debugger(played) as channel:
            answer = points((0, True, 3), (1, True, 8))
            await asyncio.gather(played.session.restore(channel, {}), answer_restore(played, answer))

    play(scene)


def test_a_debugger_that_refuses_the_session_says_why() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        played.session.lose_debugger("it ended")
        async with next_debugger(played) as channel:
            restoring = asyncio.create_task(played.session.restore(channel, {}))
            played.reply(await played.expect("initialize"))
            played.reply(await played.expect("attach"), success=False, message="bad pathMappings")
            with pytest.raises(DebugtoolError) as raised:
                await restoring
            assert raised.value.why == "bad pathMappings"

    play(scene)


@pytest.mark.parametrize("refusal", [None, DebugtoolError("The host is gone.")])
def test_restart_is_the_relays(refusal: DebugtoolError | None) -> None:
    async def scene(played: Stage) -> Message:
        played.can_restart, played.refusal = True, None
        await played.attach()
        played.refusal = refusal
        played.ask("restart")
        answer = await played.take()
        assert "restart" in played.calls
        return answer

    answer = play(scene)
    assert answer["success"] is (refusal is None)
    assert answer.get("message") == (refusal.what if refusal else None)
