"""The processes of one plugin that one host starts, one after the other."""

from __future__ import annotations

import asyncio

from debugtool import processes
from debugtool.model import Target
from debugtool.reload.host import HostRef

_POLL_S = 0.05


class Instances:
    """Looks for the process that comes after another one: the same plugin, started later by the same host.

    Make it while the earlier one runs: what runs beside that already is no successor.

    Args:
        target: The process that runs now.
        host: Who started it.
    """

    def __init__(self, target: Target, host: HostRef) -> None:
        self._host = host
        self._name = target.plugin_id or target.name
        self._user = target.uid
        self._known = {(found.pid, found.started_at) for found in self._running()}

    def _running(self) -> list[Target]:
        found = processes.find_targets(self._name, missing_ok=True)
        return [one for one in found if one.uid == self._user and (one.host.pid if one.host else 1) == self._host.pid]

    async def next_one(self) -> Target | None:
        """Wait for the successor; None when the host has ended, and with it the hope for one."""
        while True:
            running = await asyncio.to_thread(self._running)
            for found in reversed(running):
                if (found.pid, found.started_at) not in self._known:
                    return found
            if not self._host.is_running:
                return None
            await asyncio.sleep(_POLL_S)
