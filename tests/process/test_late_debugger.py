"""A debugger that comes up too late for its editor: nobody has it, so it is let go once the target runs on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from attach_driver import Worker, running_worker

from debugtool.debuggers import ControlChannel, DebuggerChannel, DebugpyTarget, MeetingPlace, debugpy_directory
from debugtool.debuggers import debugpy_target as module
from debugtool.errors import TimedOut
from debugtool.inject import Bootstrap, inject
from debugtool.processes import find_target

LIMIT_S = 60
SAID = 'self.say("connected")'
STOPS_FIRST = """
                if not hasattr(self, "has_stopped"):
                    self.has_stopped = True
                    while not os.path.exists({file!r}):
                        __import__("time").sleep(0.001)
                    __import__("signal").pthread_kill(__import__("_thread").get_ident(), {signal})
                """


def stop_before_it_is_said(place: MeetingPlace, file: Path) -> None:
    """Have the payload stop its process, once, when a file is there and before it says that pydevd is up.

    By way of its own thread, so that it goes no step further.
    """
    source = place.payload.read_text()
    assert source.count(SAID) == 1
    place.payload.write_text(
        source.replace(SAID, STOPS_FIRST.format(file=str(file), signal=int(signal.SIGSTOP)) + SAID)
    )


async def connect_in_vain(worker: Worker, arrived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = find_target(None, pid=worker.pid)
    place = MeetingPlace(target.uid)
    stop_before_it_is_said(place, arrived)
    bootstrap = Bootstrap(place.payload, place.socket, place.token, debugpy_directory(target), os.geteuid())
    async with asyncio.timeout(LIMIT_S), ControlChannel(target, place) as control:
        await asyncio.to_thread(inject, target, bootstrap)
        await control.wait_for_payload(LIMIT_S)
        async with DebugpyTarget(target, control) as debugger:
            await debugger.verify()
            await asyncio.to_thread(worker.wait_until_untraced)
            with monkeypatch.context() as shortly:
                shortly.setattr(module, "_CONNECT_S", 3.0)
                with pytest.raises(TimedOut):
                    await debugger.connect()
            assert arrived.exists()
            os.kill(worker.pid, signal.SIGCONT)
            await asyncio.to_thread(worker.wait_until_untraced)
            await debugger.connect()  # the next editor is served
            await debugger.release()


def test_a_target_that_is_stopped_after_its_debugger_has_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIVEN pydevd has arrived, and the process stands still before it says so THEN no tracing stays in it."""
    arrivals: list[int] = []
    identify = module.identify

    async def identify_and_note(channel: DebuggerChannel, token: str) -> tuple[int, int]:
        who = await identify(channel, token)
        arrivals.append(who[0])
        if len(arrivals) == 2:  # the first is the proof
            (tmp_path / "arrived").touch()
        return who

    monkeypatch.setattr(module, "identify", identify_and_note)
    with running_worker("idle") as worker:
        asyncio.run(connect_in_vain(worker, tmp_path / "arrived", monkeypatch))
        assert arrivals == [worker.pid] * 3
