"""One process armed: the debugger brought into it, proven by a handshake, and let go at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from debugtool import system
from debugtool.debuggers import ControlChannel, DebugpyTarget, DelveTarget, GuardAhead, TargetDebugger
from debugtool.inject import Attempt, Injected, check_state
from debugtool.model import Target
from debugtool.relay import FrozenSources
from debugtool.session.ending import Stop, or_stop
from debugtool.session.rendezvous import Meeting, until_agent_listens
from debugtool.session.request import AttachRequest
from debugtool.session.way_in import WayIn, WayIntoGo, WayIntoPython, way_into

_PAYLOAD_S = 10.0


@contextlib.asynccontextmanager
async def debugger_on(
    request: AttachRequest,
    target: Target,
    stop: Stop,
    meeting: Meeting | None = None,
    begun: WayIn | None = None,
    ahead: GuardAhead | None = None,
) -> AsyncIterator[tuple[TargetDebugger, Injected]]:
    """Bring a process's debugger up: delve on a Go program, debugpy inside a Python; let it go at the end of the block.

    Args:
        request: How to get in.
        target: The process: the one that was asked for, or one that came after it.
        stop: Ends the attempt when it is done.
        meeting: The process's agent, where that has called us by itself.
        begun: The way into it where that has been begun.
        ahead: May have a guard that waits for a Go process.

    Raises:
        Stopped: `stop` is done.
        DebugtoolError: There is no way in, or the debugger does not come up.
    """
    with contextlib.ExitStack() as own:
        way = begun
        if way is None:
            way = own.enter_context(way_into(request, target, ahead))
            way.refuse_unsupported()  # the next process of a plugin may be another build
            check_state(target)
            way.begin(meeting.start_payload if meeting else None)
        if isinstance(way, WayIntoGo):
            delve = DelveTarget(target, way.guard, request.timeout_s)
            await or_stop(asyncio.ensure_future(delve.start()), stop)
            async with delve:
                await delve.verify()
                system.fault_point("verified")
                yield delve, Injected("delve", delve.stall_ms)
        else:
            async with _debugpy_inside(way, stop, meeting) as inside:
                yield inside


@contextlib.asynccontextmanager
async def _debugpy_inside(
    way: WayIntoPython, stop: Stop, meeting: Meeting | None
) -> AsyncIterator[tuple[DebugpyTarget, Injected]]:
    """Wait for debugpy to come up inside a process, proven by a DAP handshake; see `debugger_on`."""
    assert way.place is not None
    async with ControlChannel(way.target, way.place) as control:
        if meeting is not None and not await _is_started_by(meeting, control, stop):
            await or_stop(asyncio.ensure_future(until_agent_listens(way.target)), stop)
            way.inject()
        injected = await or_stop(_outcome_of(way.attempt), stop) if way.attempt else Injected("agent", 0.0)
        system.fault_point("injected")
        await or_stop(asyncio.ensure_future(control.wait_for_payload(_PAYLOAD_S)), stop)
        system.fault_point("payload")
        async with DebugpyTarget(way.target, control) as debugger:
            await debugger.verify()
            system.fault_point("verified")
            yield debugger, injected


async def _is_started_by(meeting: Meeting, control: ControlChannel, stop: Stop) -> bool:
    return await or_stop(asyncio.ensure_future(meeting.starts(control.wait_for_payload(_PAYLOAD_S))), stop)


def find_sources(request: AttachRequest, debugger: TargetDebugger) -> FrozenSources | None:
    """Find the sources of a frozen program, for the paths of breakpoints; others' paths are in launch.json."""
    if not isinstance(debugger, DebugpyTarget) or debugger.root is None:
        return None
    from debugtool.session.sources import frozen_sources

    start = request.workspace if isinstance(request.workspace, Path) else None
    return frozen_sources(debugger.target, debugger.root, start)


def _outcome_of(attempt: Attempt) -> asyncio.Future[Injected]:
    """Give the outcome of an injection as a future of the running event loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Injected] = loop.create_future()

    def settle(outcome: Injected | Exception) -> None:
        if future.done():
            return  # given up
        if isinstance(outcome, Injected):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    def tell(outcome: Injected | Exception) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: we were stopped meanwhile
            loop.call_soon_threadsafe(settle, outcome)

    attempt.tell(tell)
    return future
