"""The attach to a Go plugin: how long it takes, and how long the plugin answers nobody, beside bare delve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
from dap_client import DapClient

from benchmarks.caller import call
from benchmarks.measure import Row, Table, say
from benchmarks.processes import CACHE, LIMIT_S, ROOT, attached, ended, read_line
from debugtool.builds.go_build import DEBUG_FLAGS
from debugtool.debuggers.delve_rpc import DelveError, DelveRpc
from debugtool.devhost.environment import plugin_environment
from debugtool.devhost.handshake import grpc_target, parse_handshake
from debugtool.plugin.proto import backend_pb2_grpc

_PEER = "dlv attach --headless"
_BUILD_S = 600


def build_debug_plugin(go: str) -> Path:
    """Build tests/gohost/cmd/sdkplugin as `debugtool build --debug` builds; seconds when it was built before."""
    program = CACHE / "sdkplugin-debug"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", *DEBUG_FLAGS, "-o", str(program), "./cmd/sdkplugin"]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(command, cwd=ROOT / "tests" / "gohost", env=environment, check=True, timeout=_BUILD_S)
    return program


class _Asker:
    """Asks a plugin for data, one query after the other, and notes how long the longest took."""

    def __init__(self, address: str) -> None:
        self._stub = backend_pb2_grpc.DataStub(grpc.insecure_channel(address))
        self._latencies: list[float] = []
        self._over = threading.Event()
        call(self._stub, 50, [])
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._over.is_set():
            call(self._stub, 1, self._latencies)

    def longest_ms(self) -> float:
        """Give the longest answer since the last call, that under way included."""
        seen = len(self._latencies)
        while len(self._latencies) == seen:
            time.sleep(0.001)
        taken, self._latencies[:] = list(self._latencies), []
        return max(taken)

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()


@contextlib.contextmanager
def _plugin(program: Path) -> Iterator[tuple[int, _Asker]]:
    """Run the plugin as Grafana does, and ask it all the while; gives its pid."""
    quiet = subprocess.DEVNULL
    variables = plugin_environment(os.environ)
    process = subprocess.Popen([program], env=variables, bufsize=0, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet)
    with ended(process):
        asker = _Asker(grpc_target(parse_handshake(read_line(process)).grpc_address))
        try:
            yield process.pid, asker
        finally:
            asker.stop()


def by_debugtool(program: Path, directory: Path) -> tuple[float, float, float]:
    """Give the ms to a verified DAP listener, and the plugin's longest answers during the attach and the detach."""
    with _plugin(program) as (pid, asker):
        began = time.perf_counter()
        with attached(pid, directory) as session:
            with DapClient(session.wait_for("ready")["port"]) as editor:
                editor.initialize()
                elapsed_ms = (time.perf_counter() - began) * 1000
            attach_gap = asker.longest_ms()
            session.stop()
        return elapsed_ms, attach_gap, asker.longest_ms()


def by_delve(program: Path, directory: Path, dlv: str) -> tuple[float, float, float]:
    """Give the same of bare delve: its listener is one from when it answers that the plugin runs."""
    socket = directory / "bare.sock"
    command = [dlv, "attach", "", "--headless", "--accept-multiclient", "--continue", "--listen", f"unix:{socket}"]
    quiet = subprocess.DEVNULL
    with _plugin(program) as (pid, asker):
        command[2] = str(pid)
        began = time.perf_counter()
        process = subprocess.Popen(command, bufsize=0, stdin=quiet, stdout=quiet, stderr=quiet)
        try:
            asyncio.run(_until_running(socket))
            elapsed_ms = (time.perf_counter() - began) * 1000
            attach_gap = asker.longest_ms()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(LIMIT_S)
        return elapsed_ms, attach_gap, asker.longest_ms()


async def _until_running(socket: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(DelveError):
                async with DelveRpc(socket) as rpc:
                    if await rpc.is_running():
                        return
            await asyncio.sleep(0.005)


def run(rounds: int) -> list[Row]:
    """Measure both in turn, each time on a fresh plugin; no rows on a machine without Go or delve."""
    go, dlv = shutil.which("go"), shutil.which("dlv")
    if go is None or dlv is None:
        say("attach: Go plugins are left out: they need go and dlv (scripts/get-delve)")
        return []
    program = build_debug_plugin(go)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        for turn in range(rounds + 1):
            say(f"attach: Go, {f'round {turn} of {rounds}' if turn else 'first attach, not counted'}")
            for name, figures in (
                ("ours", by_debugtool(program, Path(directory))),
                ("delve", by_delve(program, Path(directory), dlv)),
            ):
                for what, figure in zip(("ms", "attach gap", "detach gap"), figures, strict=True):
                    if turn:
                        table.add(f"{name} {what}", figure)
    return [
        Row("Go attach, to the verified listener", "ms", table["ours ms"], _PEER, table["delve ms"], at_most=1.3),
        Row("Go longest answer, attach", "ms", table["ours attach gap"], _PEER, table["delve attach gap"]),
        Row("Go longest answer, detach", "ms", table["ours detach gap"], _PEER, table["delve detach gap"]),
    ]
