"""Our end of the control channel: the private unix socket on which the payload inside a target takes its orders."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
from types import TracebackType
from typing import Any

from debugtool import system
from debugtool.debuggers.meeting_place import MeetingPlace
from debugtool.debuggers.tasks import Tasks
from debugtool.errors import DebugtoolError, ProcessGone, TimedOut, Unsupported
from debugtool.model import Target
from debugtool.plugin.agent import payload

PROTOCOL = payload.PROTOCOL
_MOST_UNASKED = 16  # answers that wait to be taken: each belongs to an order, and one order is given at a time


class ControlChannel:
    """Our end of the connection with the payload inside a target.

    An asynchronous context manager: whoever waits at the meeting place is answered inside the block, and the place is
    removed at its end. Only the target's process gets past the door: its pid and user by the kernel's word
    (SO_PEERCRED), and the session's token.

    Args:
        target: The process to be debugged.
        place: Where its payload finds us.

    Attributes:
        place: See above.
        gone: Set once the payload's end is closed.
    """

    def __init__(self, target: Target, place: MeetingPlace) -> None:
        self.target = target
        self.place = place
        self.gone = asyncio.Event()
        self._hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._asking = asyncio.Lock()
        self._owed = 0  # orders that the payload has not answered; it answers each once, one after the other
        self._tasks = Tasks()

    async def __aenter__(self) -> ControlChannel:
        self._server = await asyncio.start_unix_server(
            lambda reader, writer: self._tasks.start(self._accept(reader, writer)), sock=self.place.listener
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        if self._writer:
            self._writer.close()
        await self._tasks.close(grace_s=1)
        system.fault_point("channel_closed")
        self.place.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            first = _read_event(await asyncio.wait_for(reader.readline(), 10))
            proof = str(first.get("token")).encode(errors="replace")
            welcome = (
                self._writer is None
                and pid == self.target.pid
                and uid == self.target.uid
                and secrets.compare_digest(proof, self.place.token.encode())
            )
            if not welcome or self._hello.done():
                return
            if first["event"] == "hello":
                self._writer = writer
            self._hello.set_result(first)
            while self._answers.qsize() < _MOST_UNASKED and (line := await reader.readline()):
                self._answers.put_nowait(_read_event(line))
        except (ValueError, TimeoutError, OSError):
            pass
        finally:
            writer.close()
            if writer is self._writer:
                self.gone.set()
                self._answers.put_nowait({"event": "gone"})

    def hang_up(self) -> None:
        """Close the connection: the target has ended, though a child that it forked may hold its end open."""
        self.gone.set()
        self._answers.put_nowait({"event": "gone"})
        if self._writer:
            self._writer.close()

    async def wait_for_payload(self, timeout_s: float) -> None:
        """Wait until the payload inside the target has connected.

        Raises:
            TimedOut: It did not.
            Unsupported: The program has no threads of the kind that can be debugged.
            DebugtoolError: It failed inside the target; the message has its traceback.
        """
        try:
            hello = await asyncio.wait_for(asyncio.shield(self._hello), timeout_s)
        except TimeoutError as error:
            raise TimedOut(
                f"The debugger inside {self.target} did not answer within {timeout_s:g} s.",
                why="the payload was started but its thread got no turn: the program holds the GIL, or it is stopped",
                next_step="try again; debugtool ps shows whether it still runs",
            ) from error
        if hello["event"] != "hello":
            raise self.failure("starting the payload", hello)
        if hello.get("protocol") != PROTOCOL:
            raise Unsupported(
                f"The debug agent in {self.target} speaks protocol {hello.get('protocol')}.",
                why=f"this debugtool speaks protocol {PROTOCOL}",
                next_step="rebuild the plugin with this version of debugtool",
            )
        if green := hello.get("green"):
            raise Unsupported(
                f"Cannot debug {self.target}.",
                why=f"{green} has made greenlets of its threads (monkey patching), in which no breakpoint is hit",
                next_step=f"start it without {green}, gunicorn with --worker-class gthread for one, and attach to that",
            )

    async def ask(self, do: str, expect: str, *, timeout_s: float, **fields: object) -> dict[str, Any]:
        """Give the payload an order and wait for its answer.

        Args:
            do: The order; `fields` its parameters.
            expect: The event that means it was carried out.
            timeout_s: How long to wait for it.
            fields: See `do`.

        Raises:
            ProcessGone: The payload's end is closed.
            TimedOut: No answer in time.
            DebugtoolError: It failed inside the target; the message has its traceback.
        """
        async with self._asking:
            if self._writer is None or self.gone.is_set():
                raise ProcessGone(f"Pid {self.target.pid} ({self.target.name}) is gone, or has been let go.")
            self.tell(do, **fields)
            system.fault_point(f"asked_{do}")
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._last_answer()
            except TimeoutError as error:
                raise TimedOut(
                    f"The debugger inside {self.target} did not answer within {timeout_s:g} s.",
                    why=f"it was asked to {do}",
                    next_step="end the session with debugtool detach and attach again",
                ) from error
        if answer["event"] == "gone":
            raise ProcessGone(f"Pid {self.target.pid} ({self.target.name}) ended.", why=f"while it was asked to {do}")
        if answer["event"] != expect:
            raise self.failure(do, answer)
        return answer

    def tell(self, do: str, **fields: object) -> None:
        """Give the payload an order without waiting for its answer; nothing happens when it is gone."""
        if self._writer is not None and not self.gone.is_set():
            self._writer.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            self._owed += 1

    async def _last_answer(self) -> dict[str, Any]:
        """Wait for the answer to the last order; those to orders that were given up before come first, if late."""
        while True:
            answer = await self._answers.get()
            self._owed -= 1
            if self._owed == 0 or answer["event"] == "gone":
                return answer

    def failure(self, doing: str, answer: dict[str, Any]) -> DebugtoolError:
        """Make an error of a traceback from inside the target."""
        traceback = str(answer.get("traceback", answer))
        return DebugtoolError(
            f"The debugger failed inside {self.target}: {doing}.",
            why=traceback.strip(),
            next_step="the plugin runs on as before; the traceback's last line says what the debugger lacks there",
            details={"traceback": traceback},
        )


def _read_event(line: bytes) -> dict[str, Any]:
    """Read a line that a target said.

    Raises:
        ValueError: It is no event of the payload's.
    """
    try:
        event = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested beyond reason") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise ValueError("no event")
    return event
