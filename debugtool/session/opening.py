"""The beginning of an attach, up to where nothing is left but to wait.

All of it goes without an event loop. asyncio, the relay and the debuggers' side of things take longer to import than
this takes, and are imported while the target brings the debugger up.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from debugtool import inject, relay, system
from debugtool.session.permission import permission_for
from debugtool.session.request import AttachRequest
from debugtool.session.way_in import HandOver, WayIn, way_into

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EarlySignals:
    """Keeps the first of STOP_SIGNALS for when somebody can act on it; a context manager.

    Attributes:
        first: It; None when there was none.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None

    def __enter__(self) -> EarlySignals:
        self._before = [(number, signal.signal(number, self._take)) for number in STOP_SIGNALS]
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or signal.Signals(number)


@dataclass(frozen=True)
class Opening:
    """An attach that has begun.

    Attributes:
        began: When, by `time.monotonic()`.
        listeners: The sockets that editors connect to; nobody accepts yet.
        lock: Holds the lock on the process that is debugged (`system.sole_session`).
        way: The debugger's way into the target, begun.
        signals: What has told us to stop since.
    """

    began: float
    listeners: list[socket.socket]
    lock: contextlib.ExitStack
    way: WayIn
    signals: EarlySignals


@contextlib.contextmanager
def opened(
    request: AttachRequest,
    hand_over: HandOver | None = None,
    *,
    early: Sequence[socket.socket] = (),
    keeps_signals: bool = True,
) -> Iterator[Opening | None]:
    """Begin an attach; None when another session has the target, or waits for it.

    What nobody took over is undone with the block.

    Args:
        request: What to do.
        hand_over: Starts the payload, where an agent has called us by itself.
        early: The sockets for editors, where they listen already.
        keeps_signals: Whether signals are kept for later; no where there is an event loop that takes them.

    Raises:
        DebugtoolError: It is refused, or the port cannot be had; nothing was done to the target.
    """
    began = time.monotonic()
    target = request.target
    relay.check_host(request.host, request.allow_remote)
    with way_into(request, target) as way, contextlib.ExitStack() as lock:
        way.refuse_unsupported()
        # looked at before the lock is taken, which would turn that session away
        is_awaited = system.is_awaited(target)
        if is_awaited or not lock.enter_context(system.sole_session(target.pid, target.uid, every=request.every)):
            yield None
            return
        system.fault_point("locked")
        inject.check_state(target)  # not before: the tracer of another attach to it may be at work just then
        with permission_for(request), contextlib.ExitStack() as stack:
            signals = EarlySignals()
            if keeps_signals:
                stack.enter_context(signals)
            listeners = list(early)
            if not listeners:
                listeners = relay.listen_on(request.host, request.port, allow_remote=request.allow_remote)
            for listener in listeners:
                stack.callback(listener.close)
            system.fault_point("listening")
            way.begin(hand_over)
            yield Opening(began, listeners, lock, way, signals)
