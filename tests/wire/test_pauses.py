"""Pauses as the relay makes them of a debugger's messages, and as a session tells them, on a terminal too."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from test_client_session import Stage, play

from debugtool import processes
from debugtool.debuggers import HostCalls
from debugtool.model import Build, Runtime, Target
from debugtool.relay import Pause
from debugtool.relay import pauses as relay_pauses
from debugtool.session import pauses as session_pauses
from debugtool.session.pauses import PauseNotices

FRAME = {"id": 1, "name": "sell", "line": 7, "source": {"path": "/w/shop.py"}}


async def stop(played: Stage, *, answers: bool = True, reason: str = "breakpoint") -> None:
    """Stop a thread as the debugger; where it is to answer, the pause has been told afterwards."""
    before = len(played.pauses)
    played.debugger.send({"type": "event", "event": "stopped", "body": {"reason": reason, "threadId": 2}})
    await played.take()
    if answers:
        played.reply(await played.expect("stackTrace"), {"stackFrames": [FRAME]})
        while len(played.pauses) == before:
            await asyncio.sleep(0)


async def resume(played: Stage, command: str) -> None:
    """Have a thread go on, as the editor and the debugger."""
    played.ask(command, {"threadId": 2})
    played.reply(await played.expect(command))
    await played.take()


def told(scene: Callable[[Stage], Awaitable[Any]]) -> list[tuple[object, ...] | None]:
    """Play a scene; give the pauses that the session told."""

    async def attach_and_play(played: Stage) -> list[Pause | None]:
        await played.attach()
        await scene(played)
        return played.pauses

    return [
        pause and (pause.reason, pause.thread, pause.function, pause.path, pause.line)
        for pause in play(attach_and_play)
    ]


PLACED = ("breakpoint", 2, "sell", "/w/shop.py", 7)


def test_a_pause_is_told_with_its_place_and_its_end() -> None:
    async def scene(played: Stage) -> None:
        await stop(played)
        await resume(played, "continue")

    assert told(scene) == [PLACED, None]


def test_a_debugger_that_does_not_say_where_holds_nothing_up() -> None:
    async def scene(played: Stage) -> None:
        await stop(played, answers=False)
        await played.expect("stackTrace")
        await resume(played, "continue")

    assert told(scene) == [("breakpoint", 2, None, None, None), None]


def test_steps_are_one_pause() -> None:
    async def scene(played: Stage) -> None:
        await stop(played)
        for _ in range(2):
            await resume(played, "next")
            await stop(played, answers=False, reason="step")
        await resume(played, "continue")

    assert told(scene) == [PLACED, None]


def test_a_step_that_comes_to_no_line_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_pauses, "_STEP_S", 0.01)

    async def scene(played: Stage) -> None:
        await stop(played)
        await resume(played, "stepOut")
        while played.pauses[-1] is not None:
            await asyncio.sleep(0.001)

    assert told(scene) == [PLACED, None]


def test_a_process_that_ends_ends_its_pause() -> None:
    async def scene(played: Stage) -> None:
        await stop(played)
        played.session.lose_debugger("it ended")
        assert [(await played.take())["event"] for _ in range(2)] == ["continued", "output"]

    assert told(scene) == [PLACED, None]


class Debugger:
    """As much of a debugger as a notice asks for."""

    def __init__(self, plugin_id: str | None) -> None:
        self.target = Target(os.getpid(), "shop", plugin_id, Runtime.CPYTHON, "3.11", Build.SOURCE, None, "me", 0, 0.0)

    async def host_calls(self) -> HostCalls:
        return HostCalls.ANSWERED


async def nothing() -> None:
    """Stands for what lets a process end; no process of these tests is told to."""


def notices(plugin_id: str | None, *, listens: bool, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Have a pause told whose limits pass at once; give the events."""
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(processes, "grpc_address", lambda pid: "unix:///a" if listens else None)

    async def scene() -> None:
        enough = asyncio.Event()

        def report(event: str, **fields: object) -> None:
            events.append({"event": event, **fields})
            if event == "pause_limit" or not fields.get("limits", True):
                enough.set()

        async with PauseNotices(report, nothing, alert_s=0.01) as telling:
            telling.debugger = Debugger(plugin_id)  # type: ignore[assignment]
            telling.take(Pause("breakpoint", 2))
            await enough.wait()
            telling.take(None)
            while events[-1]["event"] != "continued":
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(scene(), 20))
    return events


@pytest.mark.parametrize(("listens", "limit"), [(True, "alert"), (False, "handshake")])
def test_limits_are_named_and_told_when_they_pass(listens: bool, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_pauses, "HANDSHAKE_S", 0.0)
    paused, passed, continued = notices("acme-shop", listens=listens, monkeypatch=monkeypatch)
    assert (paused["event"], paused["pid"], paused["host_calls"]) == ("paused", os.getpid(), "answered")
    assert [each["limit"] for each in paused["limits"]] == [limit]
    assert (passed["event"], passed["limit"]) == ("pause_limit", limit)
    assert (continued["event"], continued["pid"]) == ("continued", os.getpid())


def test_what_is_no_plugin_has_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [event["event"] for event in notices(None, listens=True, monkeypatch=monkeypatch)] == ["paused", "continued"]


TERMINAL = """
import sys
from debugtool.session import Reporter
limits = [{"limit": "alert", "limit_s": 30.0, "left_s": 30.0}]
place = {"function": "sell", "path": "/w/shop.py", "line": 7}
with Reporter(False) as report:
    report("paused", pid=7, reason="breakpoint", thread=2, host_calls="answered", limits=limits, **place)
    sys.stdin.readline()
    report("pause_limit", pid=7, limit="alert", limit_s=30.0, paused_s=31.0)
    sys.stdin.readline()
    report("continued", pid=7, paused_s=1.5)
"""
ERASED_LINE = b"\r\x1b[2K"


def test_on_a_terminal_a_line_counts_the_seconds_and_goes_away() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = read_until(ours, b"for 1 s; alert rules give up in 29 s")
        assert b"Health and Shutdown are answered meanwhile" in shown
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        shown = read_until(ours, b"dashboard waits on.")
        assert ERASED_LINE + b"Paused for 31 s: an alert rule" in shown  # it stands where the counting line stood
        read_until(ours, b"; alert rules give up in 29 s")  # which is below it again
        process.stdin.close()
        ending = read_until(ours, b"Continued after 1.5 s.")
        assert b"\x1b[?25h" in ending  # the cursor is back
        assert process.wait(20) == 0
    os.close(ours)


def read_until(terminal: int, text: bytes) -> bytes:
    """Read what a terminal shows until a text is there."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 20)[0], shown
        shown += os.read(terminal, 65536)
    return shown
