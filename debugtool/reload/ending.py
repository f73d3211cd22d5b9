"""Ending one process of a plugin, the gentlest way first."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass

from debugtool import devhost, processes, system
from debugtool.errors import ProcessGone, Refused, TimedOut, Unsupported
from debugtool.model import Target

SHUTDOWN_S = 3.0
"""How long Shutdown may go unanswered; go-plugin waits for ever, which a plugin at a breakpoint makes it do."""

GRACE_S = 2.0
"""How long a plugin may take to end after Shutdown. Source: go-plugin client.go, Kill."""

TERMINATE_S = 3.0
KILL_S = 10.0


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        by: `Shutdown`, `SIGTERM` or `SIGKILL`: what it ended after.
        steps_ms: How long each step took, milliseconds, in the order in which they were taken.
    """

    by: str
    steps_ms: dict[str, float]


async def end_instance(target: Target) -> Ending:
    """End a plugin's process: go-plugin's Shutdown, then SIGTERM, then SIGKILL.

    Args:
        target: The process that runs the plugin's code; a launcher above it ends with it.

    Raises:
        ProcessGone: It ended before anything was done.
        Refused: It is another user's.
        Unsupported: It is a debugger.
        TimedOut: It outlives SIGKILL, as in a system call that cannot be interrupted.
    """
    with system.opened_pidfd(target.pid) as pidfd:
        _check(target, pidfd)
        with system.announced_end(target):
            return await _end(target, pidfd)


async def _end(target: Target, pidfd: int) -> Ending:
    """Take the steps; see `end_instance`."""
    steps: dict[str, float] = {}
    for name, step in (("Shutdown", _shut_down), ("SIGTERM", _terminate), ("SIGKILL", _kill)):
        if name == "Shutdown" and not speaks_go_plugin(target):
            continue
        began = time.monotonic()
        has_ended = await step(target, pidfd)
        steps[name] = round((time.monotonic() - began) * 1000, 1)
        if has_ended:
            return Ending(name, steps)
    raise TimedOut(
        f"{target} has not ended.",
        why=f"It still runs {KILL_S:g} s after SIGKILL: the kernel keeps it in a system call.",
        next_step=f"See what it waits for, as root: cat /proc/{target.pid}/stack",
    )


def speaks_go_plugin(target: Target) -> bool:
    """Tell whether a process answers go-plugin's own calls on the address that it listens on."""
    address = target.grpc_address
    return address is not None and (target.plugin_id is not None or processes.is_go_plugin_socket(address))


def _check(target: Target, pidfd: int) -> None:
    """Make sure that the process which `pidfd` holds is the one that was found, and ours to end."""
    found = processes.find_target(None, pid=target.pid)
    if (found.pid, found.started_ticks) != (target.pid, target.started_ticks):
        raise ProcessGone(
            f"Process {target.pid} is gone.",
            why="It ended, and another one has its number.",
            next_step="List the running plugins: debugtool ps",
        )
    if processes.is_tool(target.command_line):
        raise Unsupported(
            f"{target} was left running.",
            why="It is a debugger, or debugtool itself, and no plugin.",
            next_step="Name the plugin: debugtool ps lists them",
        )
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except PermissionError:
        raise Refused(
            f"{target} was left running.",
            why=f"It is {target.user}'s, and the kernel lets only them and root end it.",
            next_step=f"Run this as {target.user}, or as root.",
        ) from None
    except ProcessLookupError:
        raise ProcessGone(
            f"{target} is gone.", why="It ended.", next_step="List the running plugins: debugtool ps"
        ) from None


async def _shut_down(target: Target, pidfd: int) -> bool:
    assert target.grpc_address is not None
    async with devhost.open_channel(target.grpc_address) as channel:
        answered = await devhost.request_shutdown(channel, SHUTDOWN_S)
    return await has_ended(pidfd, GRACE_S if answered else 0)


async def _terminate(target: Target, pidfd: int) -> bool:
    return await _signalled(pidfd, signal.SIGTERM, TERMINATE_S)


async def _kill(target: Target, pidfd: int) -> bool:
    return await _signalled(pidfd, signal.SIGKILL, KILL_S)


async def _signalled(pidfd: int, number: signal.Signals, timeout_s: float) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return True
    return await has_ended(pidfd, timeout_s)


async def has_ended(pidfd: int, timeout_s: float | None) -> bool:
    """Wait for the end of a process; False when it still runs after `timeout_s` (None: wait for ever)."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
