"""`debugtool run`: one plugin, its keeper and the HTTP API, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from debugtool.devhost.connection import import_grpc
from debugtool.devhost.datasources import DataSource, load_datasources
from debugtool.devhost.environment import plugin_environment
from debugtool.devhost.keeper import RESTART_POLL_S, Keeper, Reporter
from debugtool.devhost.process import START_TIMEOUT_S, Launch
from debugtool.errors import AddressInUse, DebugtoolError, NotFound, Refused
from debugtool.manifest import Manifest, artefact_path, find_manifest
from debugtool.system import listener_owner

if TYPE_CHECKING:
    from aiohttp import web

HOST = "127.0.0.1"
DEFAULT_PORT = 3001
"""Beside Grafana's own 3000, so that both can run."""

_HTTP_END_S = 0.5


@dataclass(frozen=True)
class HostRequest:
    """What `debugtool run` is asked to do.

    Attributes:
        manifest: The plugin.
        program: Its executable for this machine, absolute.
        port: TCP port of the HTTP API; 0 takes a free one.
        start_timeout_s: How long the plugin may take to its handshake.
        restart_poll_s: How often to look whether it has ended.
        forward_environment: Give the plugin our whole environment, as Grafana up to 12.3 did.
        variables: Environment variables for the plugin.
        provisioning: Provisioning file or directory; the project's own by default.
    """

    manifest: Manifest
    program: Path
    port: int = DEFAULT_PORT
    start_timeout_s: float = START_TIMEOUT_S
    restart_poll_s: float = RESTART_POLL_S
    forward_environment: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    provisioning: Path | None = None


def find_plugin(directory: Path) -> tuple[Manifest, Path]:
    """Find the plugin of a project, and its program for this machine.

    Raises:
        NotFound: There is no plugin.json, or no program.
        DebugtoolError: plugin.json is broken, or names no backend.
    """
    manifest = find_manifest(directory)
    if manifest is None:
        raise NotFound(
            f"There is no plugin.json in {directory.absolute()}.",
            why="It is looked for there, in src/ and dist/, and above.",
            next_step="Name the plugin's directory, or make a plugin: debugtool new my-datasource",
        )
    program = artefact_path(manifest)
    if program is None or not manifest.backend:
        lacks = "`executable`" if program is None else '`"backend": true`'
        raise DebugtoolError(
            f"The plugin {manifest.id} has no backend to start.",
            why=f"{manifest.path} has no {lacks}.",
            next_step='Add "backend": true and "executable" to plugin.json.',
        )
    if program.exists():
        return manifest, program
    built = manifest.project_root / "dist" / program.name
    if not built.exists():
        raise NotFound(
            f"There is no {built}.",
            why=f"Grafana starts exactly this file for the plugin {manifest.id}.",
            next_step="Build it: debugtool build --debug --editable",
        )
    return manifest, built


def run_host(request: HostRequest, reporter: Reporter, others: Sequence[int] = ()) -> int:
    """Start a plugin, serve the HTTP API, keep the plugin running until a signal, then stop it.

    Call it in the main thread: it takes over SIGINT, SIGTERM and SIGHUP for as long as it runs.

    Args:
        request: What to do.
        reporter: Is told what happens.
        others: Process ids of plugins that run from the same executable already.

    Returns:
        The signal that ended it.

    Raises:
        AddressInUse: The port is taken.
        DebugtoolError: The plugin's first start failed.
    """
    return asyncio.run(_serve(request, reporter, others))


async def _serve(request: HostRequest, reporter: Reporter, others: Sequence[int]) -> int:
    datasources = load_datasources(request.manifest, request.provisioning)
    environment = plugin_environment(os.environ, forward=request.forward_environment, extra=request.variables)
    keeper = Keeper(Launch(request.program, environment, request.start_timeout_s), reporter, request.restart_poll_s)
    with _listening_socket(request.port) as listener, _signals() as signals:
        if others:
            reporter.event("running_already", pids=list(others))
        # The plugin takes its time to start: enough to import what is needed then.
        preload = asyncio.create_task(asyncio.to_thread(_import_servers))
        try:
            started = await _unless_signalled(keeper.start(), signals)
            await preload
            if started:
                async with _http_server(request.manifest, datasources, keeper, listener):
                    port = listener.getsockname()[1]
                    url = f"http://{HOST}:{port}"
                    reporter.event("listening", host=HOST, port=port, url=url, uid=datasources[0].uid)
                    # The first query needs it, and takes a third of a second to import it.
                    arrow = asyncio.create_task(asyncio.to_thread(importlib.import_module, "pyarrow.ipc"))
                    await _unless_signalled(keeper.keep(), signals)
                    reporter.event("stopping")
                    await arrow
        finally:
            await keeper.stop(signals.again)
    return signals.first or signal.SIGTERM


def _import_servers() -> None:
    import_grpc()
    importlib.import_module("debugtool.devhost.http_api")


class _Signals:
    """The signals that came: `once` after the first, `again` after the second."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.once = asyncio.Event()
        self.again = asyncio.Event()

    def arrived(self, number: int) -> None:
        if self.first is None:
            self.first = number
            self.once.set()
        else:
            self.again.set()


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    loop, signals = asyncio.get_running_loop(), _Signals()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, signals.arrived, number)
    try:
        yield signals
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _unless_signalled(work: Coroutine[object, object, None], signals: _Signals) -> bool:
    """Do the work until it ends or a signal comes; False when a signal came first."""
    task, signalled = asyncio.create_task(work), asyncio.create_task(signals.once.wait())
    try:
        await asyncio.wait([task, signalled], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        signalled.cancel()
        task.cancel()
        await asyncio.gather(task, signalled, return_exceptions=True)


@contextlib.contextmanager
def _listening_socket(port: int) -> Iterator[socket.socket]:
    """Take the port before the plugin starts: whoever connects meanwhile waits, as for a plugin that starts."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except PermissionError:
            raise Refused(
                f"Could not listen on port {port}.",
                why="Ports below 1024 are for the superuser.",
                next_step="Choose another: --port 3001, or --port 0 for a free one",
            ) from None
        except OSError as error:
            raise _port_taken(port, error) from error
        yield listener


def _port_taken(port: int, error: OSError) -> AddressInUse:
    owner = listener_owner(port)
    by = f" by pid {owner.process.pid} ({owner.process.name})" if owner and owner.process else ""
    return AddressInUse(
        f"Could not listen on {HOST}:{port}.",
        why=f"{error.strerror}{by}.",
        next_step="Choose another port: --port 0 takes a free one",
    )


@contextlib.asynccontextmanager
async def _http_server(
    manifest: Manifest, datasources: Sequence[DataSource], keeper: Keeper, listener: socket.socket
) -> AsyncIterator[web.AppRunner]:
    from aiohttp import web

    from debugtool.devhost.http_api import make_app

    # handler_cancellation: a client that goes away cancels its call in the plugin, as with Grafana.
    runner = web.AppRunner(
        make_app(manifest, datasources, keeper),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_HTTP_END_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield runner
    finally:
        await runner.cleanup()
