"""From one process of a plugin to the next: noticing its start, and not running after one that keeps crashing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from debugtool.errors import NotFound
from debugtool.model import Build, Runtime, Target
from debugtool.plugin.agent import rendezvous
from debugtool.processes import SuccessorFinder
from debugtool.session.choose import choose_target
from debugtool.session.ending import Stop, or_stop
from debugtool.session.rendezvous import Meeting, Rendezvous, until_agent_listens
from debugtool.system import fault_point

# A process that ended so soon after its start has crashed; so many in a row are a loop.
_SHORT_LIFE_S = 3.0
_CRASHES = 3
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Successor:
    """A process that has been started in the place of one that ended.

    Attributes:
        target: The process.
        meeting: Its debug agent, which holds it before its own code runs; None where that did not call.
    """

    target: Target
    meeting: Meeting | None = None


class Follower:
    """Waits for the process that comes after a target. A context manager: make it while the target lives.

    Args:
        target: The process that is debugged now.
        limit_s: For how long a debug build may be held at its start, seconds.
    """

    def __init__(self, target: Target, limit_s: float = rendezvous.LIMIT_S) -> None:
        self._target = target
        self._finder = SuccessorFinder(target)
        program = target.script or target.executable or Path("/")  # no program at all: nobody calls
        self._rendezvous = Rendezvous(target.uid, program, limit_s)

    async def __aenter__(self) -> Follower:
        await self._rendezvous.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._rendezvous.__aexit__(kind, error, traceback)

    @property
    def waits_for(self) -> str:
        """What is waited for, in words."""
        return self._finder.waits_for

    async def next_process(self, stop: Stop) -> Successor:
        """Wait until the plugin has been started again.

        Raises:
            Stopped: The session is to end.
        """
        self._rendezvous.expect()
        looks, calls = asyncio.create_task(self._look()), asyncio.create_task(self._called())
        first = asyncio.ensure_future(_first_of(looks, calls))
        try:
            return await or_stop(first, stop)
        finally:
            looks.cancel()
            calls.cancel()

    def expect(self) -> None:
        """Take note that the target has ended: a debug build that starts now is held until `next_process` has it."""
        self._rendezvous.expect()

    async def leave(self, successor: Successor) -> None:
        """Leave a process alone that belongs to another session."""
        self._finder.reject(successor.target.pid)
        if successor.meeting is not None:
            await successor.meeting.let_go()

    async def pause(self, pause_s: float, stop: Stop) -> None:
        """Leave the processes alone that are started in the next seconds.

        Raises:
            Stopped: The session is to end.
        """
        await self._rendezvous.leave_alone()
        await or_stop(asyncio.ensure_future(asyncio.sleep(pause_s)), stop)

    async def _look(self) -> Successor:
        while True:
            with contextlib.suppress(NotFound):  # it has ended meanwhile, as the one before
                return await self._look_until_found()

    async def _look_until_found(self) -> Successor:
        while (found := await asyncio.to_thread(self._finder.look)) is None:
            await asyncio.sleep(self._finder.pause_s)
        if found.runtime is Runtime.GO:
            return Successor(found)  # there is nothing in it that it would have to start first
        if Build.DEBUG in (found.build, self._target.build):
            # Its agent calls before it listens; when it listens and has not called, it could not see us.
            await until_agent_listens(found)
        return Successor(await asyncio.to_thread(choose_target, None, found.pid))

    async def _called(self) -> Successor:
        while True:
            meeting = await self._rendezvous.next_caller()
            fault_point("met")
            try:
                target = await asyncio.to_thread(self._finder.recognise, meeting.pid)
            except asyncio.CancelledError:
                await meeting.let_go()
                raise
            if target is not None and target.pid == meeting.pid:
                # its agent does not listen yet, which is what tells a frozen debug build from others
                return Successor(replace(target, build=Build.DEBUG), meeting)
            await meeting.let_go()


async def _first_of(*tasks: asyncio.Task[Successor]) -> Successor:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return next(task for task in reversed(tasks) if task in done).result()


class CrashLoop:
    """Counts processes that end right after their start, and says how long to leave the plugin alone.

    Attributes:
        crashes: How many in a row.
    """

    def __init__(self) -> None:
        self.crashes = 0

    def pause_after(self, lifetime_s: float) -> float:
        """Take note of a process's end; give for how many seconds its successors are left alone."""
        self.crashes = self.crashes + 1 if lifetime_s < _SHORT_LIFE_S else 0
        return min(2.0 ** (self.crashes - _CRASHES), _LONGEST_PAUSE_S) if self.crashes >= _CRASHES else 0.0


@contextlib.asynccontextmanager
async def letting_go_of(meeting: Meeting | None) -> AsyncIterator[None]:
    """Make sure that a process which called goes on after the block, whatever happened in it."""
    try:
        yield
    finally:
        if meeting is not None:
            await meeting.let_go()
