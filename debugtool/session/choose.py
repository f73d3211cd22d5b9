"""From what the user named to the process to attach to."""

from __future__ import annotations

import time

from debugtool import processes
from debugtool.model import Runtime, Target
from debugtool.session.report import Report

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
    target = processes.find_targets(name)[0] if several else processes.find_target(name, pid=pid)
    deadline = time.monotonic() + _UNPACKING_S
    while target.runtime is Runtime.FROZEN and target.libpython is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)  # a onefile program unpacks itself, and starts a child then
        target = processes.find_target(None, pid=target.pid)
    return target


def wait_for_target(name: str | None, pid: int | None, report: Report, *, oldest: bool = False) -> Target:
    """Wait until the process that is meant runs; without an end, as the user asked for.

    Args:
        name: As for `choose_target`, with `pid` and `oldest`.
        pid: See `name`.
        report: Told `waiting`.
        oldest: See `name`.

    Raises:
        Ambiguous: Several have that name.
    """
    if pid is not None:
        return choose_target(name, pid)
    if not processes.find_targets(name, missing_ok=True):
        report("waiting", name=name or "the plugin of this directory")
    while not processes.find_targets(name, missing_ok=True):
        time.sleep(_POLL_S)
    return choose_target(name, None, oldest=oldest)
