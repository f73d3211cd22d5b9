"""Starting a plugin once, to see that it starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from debugtool.devhost.environment import plugin_environment
from debugtool.devhost.process import START_TIMEOUT_S, Launch, start_plugin


def try_start(executable: Path, timeout_s: float = START_TIMEOUT_S) -> float:
    """Start a plugin as Grafana does, with no environment but the host's own, wait for its handshake and end it.

    Returns:
        Seconds from the start to the handshake line.

    Raises:
        DebugtoolError: It did not start, as `start_plugin` says; `details["stderr"]` has its last lines.
    """
    return asyncio.run(_start_and_stop(Launch(executable, plugin_environment({}), timeout_s)))


async def _start_and_stop(launch: Launch) -> float:
    process = await start_plugin(launch, lambda pid, line: None)
    try:
        return process.start_s
    finally:
        await process.stop(asyncio.Event())
