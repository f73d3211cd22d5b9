"""One plugin process: started, followed and stopped as go-plugin does it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from debugtool.devhost import start_failures
from debugtool.devhost.connection import PluginConnection
from debugtool.devhost.handshake import Handshake, HandshakeRefused, parse_handshake
from debugtool.devhost.hclog import LogLine
from debugtool.devhost.pipes import PluginOutput

START_TIMEOUT_S = 60.0
"""Source: go-plugin client.go, StartTimeout; Grafana does not change it."""

GRACE_S = 2.0
"""How long a plugin may take to end after Shutdown. Source: go-plugin client.go, Kill."""

SHUTDOWN_LIMIT_S = 30.0
"""How long to wait for Shutdown's answer: go-plugin waits for ever, but Grafana's own end takes no longer than this."""

_HELD_PIPE_WARNING_S = 1.0
_EXIT_AFTER_EOF_S = 0.5


@dataclass(frozen=True)
class Launch:
    """What to start.

    Attributes:
        executable: Absolute path; run directly, with no arguments and no shell.
        environment: The whole environment of the process.
        start_timeout_s: How long the handshake may take.
    """

    executable: Path
    environment: Mapping[str, str]
    start_timeout_s: float = START_TIMEOUT_S


@dataclass(frozen=True)
class ProcessExit:
    """How a process ended: by itself with `code`, or by `signal` (a number); the other one is None."""

    code: int | None
    signal: int | None

    @classmethod
    def from_returncode(cls, returncode: int) -> ProcessExit:
        """Read what subprocess calls a return code."""
        return cls(None, -returncode) if returncode < 0 else cls(returncode, None)

    def __str__(self) -> str:
        return start_failures.exit_words(self.code, self.signal)


class PluginProcess:
    """A plugin process. Made by start_plugin; belongs to one event loop.

    Attributes:
        pid: Its process id.
        handshake: Where it listens.
        output: Its pipes.
        connection: The gRPC connection, from the handshake to the end.
        start_s: Time from the start to the handshake.
    """

    def __init__(self, popen: subprocess.Popen[bytes], on_log: Callable[[LogLine], None]) -> None:
        assert popen.stdout is not None and popen.stderr is not None
        self._popen = popen
        self.pid = popen.pid
        self.output = PluginOutput(popen.stdout, popen.stderr, on_log)
        self.handshake: Handshake | None = None
        self.connection: PluginConnection | None = None
        self.start_s = 0.0
        self._exit = asyncio.create_task(asyncio.to_thread(popen.wait))
        self._ended = asyncio.create_task(self._wait_for_end())

    async def _wait_for_end(self) -> ProcessExit:
        """Wait as go-plugin does: for the process, and for the end of both its pipes."""
        code = await self._exit
        done, _ = await asyncio.wait([self.output.ended], timeout=_HELD_PIPE_WARNING_S)
        if not done:
            self.output.note(
                "warn",
                f"pid {self.pid} has ended, but {self.output.holders()} holds its stdout or stderr; until that ends"
                " too, a host does not notice: give children their own stdout and stderr",
            )
        await self.output.ended
        return ProcessExit.from_returncode(code)

    def connect(self, handshake: Handshake) -> None:
        """Open the gRPC connection."""
        self.handshake = handshake
        self.connection = PluginConnection(handshake.grpc_address, self._take_stdio, self._nobody_answers)

    def _take_stdio(self, text: str, is_stderr: bool) -> None:
        for line in text.splitlines():
            stream = "stderr" if is_stderr else "stdout"
            self.output.note("debug", line, stream=stream, note="Grafana drops what comes over GRPCStdio")

    def _nobody_answers(self) -> None:
        assert self.handshake is not None
        self.output.note(
            "warn",
            f"pid {self.pid} announced {self.handshake.grpc_address}, but nobody answers there: serve before you print"
            " the handshake, and until you end",
        )

    @property
    def has_ended(self) -> bool:
        """Whether the process has gone and both its pipes are closed: what a host's check sees."""
        return self._ended.done()

    async def wait_ended(self) -> ProcessExit:
        """Wait until has_ended."""
        return await asyncio.shield(self._ended)

    async def wait_exit(self, timeout_s: float) -> ProcessExit | None:
        """Wait for the process alone, whoever holds its pipes; None when it still runs after `timeout_s`."""
        done, _ = await asyncio.wait([self._exit], timeout=timeout_s)
        return ProcessExit.from_returncode(self._exit.result()) if done else None

    async def release(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            await self.connection.close()
            self.connection = None

    async def kill(self) -> ProcessExit:
        """SIGKILL it, wait for it, and let go of its pipes (after GRACE_S, if a child of it still holds them)."""
        await self.release()
        if not self._exit.done():
            self._popen.kill()
        code = await self._exit
        await asyncio.wait([self._ended], timeout=GRACE_S)
        self.output.ended.cancel()
        self._ended.cancel()
        await asyncio.gather(self.output.ended, self._ended, return_exceptions=True)
        return ProcessExit.from_returncode(code)

    async def stop(self, force: asyncio.Event) -> ProcessExit:
        """End it as go-plugin's Kill does: Shutdown, 2 s, SIGKILL.

        Args:
            force: When set, go to SIGKILL at once.
        """
        forced = asyncio.create_task(force.wait())
        try:
            if self.connection is not None and await self._shutdown(self.connection, forced):
                await self.release()
                await asyncio.wait([self._exit, forced], timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forced.cancel()
        return await self.kill()

    async def _shutdown(self, connection: PluginConnection, forced: asyncio.Task[bool]) -> bool:
        """Call Shutdown; False when there was no answer before SHUTDOWN_LIMIT_S or the user's force."""
        call = asyncio.create_task(connection.request_shutdown())
        await asyncio.wait([call, self._exit, forced], timeout=SHUTDOWN_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        answered = call.done() or self._exit.done()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return answered


async def start_plugin(launch: Launch, on_log: Callable[[int, LogLine], None]) -> PluginProcess:
    """Start a plugin, read its handshake and connect to it.

    Args:
        launch: What to start.
        on_log: Called with the process id and each line the plugin logs, from its start on.

    Raises:
        NotFound: There is no such executable.
        Refused: It may not be run.
        TimedOut: It printed no handshake within the start limit.
        DebugtoolError: It could not be run, ended, or printed something else; whatever ran has been killed.
    """
    begin = time.monotonic()
    popen = _spawn(launch)
    process = PluginProcess(popen, lambda line: on_log(popen.pid, line))
    try:
        handshake = await _read_handshake(process, launch)
        process.start_s = time.monotonic() - begin
        process.connect(handshake)
    except BaseException:  # also when we are cancelled: nothing that we started is left behind
        await process.kill()
        raise
    return process


def _spawn(launch: Launch) -> subprocess.Popen[bytes]:
    """Run the executable: own stdin, two pipes, same directory and process group. Source: go-plugin, cmdrunner."""
    try:
        return subprocess.Popen(
            [launch.executable], env=dict(launch.environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
    except OSError as error:
        raise start_failures.exec_refused(launch.executable, error) from error


async def _read_handshake(process: PluginProcess, launch: Launch) -> Handshake:
    path, pid, output = launch.executable, process.pid, process.output
    await asyncio.wait([output.first_line], timeout=launch.start_timeout_s)
    if not output.first_line.done():
        await process.kill()
        raise start_failures.start_timed_out(path, pid, launch.start_timeout_s, output.partial_line, output.stderr_tail)
    line = output.first_line.result()
    if line is None:
        ending = await process.wait_exit(_EXIT_AFTER_EOF_S)
        await process.kill()
        raise start_failures.no_handshake(path, pid, str(ending) if ending else None, output.stderr_tail)
    try:
        return parse_handshake(line)
    except HandshakeRefused as refused:
        await process.kill()
        raise start_failures.bad_handshake(path, pid, refused.reason, refused.next_step, output.stderr_tail) from None
