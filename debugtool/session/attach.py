"""One attach, from a target that was found to a target that was let go: the way through the rooms."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from debugtool import system
from debugtool.debuggers import ControlChannel, DebugpyTarget, debugpy_directory, standard_library_directories
from debugtool.errors import DebugtoolError, Refused, Unsupported
from debugtool.inject import Bootstrap, Injected, check_state, choose_injectors, inject
from debugtool.model import Build, Runtime, Target
from debugtool.relay import FrozenSources, Relay, check_host
from debugtool.session.report import Report

T = TypeVar("T")

_PAYLOAD_S = 10.0
_EXIT_S = 2.0  # from the end of a process's connections to its own


@dataclass(frozen=True)
class AttachRequest:
    """What `debugtool attach` was asked for.

    Attributes:
        target: The process.
        host: Address for the editor, with `port` (0: any free one).
        method: Injector to use; None chooses.
        allow_remote: Whether `host` may be an address that others can reach.
        workspace: Directory whose launch.json is written; None finds it, False writes none.
        timeout_s: How long the target may take to become ready and to let us in.
    """

    target: Target
    host: str = "127.0.0.1"
    port: int = 3222
    method: str | None = None
    allow_remote: bool = False
    workspace: Path | bool | None = None
    timeout_s: float = 15.0


async def attach(request: AttachRequest, report: Report) -> signal.Signals | None:
    """Attach, listen, and stay until the target ends or we are told to stop; then let go.

    Args:
        request: What to do.
        report: Told what happened, as the events of design.md section 3.

    Returns:
        The signal that ended the session; None when the target ended, or had a session already.

    Raises:
        DebugtoolError: The attach failed; the target runs on as before.
    """
    target = request.target
    check_host(request.host, request.allow_remote)
    _refuse_unsupported(target)
    check_state(target)
    with system.sole_session(target.pid, target.uid) as is_sole:
        if not is_sole:
            await _report_running_session(request, report)
            return None
        try:
            stopped_by = await _hold_session(request, report)
        except _Stopped as stop:
            stopped_by = stop.number
    if stopped_by is None:
        report("exited", pid=target.pid)
    report("detached", pid=target.pid)
    return stopped_by


async def _hold_session(request: AttachRequest, report: Report) -> signal.Signals | None:
    target = request.target
    started = time.monotonic()
    with _permission(request), _stop_signals() as stop:
        async with Relay(
            request.host,
            request.port,
            allow_remote=request.allow_remote,
            on_client=lambda connected: report("client", connected=connected),
        ) as relay:
            system.fault_point("listening")
            async with _debugger_inside(request, stop) as (debugger, injected):
                relay.serve_target(debugger, _sources(request, debugger))
                with system.registered(_record(request, relay, injected.method)):
                    system.fault_point("registered")
                    elapsed_ms = (time.monotonic() - started) * 1000
                    report(
                        "ready",
                        host=relay.host,
                        port=relay.port,
                        method=injected.method,
                        elapsed_ms=round(elapsed_ms, 1),
                        stall_ms=round(injected.stall_ms, 2),
                    )
                    write_configuration(request, relay.port, report)
                    stopped_by = await _until_exit_or_stop(target, stop, debugger.control.gone)
                    if stopped_by is None:
                        debugger.control.hang_up()
                    await relay.hang_up("debugtool detaches" if stopped_by else "the process ended")
    return stopped_by


def _record(request: AttachRequest, relay: Relay, method: str) -> system.SessionRecord:
    target = request.target
    return system.SessionRecord(
        relay_pid=os.getpid(),
        relay_started=system.start_ticks(os.getpid()) or 0,
        target_pid=target.pid,
        target_started=system.start_ticks(target.pid) or 0,
        target_name=target.name,
        host=relay.host,
        port=relay.port,
        method=method,
    )


async def _report_running_session(request: AttachRequest, report: Report) -> None:
    """Tell of the session that is on the target already; attaching twice is the same as once.

    Raises:
        Refused: It is another user's, or it has not become ready in time.
    """
    deadline = time.monotonic() + request.timeout_s
    while True:
        for session in system.find_sessions():
            if session.target_pid == request.target.pid:
                report(
                    "ready",
                    host=session.host,
                    port=session.port,
                    method=session.method,
                    elapsed_ms=0.0,
                    stall_ms=0.0,
                    session_pid=session.relay_pid,
                    reused=True,
                )
                write_configuration(request, session.port, report)
                return
        if time.monotonic() > deadline:
            raise Refused(
                f"Could not attach to pid {request.target.pid} ({request.target.name}).",
                why="another debugtool is attaching to it, or another user's session has it",
                next_step="end that one with debugtool detach, as its own user",
            )
        await asyncio.sleep(0.1)  # the other attach is on its way


def _refuse_unsupported(target: Target) -> None:
    if target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
        raise Unsupported(
            f"Cannot debug pid {target.pid} ({target.name}).",
            why=f"its runtime is {target.runtime}; this version of debugtool debugs CPython",
            next_step="name a Python process; debugtool ps --all lists them",
        )


def write_configuration(request: AttachRequest, port: int, report: Report) -> None:
    """Write the editor's attach configuration; a failure is reported and does not end the session."""
    if request.workspace is False:
        return
    from debugtool import editors
    from debugtool.session.sources import path_mappings

    target = request.target
    try:
        if isinstance(request.workspace, Path):
            workspace = request.workspace
        else:
            # Without a plugin.json the program's own directory tells the project, not the one we happen to stand in.
            start = target.script.parent if target.script and not target.plugin_dir else None
            workspace = editors.find_workspace(start, target.plugin_dir)
        entry = editors.debugpy_entry(request.host, port, path_mappings(target, workspace))
        written = editors.write_launch_json(workspace, entry)
    except DebugtoolError as error:
        report("launch_json", path=None, changed=False, why=f"{error.what} {error.why}", next=error.next_step)
    else:
        report("launch_json", path=str(written.path), changed=written.changed)


@contextlib.contextmanager
def _permission(request: AttachRequest) -> Iterator[None]:
    """Make sure that the kernel lets the chosen way in, for the length of the session.

    Raises:
        Refused: It does not, and the user did not say yes to lowering ptrace_scope; the message has a fix.
    """
    first = choose_injectors(request.target, request.method)[0]
    if not first.needs_ptrace:
        yield
        return
    permission = system.examine(request.target.pid, name=request.target.name)
    with system.temporarily_relax_ptrace_scope(permission, ask=system.ask_on_terminal()) as relaxed:
        refusal = system.why_not(permission)
        if refusal is not None and not relaxed:
            raise refusal.as_error()
        yield


class _Stopped(Exception):
    """A signal came while the debugger was on its way in."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.number = number


@contextlib.asynccontextmanager
async def _debugger_inside(
    request: AttachRequest, stop: asyncio.Future[signal.Signals]
) -> AsyncIterator[tuple[DebugpyTarget, Injected]]:
    """Bring the debugger into the target, proven by a DAP handshake; let it go at the end."""
    target = request.target
    library = _library_for(request)
    async with ControlChannel(target) as control:
        system.fault_point("control")
        bootstrap = Bootstrap(
            payload=control.payload,
            socket=control.socket,
            token=control.token,
            debugpy=debugpy_directory(target),
            uid=os.geteuid(),
            library=library,
        )
        injected = await _or_stop(_injection(request, bootstrap), stop)
        system.fault_point("injected")
        await _or_stop(asyncio.ensure_future(control.wait_for_payload(_PAYLOAD_S)), stop)
        system.fault_point("payload")
        async with DebugpyTarget(target, control) as debugger:
            await debugger.verify()
            system.fault_point("verified")
            yield debugger, injected


def _library_for(request: AttachRequest) -> tuple[Path, ...]:
    """Find what a frozen program lacks of the standard library; a debug build has all of it.

    Raises:
        Unsupported: No CPython of its version is on this machine.
    """
    if request.target.runtime is not Runtime.FROZEN or request.target.build is Build.DEBUG:
        return ()
    return standard_library_directories(request.target)


def _sources(request: AttachRequest, debugger: DebugpyTarget) -> FrozenSources | None:
    """Find the sources of a frozen program, for the paths of breakpoints; others' paths are in launch.json."""
    if debugger.root is None:
        return None
    from debugtool.session.sources import frozen_sources

    start = request.workspace if isinstance(request.workspace, Path) else None
    return frozen_sources(request.target, debugger.root, start)


def _injection(request: AttachRequest, bootstrap: Bootstrap) -> asyncio.Future[Injected]:
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
            injected = inject(request.target, bootstrap, method=request.method, timeout_s=request.timeout_s)
        except Exception as error:  # whatever it is, it belongs to the one who waits
            failure = error
            tell(lambda: outcome.set_exception(failure))
        else:
            tell(lambda: outcome.set_result(injected))

    threading.Thread(target=run, name="injection", daemon=True).start()
    return outcome


async def _or_stop(work: asyncio.Future[T], stop: asyncio.Future[signal.Signals]) -> T:
    """Wait for work, unless a signal comes first.

    Raises:
        _Stopped: It did.
    """
    waits: list[asyncio.Future[Any]] = [work, stop]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        return work.result()
    work.cancel()
    raise _Stopped(stop.result())


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Future[signal.Signals]]:
    """Turn the first of SIGINT, SIGTERM and SIGHUP into a result, so that every way out is the orderly one."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def take(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, take, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _until_exit_or_stop(
    target: Target, stop: asyncio.Future[signal.Signals], gone: asyncio.Event
) -> signal.Signals | None:
    """Wait; None when the target ended, the signal when we are to stop.

    Raises:
        DebugtoolError: The target runs on, but our payload in it is `gone`.
    """
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    with system.opened_pidfd(target.pid) as pidfd:
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
        raise DebugtoolError(
            f"The debugger inside {target} is gone.",
            why="the process runs on without it: it has put another program in its place (exec)",
            next_step="attach again",
        )
    return None if exited.is_set() else stop.result()
