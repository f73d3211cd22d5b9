"""Keeps a plugin running as Grafana does: a look each second, a restart without back-off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from debugtool.devhost.hclog import LogLine
from debugtool.devhost.process import Launch, PluginProcess, start_plugin
from debugtool.errors import DebugtoolError

if TYPE_CHECKING:
    import grpc.aio

RESTART_POLL_S = 1.0
"""Source: Grafana's pkg/plugins/manager/process/process.go."""


class Reporter(Protocol):
    """Who tells the user what happens."""

    def event(self, event: str, **fields: object) -> None:
        """Tell of an event; names and fields are those of `debugtool run --json`."""

    def log(self, pid: int, line: LogLine) -> None:
        """Show a line of the plugin's log."""

    def failed(self, error: DebugtoolError, retry_s: float) -> None:
        """Tell that a restart failed and is tried again after `retry_s`."""


class PluginDown(Exception):
    """The plugin has ended and was not restarted yet."""


class Keeper:
    """Starts a plugin, restarts it when it has ended, and stops it. Belongs to one event loop.

    Args:
        launch: What to start, each time.
        reporter: Is told of `starting`, `started`, `exited`, `restarted`, `stopped`, and each log line.
        poll_s: How often to look whether it has ended.
    """

    def __init__(self, launch: Launch, reporter: Reporter, poll_s: float = RESTART_POLL_S) -> None:
        self._launch = launch
        self._reporter = reporter
        self._poll_s = poll_s
        self._process: PluginProcess | None = None
        # Held while the plugin starts: requests wait for it, as for Grafana's write lock.
        self._changing = asyncio.Lock()
        self._restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running plugin; None while there is none."""
        return None if self._process is None or self._process.has_ended else self._process.pid

    async def channel(self) -> grpc.aio.Channel:
        """Give the channel to the running plugin; waits while it starts.

        Raises:
            PluginDown: It has ended, and the next look at it comes later.
        """
        async with self._changing:
            if self._process is None or self._process.has_ended or self._process.connection is None:
                raise PluginDown
            return self._process.connection.channel

    async def start(self) -> None:
        """Start the plugin for the first time.

        Raises:
            DebugtoolError: As start_plugin; Grafana does not try again either.
        """
        await self._start("started")

    async def _start(self, event: str, **fields: object) -> None:
        async with self._changing:
            self._reporter.event("starting", executable=str(self._launch.executable))
            self._process = process = await start_plugin(self._launch, self._reporter.log)
        assert process.handshake is not None
        elapsed_ms = round(process.start_s * 1000, 1)
        self._reporter.event(
            event, pid=process.pid, address=process.handshake.grpc_address, elapsed_ms=elapsed_ms, **fields
        )

    async def keep(self) -> None:
        """Look after the plugin until cancelled."""
        loop = asyncio.get_running_loop()
        next_look = loop.time() + self._poll_s
        watch = asyncio.create_task(self._watch_end())
        try:
            while True:
                await asyncio.sleep(max(0.0, next_look - loop.time()))
                next_look = max(next_look + self._poll_s, loop.time())
                if watch.done() and await self._restart():
                    watch = asyncio.create_task(self._watch_end())
        finally:
            watch.cancel()

    async def _watch_end(self) -> None:
        """Tell of the process's end as soon as a host could see it."""
        assert self._process is not None
        ending = await self._process.wait_ended()
        self._reporter.event("exited", pid=self._process.pid, code=ending.code, signal=ending.signal)
        await self._process.release()

    async def _restart(self) -> bool:
        self._restarts += 1
        try:
            await self._start("restarted", restarts=self._restarts)
        except DebugtoolError as error:
            self._reporter.failed(error, self._poll_s)
            return False
        return True

    async def stop(self, force: asyncio.Event) -> None:
        """Stop the plugin; `keep` and `start` must have been cancelled before.

        Args:
            force: When set, the plugin is killed at once.
        """
        process, self._process = self._process, None
        if process is None:
            return
        if process.has_ended:
            await process.release()
            return
        ending = await process.stop(force)
        self._reporter.event("stopped", pid=process.pid, code=ending.code, signal=ending.signal)
