"""A relay between editors and a debugger that are both played: no port, no process, everything else is the real one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from socket import socketpair

from fuzzing import Violation, as_message, connection, framed, read_lawful, this_process

from debugtool.debuggers import CAPABILITIES, BadFrame, DapStream, DebuggerChannel, Message, Tasks
from debugtool.debuggers.debugger import ChildListener, HostCalls
from debugtool.relay import Relay, listen_on, relay
from debugtool.relay.client import ClientSession

relay._EXIT_S = 0.0  # a process whose debugger hung up ends at once, or it is lost
_HANDSHAKE = ("initialize", "attach", "configurationDone", "disconnect")
_LAST = 999_999


def request(command: str, **arguments: object) -> bytes:
    """Give the line of an editor's request."""
    return json.dumps({"type": "request", "seq": 1, "command": command, "arguments": arguments}).encode()


ATTACH = [request("initialize"), request("attach")]
CONFIGURE = [
    request("setBreakpoints", source={"path": "/a.py"}, breakpoints=[{"line": 1}, {"line": 2}]),
    request("setFunctionBreakpoints", breakpoints=[{"name": "f"}]),
    request("configurationDone"),
]
MORE = [request("threads"), request("stackTrace", threadId=1), request("continue", threadId=1)]


class Debugger:
    """The target's debugger, which answers with what it is given; it is a TargetDebugger.

    Args:
        lines: What it sends, a message in each (`fuzzing.framed`). A response without `request_seq` answers the
            request that it is asked next. When they are used up it hangs up.
        is_good: Whether it carries out the handshake properly, or uses lines for that, too.
        is_obedient: Whether it answers everything properly; `lines` are not used then.
    """

    target = this_process()
    capabilities: Mapping[str, object] = CAPABILITIES
    why_gone = "it is a test's"
    on_child: ChildListener | None = None

    def __init__(self, lines: Sequence[bytes] = (), *, is_good: bool = True, is_obedient: bool = False) -> None:
        self._lines = deque(lines)
        self._is_good = is_good
        self._is_obedient = is_obedient
        self._channel: DebuggerChannel | None = None
        self.tasks = Tasks()
        self.gone = asyncio.Event()

    async def connect(self, own_code: Sequence[str] = ()) -> DebuggerChannel:
        near, far = [await asyncio.open_connection(sock=end) for end in socketpair()]
        self.tasks.start(self._play(*far))
        self._channel = DebuggerChannel(DapStream(*near))
        return self._channel

    async def release(self) -> None:
        if self._channel:
            await self._channel.close()

    async def host_calls(self) -> HostCalls:
        return HostCalls.UNKNOWN

    def hang_up(self) -> None:
        self.gone.set()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = DapStream(reader, writer)
        try:
            while (asked := await stream.read()) is not None:
                if self._is_obedient or (self._is_good and asked["command"] in _HANDSHAKE):
                    points = (asked["arguments"] or {}).get("breakpoints")
                    points = [{"id": 1, "verified": True} for _ in points] if isinstance(points, list) else []
                    stream.send(
                        {
                            "type": "response",
                            "request_seq": asked["seq"],
                            "success": True,
                            "command": asked["command"],
                            "body": {"breakpoints": points, "threads": [{"id": 1, "name": "main"}]},
                        }
                    )
                elif not self._answer(asked, stream, writer):
                    return
        except OSError:
            pass  # the relay has hung up
        except BadFrame as error:
            raise Violation(f"the debugger was sent {error}") from error
        finally:
            await stream.close()

    def _answer(self, asked: Message, stream: DapStream, writer: asyncio.StreamWriter) -> bool:
        while self._lines:
            line = self._lines.popleft()
            message = as_message(line)
            if message is None or message.get("type") != "response" or "request_seq" in message:
                writer.writelines(framed(line))
            else:
                stream.send({**message, "request_seq": asked["seq"]})
                return True
        return False


class Stage:
    """A relay, and editors that visit it one after the other.

    Attributes:
        relay: The relay.
    """

    def __init__(self, *, follows: bool) -> None:
        self.attached: list[bool] = []
        (listener,) = listen_on("127.0.0.1", 0, allow_remote=False)
        with listener:  # nobody connects to it: the editors here are brought to the relay
            self.relay = Relay("127.0.0.1", [listener], on_client=self.attached.append, follows=follows)

    @contextlib.asynccontextmanager
    async def editor(self) -> AsyncIterator[Editor]:
        """Serve an editor for the length of the block; it has hung up after it, and has read only what is lawful."""
        async with connection() as (near, far):
            serving = asyncio.create_task(self._serve(ClientSession(DapStream(*near), self.relay)))
            editor = Editor(*far)
            yield editor
            editor.writer.write_eof()
            await editor.reading
            await serving

    async def _serve(self, session: ClientSession) -> None:
        with contextlib.suppress(BadFrame, OSError):  # what Relay expects
            await session.serve()

    async def check(self) -> None:
        """Fail unless an editor that comes now is served."""
        await self.relay.serve_target(good := Debugger(is_obedient=True))
        async with self.editor() as editor:
            editor.send([*ATTACH, *CONFIGURE, request("disconnect")])
        told = [message for message in await editor.reading if message["type"] == "response"]
        if len(told) != 6 or not all(message["success"] for message in told):
            raise Violation(f"the next editor is not served: {told}")
        await good.tasks.close(grace_s=1)
        if self.relay._held or self.relay._main or self.attached.count(True) > self.attached.count(False):
            raise Violation("a client is left")


class Editor:
    """An editor's end of a connection.

    Attributes:
        writer: What it sends on.
        reading: All that it was sent, once the connection has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._at_end = asyncio.Event()
        self.reading = asyncio.create_task(read_lawful(DapStream(reader, writer), self._take))
        self.reading.add_done_callback(lambda _: self._at_end.set())

    def _take(self, message: Message) -> None:
        if message.get("request_seq") == _LAST:
            self._at_end.set()

    def send(self, lines: Sequence[bytes]) -> None:
        """Send requests, a JSON object in each line."""
        for line in lines:
            self.writer.writelines(framed(line))

    async def wait_until_taken(self) -> None:
        """Wait until the session has carried out all that was sent, or has ended."""
        line = request("initialize").replace(b'"seq": 1', b'"seq": %d' % _LAST)
        self.send([line])
        await self._at_end.wait()
