"""The start of a plugin held for the person who is to stand in it (`attach --wait-at-start`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from debugtool import processes, system
from debugtool.debuggers import DebugpyTarget, TargetDebugger
from debugtool.errors import DebugtoolError, NotFound, Unsupported
from debugtool.manifest import editable_source, find_manifest
from debugtool.model import Build, Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.relay import Relay
from debugtool.session.choose import choose_target, tell_of_wait
from debugtool.session.early import EarlyPort
from debugtool.session.ending import Stop, or_stop
from debugtool.session.follow import Successor
from debugtool.session.rendezvous import AGENT_S, Rendezvous
from debugtool.session.report import Report

HOLD_S = 50.0
"""How long a plugin is held at most, from its start on: a host waits 60 s for the handshake line, and kills it then."""

_POLL_S = 0.2
_NO_SOURCES = {"node_modules", "venv", "env", "build", "dist", "__pycache__"}


def refuse_unholdable(target: Target) -> None:
    """Refuse what cannot be held at its start.

    Raises:
        Unsupported: It is no debug build of a Python plugin.
    """
    if target.runtime is Runtime.GO:
        raise _unholdable(
            str(target),
            "it is a Go program: delve attaches to what runs, and nothing in it waits for us",
            "attach without --wait-at-start; for start-up code, start it by hand under dlv exec",
        )
    if target.build is not Build.DEBUG:
        raise _unholdable(
            str(target),
            f"its build is {target.build}: only the agent of a debug build waits before the plugin's own code",
            "make a debug build, debugtool build --debug --editable, and have the host start that",
        )


def _unholdable(what: str, why: str, next_step: str) -> Unsupported:
    return Unsupported(f"Cannot wait at the start of {what}.", why=why, next_step=next_step)


def refuse_go_project(name: str | None) -> None:
    """Refuse to wait for a plugin of the working directory that is written in Go.

    Raises:
        Unsupported: It is.
    """
    from debugtool import builds

    manifest = find_manifest(Path.cwd())
    if manifest is None or not builds.is_go_plugin(manifest):
        return
    if name is None or name in processes.names_of_project(manifest.path.parent):
        raise _unholdable(
            manifest.id,
            "it is a Go program: delve attaches to what runs, and nothing in it waits for us",
            "attach without --wait-at-start; for start-up code, start it by hand under dlv exec",
        )


def is_on_our_runtime(target: Target, root: str | None) -> bool:
    """Tell whether a debug build calls `debugtool.plugin`'s `serve`, as far as its files show it.

    Args:
        target: The process.
        root: The directory that a frozen program runs from; its modules lie there.
    """
    from debugtool import builds

    seen = Path(f"/proc/{target.pid}/root")  # it may have a file system of its own
    if root is not None:
        return any((seen / root.lstrip("/") / "debugtool" / "plugin").glob("__init__.py*"))
    entry = editable_source(seen / str(target.script).lstrip("/"))
    if entry is None:
        return False
    return any(map(builds.imports_debugtool, _sources_below((seen / str(entry).lstrip("/")).parent)))


def _sources_below(directory: Path) -> Iterator[Path]:
    for path, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name.isidentifier() and name not in _NO_SOURCES]
        yield from (Path(path, name) for name in names if name.endswith(".py"))


async def wait_for_start(
    name: str | None, report: Report, stop: Stop, hold_s: float, port: EarlyPort, *, every: bool = False
) -> Successor:
    """Wait until a plugin is started, and hold it before its own code; one that runs already is given as it is.

    Args:
        name: What the user called it.
        report: Told that it is waited for.
        stop: Ends the wait.
        hold_s: For how long it may be held, seconds.
        port: Listens meanwhile.
        every: Whether several may have that name: then it is the first that calls, or the oldest.

    Raises:
        Unsupported: It has been started, and is no debug build; it runs on.
        Ambiguous: Several have that name.
        Stopped: `stop` is done.
    """
    if await asyncio.to_thread(processes.find_targets, name, missing_ok=True):
        with contextlib.suppress(NotFound):  # it has ended meanwhile
            return Successor(await asyncio.to_thread(choose_target, name, None, oldest=every))
    refuse_go_project(name)
    async with Rendezvous(os.geteuid(), None, hold_s) as gate:
        gate.expect()
        tell_of_wait(name, report, port)
        calls, looks = asyncio.create_task(_called(name, gate)), asyncio.create_task(_seen(name, every))
        try:
            return await or_stop(asyncio.ensure_future(_first_of(calls, looks)), stop)
        finally:
            calls.cancel()
            looks.cancel()


async def _first_of(calls: asyncio.Task[Successor], looks: asyncio.Task[Successor]) -> Successor:
    await asyncio.wait((calls, looks), return_when=asyncio.FIRST_COMPLETED)
    return calls.result() if calls.done() else looks.result()


async def _called(name: str | None, gate: Rendezvous) -> Successor:
    """Wait for the agent of a process of that name; others are told to go on."""
    while True:
        meeting = await gate.next_caller()
        try:
            named = await asyncio.to_thread(processes.find_targets, name, missing_ok=True)
            target = next((found for found in named if found.pid == meeting.pid), None)
            if target is not None:
                # its agent does not listen yet, which is what tells a frozen debug build from others
                return Successor(replace(target, build=Build.DEBUG), meeting)
        except (asyncio.CancelledError, DebugtoolError):
            await meeting.let_go()
            raise
        await meeting.let_go()


async def _seen(name: str | None, every: bool) -> Successor:
    """Wait for a process of that name that does not call us though its start is over.

    Raises:
        Unsupported: It is no debug build.
    """
    while True:
        while not await asyncio.to_thread(processes.find_targets, name, missing_ok=True):
            await asyncio.sleep(_POLL_S)
        try:
            target = await asyncio.to_thread(choose_target, name, None, oldest=every)
            if target.build is Build.DEBUG or target.runtime is Runtime.FROZEN:
                await _until_started(target)
                target = await asyncio.to_thread(choose_target, None, target.pid)
        except NotFound:
            continue  # it has ended
        refuse_unholdable(target)
        return Successor(target)


async def _until_started(target: Target) -> None:
    """Wait until a process listens: its agent, which calls before, or its own code."""
    deadline = time.monotonic() + AGENT_S
    agent = Path(paths.agent_socket(target.uid, target.pid))
    while time.monotonic() < deadline and not agent.exists():
        if await asyncio.to_thread(processes.grpc_address, target.pid):
            return
        await asyncio.sleep(_POLL_S)


class Hold:
    """Holds the starts of a session's processes.

    Args:
        relay: Where the editor comes to.
        report: Told `held` and `hold_ended`.
        stop: Ends the session.
        limit_s: How long a process may be held, from its start on, seconds.
    """

    def __init__(self, relay: Relay, report: Report, stop: Stop, limit_s: float) -> None:
        self._relay = relay
        self._report = report
        self._stop = stop
        self._limit_s = limit_s

    async def keep(self, successor: Successor, debugger: TargetDebugger) -> None:
        """Hold a process that has called until an editor has set its breakpoints, or its time is up.

        With an editor it stands still once more: a plugin on debugtool.plugin before its first request, any other
        program at the first line of its own code.

        Raises:
            Stopped: The session is to end.
        """
        if successor.meeting is None or not isinstance(debugger, DebugpyTarget):
            return
        target, began = successor.target, time.monotonic()
        age_s = max(system.age_s(pid) for pid in (target.pid, target.launcher_pid or target.pid))
        left_s = max(round(self._limit_s - age_s, 1), 0.0)
        self._report("held", pid=target.pid, limit_s=self._limit_s, left_s=left_s, is_plugin=bool(target.plugin_id))
        by = await self._until_configured(debugger, left_s)
        if by == "editor":
            serves = await asyncio.to_thread(is_on_our_runtime, target, debugger.root)
            await debugger.stop_at_start(entry=not serves)
        self._report("hold_ended", pid=target.pid, by=by, held_s=round(time.monotonic() - began, 1))

    async def _until_configured(self, debugger: TargetDebugger, left_s: float) -> str:
        editor, gone = (
            asyncio.create_task(self._relay.wait_until_configured()),
            asyncio.create_task(debugger.gone.wait()),
        )
        try:
            first = asyncio.wait((editor, gone), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            await or_stop(asyncio.ensure_future(first), self._stop)
            return "editor" if editor.done() else "exit" if gone.done() else "limit"
        finally:
            editor.cancel()
            gone.cancel()
