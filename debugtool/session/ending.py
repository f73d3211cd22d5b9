"""What ends a session, or what it waits for: signals, the target's end, whichever comes first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any, TypeVar

from debugtool import system
from debugtool.debuggers import TargetDebugger
from debugtool.errors import DebugtoolError
from debugtool.session.opening import STOP_SIGNALS, EarlySignals

T = TypeVar("T")
Stop = asyncio.Future[signal.Signals]
"""Done once the session is to end, with the signal that says so."""

_EXIT_S = 2.0  # from the end of a process's connections to its own


class Stopped(Exception):
    """The session is to end while something was on its way; `number` is the signal."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.number = number


class DebuggerGone(DebugtoolError):
    """The target runs on, but its debugger is gone."""


@contextlib.contextmanager
def stop_signals(early: EarlySignals | None = None) -> Iterator[Stop]:
    """Turn the first of STOP_SIGNALS into a result, so that every way out is the orderly one.

    Args:
        early: Has taken those that came before there was an event loop; None where there has been one.
    """
    loop = asyncio.get_running_loop()
    stop: Stop = loop.create_future()

    def take(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, take, number)
    if early is not None and early.first is not None:
        take(early.first)
    try:
        yield stop
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def or_stop(work: asyncio.Future[T], stop: Stop) -> T:
    """Wait for work, unless the session is to end first.

    Raises:
        Stopped: It is; the work is cancelled.
    """
    waits: list[asyncio.Future[Any]] = [work, stop]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Stopped(stop.result())
    finally:
        work.cancel()
        work.add_done_callback(lambda given_up: given_up.cancelled() or given_up.exception())  # nobody else asks


async def until_exit_or_stop(debugger: TargetDebugger, started_ticks: int | None, stop: Stop) -> signal.Signals | None:
    """Wait; None when the target ended, the signal when the session is to end.

    Args:
        debugger: The debugger of the process.
        started_ticks: The process's start time (`system.start_ticks`): another one may have its pid by now.
        stop: Done when the session is to end.

    Raises:
        DebuggerGone: The target runs on, but its debugger is gone.
        ProcessGone: It ended before we looked.
    """
    target, gone = debugger.target, debugger.gone
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    with system.opened_pidfd(target.pid, started_ticks=started_ticks) as pidfd:
        loop.add_reader(pidfd, exited.set)
        exit_wait, gone_wait = asyncio.create_task(exited.wait()), asyncio.create_task(gone.wait())
        try:
            await asyncio.wait((exit_wait, gone_wait, stop), return_when=asyncio.FIRST_COMPLETED)
            if gone.is_set() and not stop.done():
                await asyncio.wait((exit_wait, stop), timeout=_EXIT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(pidfd)
            exit_wait.cancel()
            gone_wait.cancel()
    if not exited.is_set() and not stop.done():
        raise DebuggerGone(
            f"The debugger of {target} is gone.",
            why=f"the process runs on without it: {debugger.why_gone}",
            next_step="attach again",
        )
    return None if exited.is_set() else stop.result()
