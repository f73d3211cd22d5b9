"""A debugger that comes up too late for its editor: nobody has it, so it is let go once the target runs on."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from attach_driver import Worker, running_worker

from debugtool.debuggers import ControlChannel, DebuggerChannel, DebugpyTarget, MeetingPlace, debugpy_directory
from debugtool.debuggers import debugpy_target as module
from debugtool.errors import TimedOut
from debugtool.inject import Bootstrap, inject
from debugtool.processes import find_target

LIMIT_S = 60


async def connect_in_vain(worker: Worker) -> None:
    target = find_target(None, pid=worker.pid)
    place = MeetingPlace(target.uid)
    bootstrap = Bootstrap(place.payload, place.socket, place.token, debugpy_directory(target), os.geteuid())
    async with asyncio.timeout(LIMIT_S), ControlChannel(target, place) as control:
        await asyncio.to_thread(inject, target, bootstrap)
        await control.wait_for_payload(LIMIT_S)
        async with DebugpyTarget(target, control) as debugger:
            await debugger.verify()
            await asyncio.to_thread(worker.wait_until_untraced)
            with pytest.raises(TimedOut):
                await debugger.connect()
            os.kill(worker.pid, signal.SIGCONT)
            await asyncio.to_thread(worker.wait_until_untraced)
            await debugger.connect()  # the next editor is served
            await debugger.release()


def test_a_target_that_is_stopped_after_its_debugger_has_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN pydevd has arrived, and the process stands still before it says so THEN no tracing stays in it."""
    arrivals: list[int] = []
    identify = module.identify

    async def identify_and_stop(channel: DebuggerChannel, token: str) -> tuple[int, int]:
        who = await identify(channel, token)
        arrivals.append(who[0])
        if len(arrivals) == 2:  # the first is the proof
            monkeypatch.setattr(module, "_CONNECT_S", 15.0)
            os.kill(who[0], signal.SIGSTOP)
        elif len(arrivals) == 1:
            monkeypatch.setattr(module, "_CONNECT_S", 1.0)
        return who

    monkeypatch.setattr(module, "identify", identify_and_stop)
    with running_worker("idle") as worker:
        asyncio.run(connect_in_vain(worker))
        assert arrivals == [worker.pid] * 3
