"""From what the user named to the process to attach to."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from debugtool import processes, system
from debugtool.errors import NotFound
from debugtool.model import Runtime, Target
from debugtool.session.early import EarlyPort
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest

_POLL_S = 0.2
_UNPACKING_S = 15.0


def choose_target(name: str | None, pid: int | None, *, oldest: bool = False) -> Target:
    """Find the process that is meant; of a frozen program that is just starting, the one that will run its Python.

    Args:
        name: What the user called it; `pid` is its number, and goes first.
        pid: See `name`.
        oldest: Of several, take the one that has run for longest.

    Raises:
        NotFound: It does not run.
        Ambiguous: Several do.
    """
    several = oldest and pid is None
    return _unpacked(processes.find_targets(name)[0] if several else processes.find_target(name, pid=pid))


def _unpacked(target: Target) -> Target:
    deadline = time.monotonic() + _UNPACKING_S
    while target.runtime is Runtime.FROZEN and target.libpython is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)  # a onefile program unpacks itself, and starts a child then
        target = processes.find_target(None, pid=target.pid)
    return target


def tell_of_wait(name: str | None, report: Report, port: EarlyPort) -> None:
    """Tell that a plugin is waited for, and where an editor may come meanwhile; see `wait_for_target`."""
    report("waiting", name=name or "the plugin of this directory", host=port.host, port=port.listen())


def wait_for_target(
    name: str | None, pid: int | None, report: Report, port: EarlyPort, *, oldest: bool = False
) -> Target:
    """Wait until the process that is meant runs; without an end, as the user asked for.

    Args:
        name: As for `choose_target`, with `pid` and `oldest`.
        pid: See `name`.
        report: Told `waiting`.
        port: Listens from then on.
        oldest: See `name`.

    Raises:
        Ambiguous: Several have that name.
    """
    if pid is not None:
        return choose_target(name, pid)
    if not processes.find_targets(name, missing_ok=True):
        tell_of_wait(name, report, port)
    while True:
        while not processes.find_targets(name, missing_ok=True):
            time.sleep(_POLL_S)
        with contextlib.suppress(NotFound):  # it has ended meanwhile
            return choose_target(name, None, oldest=oldest)


def beginning_with_a_free_process(request: AttachRequest) -> AttachRequest:
    """Have a session that takes all processes of a name begin with one that no other has: the target, else the oldest.

    It stays with what another such session has, whose processes these are; and with the target where none is free.
    """
    first = request.target
    kind = system.session_kind_on(first.pid, first.uid)
    if kind is not system.SessionKind.SINGLE:
        return request
    name = first.plugin_id or first.name
    free = None
    for target in processes.find_family(name):
        if target.uid != first.uid:
            continue
        kind = system.session_kind_on(target.pid, target.uid)
        if kind is system.SessionKind.EVERY:
            return replace(request, target=target)
        if kind is None:
            free = free or target
    return replace(request, target=_unpacked(free), family=name) if free else request
