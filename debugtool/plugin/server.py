"""Runs the gRPC server of a plugin from its first socket to its last thread.

Why gRPC's threaded server and not `grpc.aio`. Measured with go-plugin's client (QueryData, a ready 1,000-row frame, two
cores; calls per second at 1, 8 and 32 callers): threads 1,250-1,330, 2,190-2,240, 2,160-3,560; aio that hands plain
handlers to a thread pool 900-980, 1,630-1,800, 1,780-1,940; aio with handlers on the loop itself 1,220, 1,990, 2,370.
Handlers are mostly plain functions, each of which needs a thread in either design, and the loop adds two hops between
threads to each call. Plain threads are also what a debugger handles best.

What the threaded server lacks is a way past busy workers. gRPC's own attributes `experimental_thread_pool` and
`experimental_non_blocking` on a handler give it: Shutdown and health have two threads of their own, the calls that a
host keeps open for ever (stdio and broker) none at all. The tests hold every worker and then stop the plugin.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# gRPC's C library writes plain text to stderr; a host shows it at debug level only.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc

from debugtool.plugin import handshake, stdout
from debugtool.plugin.debugger import stop_at_start
from debugtool.plugin.ending import Ending
from debugtool.plugin.handshake import HostSettings
from debugtool.plugin.host_services import HostServices
from debugtool.plugin.listener import Address, listen
from debugtool.plugin.registry import Pools, generic_handlers
from debugtool.plugin.service_threads import hide_current_thread, hide_from_debugger
from debugtool.plugin.serving import Options

_log = logging.getLogger("plugin")

_STREAMS = 1000  # live streams at the same time; threads are made as they are needed
_CONTROL_THREADS = 2
_SERVER_STOP_S = 0.5


def run(plugin: Any, settings: HostSettings, options: Options) -> None:
    """Serve a plugin until the host stops it, SIGTERM comes, or the host is gone.

    Raises:
        StartRefused: There is nowhere to listen.
        OSError: The handshake cannot be written.
    """
    ending = Ending()
    ending.begin_on_signals()
    if options.end_with_host:
        ending.begin_with_host()
    may_serve = threading.Event()
    pools = Pools(
        workers=ThreadPoolExecutor(options.workers, "plugin-worker", initializer=may_serve.wait),
        streams=ThreadPoolExecutor(_STREAMS, "plugin-stream", initializer=may_serve.wait),
        control=ThreadPoolExecutor(_CONTROL_THREADS, "plugin-control", initializer=hide_current_thread),
    )
    server = grpc.server(
        pools.workers,
        handlers=generic_handlers(plugin, HostServices(ending.begin), pools),
        options=[
            ("grpc.max_receive_message_length", options.max_receive_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # else two plugins could share a TCP port without noticing
        ],
    )
    address = listen(settings, server.add_insecure_port)
    ending.last_act = address.remove
    try:
        _start_hidden(server)
        _announce(settings, address)
        stop_at_start()
        may_serve.set()
        ending.wait()
    finally:
        may_serve.set()
        ending.begin()  # it has, unless we could not even start
        _finish(plugin, server, pools, address)


def _announce(settings: HostSettings, address: Address) -> None:
    version, bad = handshake.negotiate(settings.offered)
    if bad:
        _log.warning("PLUGIN_PROTOCOL_VERSIONS has items that are no numbers: %s", ", ".join(bad))
    line = handshake.handshake_line(version, address.network, address.address, multiplex=settings.multiplex)
    stdout.send_handshake(line)


def _start_hidden(server: grpc.Server) -> None:
    """Start the server and hide the thread it makes, which hands out all calls, from debuggers."""
    before = set(threading.enumerate())
    server.start()
    for thread in set(threading.enumerate()) - before:
        hide_from_debugger(thread)


def _finish(plugin: Any, server: grpc.Server, pools: Pools, address: Address) -> None:
    """End all calls and let the plugin close."""
    server_stopped = server.stop(None)  # as go-plugin does: open calls break, and their contexts are cancelled
    address.remove()
    with _logged("close"):
        getattr(plugin, "close", _nothing)()
    server_stopped.wait(_SERVER_STOP_S)
    for pool in (pools.workers, pools.streams, pools.control):
        pool.shutdown(wait=False, cancel_futures=True)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _logged(name: str) -> Any:
    try:
        yield
    except Exception:  # an author's close() may raise anything, and the process must end all the same
        _log.exception("%s failed", name)
