"""An attach as a command of its own: with warnings on stderr, in the foreground or in the background."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from debugtool import processes, system
from debugtool.errors import DebugtoolError, ExitCode, NotFound
from debugtool.model import Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.session.choose import beginning_with_a_free_process, choose_target, wait_for_target
from debugtool.session.early import EarlyPort
from debugtool.session.opening import opened
from debugtool.session.report import Report, Reporter
from debugtool.session.request import AttachRequest
from debugtool.session.reuse import reuse_session

_INJECTION_S = 0.2  # it takes a tenth of that where the target gives it a turn; then it need not be waited for


def run_attach(request: AttachRequest, report: Reporter, early: Sequence[socket.socket] = ()) -> signal.Signals | None:
    """Attach and stay until it ends (`session.attach`), with warnings on stderr; give the signal that ended it.

    Args:
        request: What to do.
        report: Told what happens.
        early: The sockets for editors, where they listen already.

    Raises:
        DebugtoolError: The attach failed.
    """
    if request.every:
        request = beginning_with_a_free_process(request)
    _report_target(request.target, report)
    try:
        while True:
            with opened(request, early=early) as opening:
                if opening is not None:
                    opening.way.go_first(_INJECTION_S)
                    # From here on the target is at work, and we import what speaks with it.
                    import asyncio

                    from debugtool.session.attach import attach

                    report.take_warnings()
                    return asyncio.run(attach(request, report, opening))
            if reuse_session(request, report):
                return None
    except OSError as error:  # a full disk, no file descriptors left
        raise system.explain_os_error(f"Could not attach to {request.target}.", error) from error


def _report_target(target: Target, report: Report) -> None:
    bootloader = {"bootloader": target.launcher_pid} if target.runtime is Runtime.FROZEN and target.launcher_pid else {}
    system.require_descriptors(f"Could not attach to {target}.")
    report("target", **processes.target_document(target), **bootloader)


def run_attach_once_it_runs(
    name: str | None,
    pid: int | None,
    request_for: Callable[[Target], AttachRequest],
    report: Reporter,
    port: EarlyPort,
    *,
    every: bool = False,
) -> signal.Signals | None:
    """Wait for a plugin, and attach as `run_attach` does; one that ends before we are in is waited for again.

    Args:
        name: What the user called the plugin.
        pid: Its process, where it runs; None without one.
        request_for: Makes the request for a process.
        report: Told what happens.
        port: Listens while the plugin is waited for.
        every: Whether several processes may have that name.

    Raises:
        DebugtoolError: The attach failed.
    """
    while True:
        target = wait_for_target(name, pid, report, port, oldest=every)
        try:
            return run_attach(request_for(target), report, port.listeners)
        except NotFound:
            if pid is not None or not system.has_ended(target.pid, target.started_ticks):
                raise


def run_attach_at_start(
    name: str | None,
    pid: int | None,
    request_for: Callable[[Target], AttachRequest],
    report: Reporter,
    port: EarlyPort,
    *,
    hold_s: float,
    waits: bool,
    every: bool = False,
) -> signal.Signals | None:
    """Attach as `run_attach` does, and hold each start of the plugin for an editor.

    Args:
        name: What the user called the plugin.
        pid: Its process, where it runs; None without one.
        request_for: Makes the request for a process.
        report: Told what happens.
        port: Listens while the plugin is waited for.
        hold_s: For how long a start is held, from the start on, seconds.
        waits: Whether a plugin that does not run is waited for.
        every: Whether several processes may have that name: the starts of the session's own one are held.

    Raises:
        DebugtoolError: The attach failed, or it cannot be held at its start.
    """
    import asyncio

    from debugtool.session.attach import attach
    from debugtool.session.ending import Stop, Stopped, stop_signals
    from debugtool.session.follow import Successor, letting_go_of
    from debugtool.session.start import refuse_unholdable, wait_for_start

    async def attach_to(first: Successor, stop: Stop) -> signal.Signals | None:
        async with letting_go_of(first.meeting):
            request = request_for(first.target)
            if every and first.meeting is None:
                request = await asyncio.to_thread(beginning_with_a_free_process, request)
            refuse_unholdable(request.target)
            _report_target(request.target, report)
            hand_over = first.meeting.start_payload if first.meeting else None
            with opened(request, hand_over, early=port.listeners, keeps_signals=False) as opening:
                if opening is not None:
                    return await attach(request, report, opening, stop, first.meeting)
        while not await asyncio.to_thread(reuse_session, request, report):
            with opened(request, early=port.listeners, keeps_signals=False) as opening:
                if opening is not None:
                    return await attach(request, report, opening, stop)
        return None

    async def wait_and_attach() -> signal.Signals | None:
        with stop_signals() as stop:
            if not waits or pid is not None:
                return await attach_to(Successor(await asyncio.to_thread(choose_target, name, pid, oldest=every)), stop)
            while True:
                first = await wait_for_start(name, report, stop, hold_s, port, every=every)
                try:
                    return await attach_to(first, stop)
                except NotFound:
                    if not system.has_ended(first.target.pid, first.target.started_ticks):
                        raise

    report.take_warnings()
    try:
        return asyncio.run(wait_and_attach())
    except Stopped as stopped:
        return stopped.number


def attach_in_background(report: Report) -> None:
    """Start this same command once more, without `--background`, in a session of its own; return when it is ready.

    Raises:
        DebugtoolError: It failed, with its own words and code.
    """
    log = Path(paths.make_runtime_dir(os.geteuid())) / f"attach-{os.getpid()}.log"
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--background", "--json")]
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "debugtool", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        _follow(log, child, report)
    finally:
        log.unlink(missing_ok=True)  # the session writes on into a file that nobody finds; it is small


def _follow(log: Path, child: subprocess.Popen[bytes], report: Report) -> None:
    with log.open() as lines:
        while True:
            ended = child.poll() is not None
            for event in map(_event, iter(lines.readline, "")):
                name = event.pop("event", "")
                if name == "error":
                    raise _as_error(event)
                if name:
                    report(str(name), **{key: value for key, value in event.items() if key != "time"})
                if name == "launch_json" or (name == "ready" and "--no-launch-json" in sys.argv):
                    if child.poll() is None:
                        report("background", session_pid=child.pid)
                        child.returncode = 0  # it is on its own from here
                    return
            if ended:
                raise DebugtoolError(
                    "The session in the background ended.",
                    why=f"exit code {child.returncode}",
                    next_step="see what it says without --background",
                )
            time.sleep(0.02)


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}  # a warning's text
    return event if isinstance(event, dict) else {}


def _as_error(event: dict[str, object]) -> DebugtoolError:
    error = DebugtoolError(str(event["what"]), why=str(event["why"]), next_step=str(event["next"]))
    error.exit_code = ExitCode(int(str(event["code"])))
    return error
