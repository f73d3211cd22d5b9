"""What the guard of a delve does once that is started: waits for it, and makes it let go at the end of the session.

Up to where delve has the target nothing needs an event loop, which would take as long to import as a quarter of delve's
attach, from one of two cores.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from debugtool.system import has_ended, process_state, tracer_of

_POLL_S = 0.003
_LOOK_S = 0.05
_CALL_S = 3.0
_EXIT_S = 10.0
_INPUT = 0


class _Target:
    """The process that is debugged: a pid, with the start time that makes it this one."""

    def __init__(self, pid: int, started_ticks: int) -> None:
        self.pid = pid
        self._started_ticks = started_ticks

    def has_ended(self) -> bool:
        """Tell whether it is gone, or a zombie. One that delve holds is a zombie until delve is gone, too."""
        return has_ended(self.pid, self._started_ticks)


class _Delve:
    """A headless delve, with its socket and its log in a directory."""

    def __init__(self, pid: int, target: _Target, directory: Path) -> None:
        self.pid = pid
        self.target = target
        self.address = directory / "delve.sock"
        self._log = directory / "delve.log"
        self._mark = directory / "attached"  # for a guard that takes over: by then the target may stand still for long
        self._is_collected = False

    def words(self) -> str:
        """Give what it said, without the lines it says to everybody."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.strip() and "API server listening" not in line)

    def has_ended(self) -> bool:
        """Tell whether it is gone."""
        if not self._is_collected:
            try:
                self._is_collected = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:  # another guard's, which was killed
                self._is_collected = process_state(self.pid) in "XZ"
        return self._is_collected

    def has_attached(self) -> bool:
        """Tell whether it was said before that the target runs under it, by a guard that was killed since."""
        return self._mark.exists()

    def note_attached(self) -> None:
        """Remember that it was said."""
        self._mark.touch(0o600)

    def attach(self) -> float | None:
        """Wait until the target runs under it; give how long that stood still, in ms, None if delve gave up.

        Its socket listens long before. A client that speaks DAP to it by then breaks it, so it is asked by JSON-RPC.
        """
        stopped_at: float | None = None
        while not self.has_ended() and not self.target.has_ended():
            if stopped_at is None and tracer_of(self.target.pid) == self.pid:
                stopped_at = time.monotonic()
            if stopped_at is not None and self._is_running():
                return (time.monotonic() - stopped_at) * 1000
            time.sleep(_POLL_S)
        return None

    def _is_running(self) -> bool:
        """Ask it whether the target runs; it answers once it has read the program's debug information."""
        call = {"method": "RPCServer.State", "params": [{"NonBlocking": True}], "id": 1}
        try:
            with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as answers:
                connection.settimeout(_CALL_S)
                connection.connect(str(self.address))
                connection.sendall(json.dumps(call).encode() + b"\n")
                return json.loads(answers.readline())["result"]["State"]["Running"] is True
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def let_go(self) -> None:
        """Make it detach and wait for its end; the target runs on.

        It is never killed while it holds a target that lives.
        """
        if self.target.has_ended():
            self._signal(signal.SIGKILL)
        elif not self.has_ended():
            self._detach()
        self._wait_for_end()
        if self.target.has_ended():
            self._signal(signal.SIGKILL)
            self._wait_for_end()
        elif process_state(self.target.pid) == "T":  # a stop that delve asked for, and that came after its detach
            os.kill(self.target.pid, signal.SIGCONT)

    def _detach(self) -> None:
        import asyncio

        from debugtool.debuggers.delve_rpc import DelveError, detach

        try:
            asyncio.run(detach(self.address, self.target.pid))
        except DelveError:
            self._signal(signal.SIGTERM)  # no client is left: it halts the target and detaches by itself

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_ended():  # its pid may be another's by then
            os.kill(self.pid, number)

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + _EXIT_S
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def find_left_delve(directory: str | Path) -> int | None:
    """Find the delve of a guard that was killed, by its last word and where it is; give its pid."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            is_delve = entry.name.isdigit() and (entry / "cmdline").read_bytes().endswith(b"\0unix:delve.sock\0")
            if is_delve and (entry / "cwd").samefile(directory):
                return int(entry.name)
    return None


def import_the_rest() -> None:
    """Import what the detach needs: at the end of a session there may be another version of it, or none."""
    import asyncio  # noqa: F401

    import debugtool.debuggers.delve_rpc  # noqa: F401


def _say(event: str, **fields: object) -> None:
    with suppress(OSError):  # debugtool is gone, and nobody reads it
        print(json.dumps({"event": event, **fields}), flush=True)


def _wait_until_over(delve: _Delve) -> None:
    """Wait until debugtool closes its end of our input or is gone, or until delve or the target ends."""
    while not (delve.has_ended() or delve.target.has_ended()):
        said, _, _ = select.select([_INPUT], [], [], _LOOK_S)
        if said and not os.read(_INPUT, 4096):
            return


def hold(delve_pid: int, pid: int, started_ticks: int, directory: str) -> None:
    """Say when the target runs under delve, wait for the end of the session, make delve let go, and say so.

    Args:
        delve_pid: delve, just started, or left by a guard that was killed.
        pid: The target.
        started_ticks: Its start time (`system.start_ticks`).
        directory: Where delve listens on `delve.sock`, soon, and what it says is in `delve.log`.
    """
    delve = _Delve(delve_pid, _Target(pid, started_ticks), Path(directory))
    if not delve.has_attached() and (stall_ms := delve.attach()) is not None:
        _say("attached", delve=delve.pid, socket=str(delve.address), stall_ms=round(stall_ms, 1))
        delve.note_attached()
    if delve.has_attached():
        import_the_rest()
        _wait_until_over(delve)
    ended_by_itself = delve.has_ended()
    delve.let_go()
    if delve.target.has_ended():
        _say("exited")
    elif ended_by_itself or not delve.has_ended():
        _say("failed", words=delve.words())
    else:
        _say("detached")
