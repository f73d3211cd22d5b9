"""One process armed: the debugger brought into it, proven by a handshake, and let go at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from debugtool import system
from debugtool.debuggers import (
    ControlChannel,
    DebugpyTarget,
    DelveTarget,
    TargetDebugger,
    debugpy_directory,
    refuse_undebuggable,
    require_delve,
    standard_library_directories,
)
from debugtool.errors import Unsupported
from debugtool.inject import Bootstrap, Injected, inject
from debugtool.model import Build, Runtime, Target
from debugtool.relay import FrozenSources
from debugtool.session.ending import Stop, or_stop
from debugtool.session.rendezvous import Meeting
from debugtool.session.request import AttachRequest

_PAYLOAD_S = 10.0


def refuse_unsupported(target: Target) -> None:
    """Refuse what cannot be debugged.

    Raises:
        Unsupported: It is neither a Python nor a Go process, or one of Go in which no breakpoint could be set.
    """
    if target.runtime is Runtime.GO:
        refuse_undebuggable(target)
    elif target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
        raise Unsupported(
            f"Cannot debug pid {target.pid} ({target.name}).",
            why=f"its runtime is {target.runtime}; debugtool debugs CPython and Go",
            next_step="name a Python or Go process; debugtool ps --all lists them",
        )


@contextlib.asynccontextmanager
async def debugger_on(
    request: AttachRequest, target: Target, stop: Stop, meeting: Meeting | None = None
) -> AsyncIterator[tuple[TargetDebugger, Injected]]:
    """Bring a process's debugger up: delve on a Go program, debugpy inside a Python; let it go at the end of the block.

    Args:
        request: How to get in.
        target: The process: the one that was asked for, or one that came after it.
        stop: Ends the attempt when it is done.
        meeting: The process's agent, where that has called us by itself.

    Raises:
        Stopped: `stop` is done.
        DebugtoolError: There is no way in, or the debugger does not come up.
    """
    if target.runtime is not Runtime.GO:
        async with _debugpy_inside(request, target, stop, meeting) as inside:
            yield inside
        return
    refuse_undebuggable(target)  # the next process of a plugin may be another build
    delve = DelveTarget(target, require_delve(target), request.timeout_s)
    await or_stop(asyncio.ensure_future(delve.start()), stop)
    async with delve:
        await delve.verify()
        system.fault_point("verified")
        yield delve, Injected("delve", delve.stall_ms)


@contextlib.asynccontextmanager
async def _debugpy_inside(
    request: AttachRequest, target: Target, stop: Stop, meeting: Meeting | None
) -> AsyncIterator[tuple[DebugpyTarget, Injected]]:
    """Bring debugpy into a process, proven by a DAP handshake; see `debugger_on`."""
    async with ControlChannel(target) as control:
        system.fault_point("control")
        bootstrap = Bootstrap(
            payload=control.payload,
            socket=control.socket,
            token=control.token,
            debugpy=debugpy_directory(target),
            uid=os.geteuid(),
            library=_library_for(target),
        )
        if meeting is not None:
            meeting.start_payload(bootstrap.arguments)
            injected = Injected("agent", 0.0)
        else:
            injected = await or_stop(_injection(request, target, bootstrap), stop)
        system.fault_point("injected")
        await or_stop(asyncio.ensure_future(control.wait_for_payload(_PAYLOAD_S)), stop)
        system.fault_point("payload")
        async with DebugpyTarget(target, control) as debugger:
            await debugger.verify()
            system.fault_point("verified")
            yield debugger, injected


def _library_for(target: Target) -> tuple[Path, ...]:
    """Find what a frozen program lacks of the standard library; a debug build has all of it.

    Raises:
        Unsupported: No CPython of its version is on this machine.
    """
    if target.runtime is not Runtime.FROZEN or target.build is Build.DEBUG:
        return ()
    return standard_library_directories(target)


def find_sources(request: AttachRequest, debugger: TargetDebugger) -> FrozenSources | None:
    """Find the sources of a frozen program, for the paths of breakpoints; others' paths are in launch.json."""
    if not isinstance(debugger, DebugpyTarget) or debugger.root is None:
        return None
    from debugtool.session.sources import frozen_sources

    start = request.workspace if isinstance(request.workspace, Path) else None
    return frozen_sources(debugger.target, debugger.root, start)


def _injection(request: AttachRequest, target: Target, bootstrap: Bootstrap) -> asyncio.Future[Injected]:
    """Start the injection in a thread that the process need not wait for at its end.

    What has begun in the target is finished by a process of its own; the payload finds nobody then and ends.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Injected] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        def unless_given_up() -> None:
            if not outcome.done():
                settle()

        with contextlib.suppress(RuntimeError):  # the loop is closed: we were stopped meanwhile
            loop.call_soon_threadsafe(unless_given_up)

    def run() -> None:
        try:
            injected = inject(target, bootstrap, method=request.method, timeout_s=request.timeout_s)
        except Exception as error:  # whatever it is, it belongs to the one who waits
            failure = error
            tell(lambda: outcome.set_exception(failure))
        else:
            tell(lambda: outcome.set_result(injected))

    threading.Thread(target=run, name="injection", daemon=True).start()
    return outcome
