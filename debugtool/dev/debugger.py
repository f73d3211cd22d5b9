"""The debugger's one session: it follows the plugin from process to process, on one port from the first to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from debugtool.dev.child import Child, Event
from debugtool.session import Report

_TOLD = frozenset({"launch_json", "client", "rearm_failed", "error", "paused", "pause_limit", "let_go", "continued"})


class Debugger:
    """`debugtool attach` as a child.

    Args:
        port: Where the editor connects; 0 takes a free one, once.
        options: Further options of `debugtool attach`.
        report: Told of its events.
        on_rearmed: Called with the fields of its `rearmed` events.
    """

    def __init__(
        self, port: int, options: Sequence[str], report: Report, on_rearmed: Callable[[dict[str, Any]], None]
    ) -> None:
        self._port = port
        self._options = options
        self._report = report
        self._on_rearmed = on_rearmed
        self._child: Child | None = None
        self._is_stopping = False
        self._ready: asyncio.Future[dict[str, Any]] | None = None

    @property
    def is_attached(self) -> bool:
        """Whether the session is there: what the host starts from now on gets the debugger by itself."""
        return self._child is not None and not self._child.has_ended

    async def attach(self, pid: int) -> dict[str, Any]:
        """Begin the session with this process.

        Returns:
            The fields of attach's `ready` event.

        Raises:
            DebugtoolError: It cannot be attached to, or the port is taken.
        """
        await self.stop()
        self._is_stopping = False
        self._ready = asyncio.get_running_loop().create_future()
        # A person who saves often is no crash loop.
        arguments = ["attach", "--pid", str(pid), "--port", str(self._port), "--no-pause", *self._options]
        self._child = child = await Child.start(arguments, self._take)
        waits: list[asyncio.Future[Any]] = [self._ready, asyncio.ensure_future(child.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise child.failure()
        ready = self._ready.result()
        self._port = ready["port"]
        return ready

    def _take(self, event: Event) -> None:
        name, fields = event["event"], {key: event[key] for key in event if key not in ("event", "time")}
        assert self._ready is not None
        if name == "ready":
            self._ready.set_result(fields)
        elif name == "rearmed":
            self._on_rearmed(fields)
        elif self._is_told(name, self._ready.done()):
            self._report(name, **fields)

    def _is_told(self, name: str, is_ready: bool) -> bool:
        if name == "detached":
            return not self._is_stopping  # by debugtool detach, then
        return name in _TOLD and (is_ready or name != "error")  # before, `attach` raises it

    async def stop(self) -> None:
        """Detach."""
        self._is_stopping = True
        if self._child is not None:
            await self._child.stop()
            self._child = None
