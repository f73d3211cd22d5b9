"""The processes of one plugin that one host starts, one after the other."""

from __future__ import annotations

import asyncio

from debugtool.model import Target
from debugtool.processes import SuccessorFinder
from debugtool.reload.host import HostRef


class Instances:
    """Waits for the process that comes after another one.

    Make it while the earlier one runs: what runs beside that already is no successor.

    Args:
        target: The process that runs now.
        host: Who started it.
    """

    def __init__(self, target: Target, host: HostRef) -> None:
        self._host = host
        self._finder = SuccessorFinder(target)

    async def next_one(self) -> Target | None:
        """Wait for the successor; None when the host has ended, and with it the hope for one."""
        while self._host.is_running:
            found = await asyncio.to_thread(self._finder.look)
            if found is not None:
                return found
            await asyncio.sleep(self._finder.pause_s)
        return None
