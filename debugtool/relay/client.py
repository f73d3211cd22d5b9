"""One editor's debug session: DAP as the editor speaks it on one side, pydevd's on the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from debugtool.debuggers import BadFrame, DapStream, DebuggerChannel, Message
from debugtool.errors import DebugtoolError
from debugtool.relay.exchange import Exchange
from debugtool.relay.journal import Entry, Journal
from debugtool.relay.others import configuration_for
from debugtool.relay.pauses import WatchedThreads
from debugtool.relay.threads import RESUMING
from debugtool.system import fault_point

log = logging.getLogger(__name__)

# A client that has nothing to say for so long after it connected is none: a port scan, a probe, half a header.
FIRST_MESSAGE_S = 10.0
_FIRST_MESSAGE_BYTES = 64 * 1024
_ATTACH_S = 30.0
_NO_ANSWER = "the debugger in the process did not answer"
_RESTARTING = "the process is restarting"
_CONTINUED: Message = {"type": "response", "success": True, "body": {"allThreadsContinued": True}}
_NOT_RUNNING = "debugtool: the process is not running. Breakpoints are set when its host starts it again."


class ClientSession:
    """An editor, from its first byte to its last, through any number of processes.

    While there is no process (`lose_debugger` to `restore`) the session answers by itself: what is to be set is kept
    for the next debugger, what asks about the process is refused (docs/architecture.md, "The states of a session").

    Args:
        stream: The connection to it.
        exchange: The relay.

    Attributes:
        start_arguments: Arguments of its `attach` request, None before it came.
        is_configured: Whether `configurationDone` was answered: only then does it take events.
        left: Set once it leaves; `gone` once its debugger has been let go, too.
    """

    def __init__(self, stream: DapStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange
        self._initialize: dict[str, Any] = {}
        self._attach: Message | None = None
        self._debugger: DebuggerChannel | None = None
        self._held_back: list[Message] = []
        self._journal = Journal(self._tell)
        self._threads = WatchedThreads(lambda pause: exchange.take_pause(self, pause))
        self._continuing: dict[int, Message] = {}  # `continue` requests without an answer, by their sequence numbers
        self._ended = False
        self.start_arguments: dict[str, Any] | None = None
        self.is_configured = False
        self.left = asyncio.Event()
        self.gone = asyncio.Event()

    async def serve(self) -> None:
        """Carry out the client's requests until it is gone; its debugger is let go then, whatever happened.

        Raises:
            BadFrame: What came was not DAP.
        """
        limit, self._stream.max_message_bytes = self._stream.max_message_bytes, _FIRST_MESSAGE_BYTES
        try:
            try:
                message = await asyncio.wait_for(self._stream.read(), FIRST_MESSAGE_S)
            except TimeoutError:
                raise BadFrame(f"nothing of DAP within {FIRST_MESSAGE_S:g} s") from None
            if message is not None and (message["type"], message.get("command")) != ("request", "initialize"):
                raise BadFrame("the first message is not an initialize request")
            self._stream.max_message_bytes = limit
            while message is not None:
                if message["type"] == "request":
                    await self._carry_out(message)
                    await self._stream.drain()
                message = None if self._ended else await self._stream.read()
        finally:
            self.left.set()
            await self._exchange.close_debugger(self)
            self._threads.end_pause()
            await self._stream.close()

    async def _carry_out(self, request: Message) -> None:
        command = request.get("command")
        if not isinstance(command, str) or not isinstance(request.get("seq"), int):
            raise BadFrame("a request without command or seq")
        if not isinstance(request.get("arguments") or {}, dict):
            raise BadFrame(f"arguments of {command!r} that are no object")
        own = {
            "initialize": self._on_initialize,
            "attach": self._on_attach,
            "launch": self._on_launch,
            "configurationDone": self._on_configuration_done,
            "disconnect": self._on_disconnect,
            "terminate": self._on_disconnect,
            "restart": self._on_restart,
            "debugpySystemInfo": self._on_system_info,
        }.get(command)
        if own:
            await own(request)
        elif self.start_arguments is None:
            self._refuse(request, f"{command!r} before a successful attach")
        elif self._debugger is None or (self._debugger.closed.is_set() and self._exchange.follows):
            self._answer_without_debugger(request)
        else:
            self._forward(request)

    def _respond(self, request: Message, body: object = None) -> None:
        response = {"type": "response", "request_seq": request["seq"], "command": request["command"], "success": True}
        self._stream.send({**response, **({} if body is None else {"body": body})})

    def _refuse(self, request: Message, why: str) -> None:
        self._stream.send(
            {
                "type": "response",
                "request_seq": request["seq"],
                "command": request["command"],
                "success": False,
                "message": why,
                "body": {"error": {"id": 1, "format": why.replace("{", "{{").replace("}", "}}"), "showUser": True}},
            }
        )

    def _pass_on(self, request: Message, response: Message) -> None:
        """Give the client the debugger's response to its request."""
        told = {**response, "request_seq": request["seq"], "command": request["command"]}
        self._threads.take_response(told)
        self._stream.send(told)

    def _forward(self, request: Message) -> None:
        debugger = self._debugger
        assert debugger is not None
        command, arguments = request["command"], request.get("arguments") or {}
        self._threads.take_request(command)
        entry = self._journal.record(command, arguments)
        if command in ("continue", "pause"):
            arguments = {**arguments, "threadId": "*"}  # the whole process, as debugpy's adapter does it
        if command == "continue":
            self._continuing[request["seq"]] = request

        def answer(response: Message) -> None:
            if command == "continue" and self._continuing.pop(request["seq"], None) is None:
                return  # see _answer_continues
            if command in RESUMING and debugger.closed.is_set() and not response["success"]:
                # it ran on, and to its end before its debugger had said so: debugpy's adapter calls that a success, too
                self._pass_on(request, _CONTINUED)
            elif entry is None:
                self._pass_on(request, response)
            elif debugger.closed.is_set() and self._exchange.follows:
                self._respond(request, self._journal.postpone(entry, _RESTARTING))
            else:
                self._settle(request, entry, response)

        debugger.send(command, arguments, answer)

    def _answer_continues(self) -> None:
        """Answer the `continue` requests on their way, as there is a stop again.

        pydevd does it when the first thread has run on. Where another thread reaches a breakpoint just then, and stops
        them all before, the answer would come with the next `continue`: some clients send none without it.
        """
        continuing, self._continuing = self._continuing, {}
        for request in continuing.values():
            self._pass_on(request, _CONTINUED)

    def _settle(self, request: Message, entry: Entry, response: Message) -> None:
        self._pass_on(request, self._journal.settle(entry, response))
        self._journal.tell_early_events()

    def _answer_without_debugger(self, request: Message) -> None:
        kept = self._journal.answer_without_debugger(request["command"], request.get("arguments") or {}, _RESTARTING)
        if kept is not None:
            self._respond(request, kept)
        elif request["command"] == "threads":
            self._respond(request, {"threads": []})
        else:
            self._refuse(request, _RESTARTING)

    def _tell(self, event: Message) -> None:
        self._stream.send(event)

    def say(self, text: str) -> None:
        """Show the user a line in the editor's debug console."""
        self._tell({"type": "event", "event": "output", "body": {"category": "console", "output": f"{text}\n"}})

    async def _on_initialize(self, request: Message) -> None:
        self._initialize = request.get("arguments") or {}
        self._respond(request, {**self._exchange.capabilities, "supportsRestartRequest": self._exchange.can_restart})

    async def _on_restart(self, request: Message) -> None:
        def done(why: str | None) -> None:
            if why is None:
                self._respond(request)
            else:
                self._refuse(request, why)

        if self._exchange.can_restart:
            self._exchange.restart(done)
        else:
            done("this session cannot restart the process: restart it through its host, the session follows")

    async def _on_launch(self, request: Message) -> None:
        self._refuse(request, 'debugtool debugs a process that runs: use "request": "attach"')

    async def _on_attach(self, request: Message) -> None:
        if self.start_arguments is not None:
            self._refuse(request, "this session is attached already")
            return
        given = request.get("arguments") or {}
        child = given.get("subProcessId")
        arguments, own_code = self._exchange.complete(given)
        try:
            debugger = await self._exchange.open_debugger(self, child if isinstance(child, int) else None, own_code)
        except DebugtoolError as error:
            self._refuse(request, " ".join(filter(None, (error.what, error.why))))
            return
        failure = await self._begin(debugger, arguments) if debugger else None
        # without a process, or when it has ended meanwhile, the session begins all the same: the next one gets it
        ended = debugger is not None and debugger.closed.is_set() and self._exchange.follows
        if failure is not None and not ended:
            await self._exchange.close_debugger(self)
            self._refuse(request, failure)
            return
        self._debugger = None if ended else debugger
        self.start_arguments = given
        self._attach = request
        # the only one that the client ever sees: it answers each with all its breakpoints and `configurationDone`
        self._tell({"type": "event", "event": "initialized"})

    async def _begin(self, debugger: DebuggerChannel, arguments: Message) -> str | None:
        """Introduce the client to a debugger; give why that failed, None when it did not."""
        debugger.on_event, self._threads.debugger = self._on_event, debugger
        hello = {**self._initialize, "adapterID": "debugtool"}
        try:
            await debugger.request("initialize", hello, timeout_s=_ATTACH_S)
            answer = await debugger.request("attach", arguments, timeout_s=_ATTACH_S)
        except TimeoutError:
            return _NO_ANSWER
        return None if answer.get("success") else str(answer.get("message", "attach failed"))

    async def _on_configuration_done(self, request: Message) -> None:
        attach, self._attach = self._attach, None
        if attach is None:
            self._refuse(request, '"configurationDone" is only allowed once, after "attach"')
            return
        failure = await self._finish_configuration() if self._debugger else None
        if failure is not None:
            self._refuse(request, failure)
            self._refuse(attach, failure)
            return
        self._respond(request)
        self._respond(attach)
        self.is_configured = True
        if self._debugger is not None:
            self._tell_held_back()
        else:
            self.say(_NOT_RUNNING)
        self._exchange.take_configured(self)

    async def _finish_configuration(self) -> str | None:
        """Tell the debugger that it knows all; give why that failed. A process that ends meanwhile is no failure."""
        debugger = self._debugger
        assert debugger is not None
        try:
            answer = await debugger.request("configurationDone", {}, timeout_s=_ATTACH_S)
        except TimeoutError:
            return _NO_ANSWER
        if answer.get("success") or (debugger.closed.is_set() and self._exchange.follows):
            return None
        return str(answer.get("message", "configurationDone failed"))

    def _tell_held_back(self) -> None:
        held_back, self._held_back = self._held_back, []
        for event in held_back:
            self._tell(event)

    def lose_debugger(self, text: str) -> None:
        """Take note that the process has ended, with its debugger; the client's session goes on without one.

        Args:
            text: What the user is told.
        """
        self._debugger = None
        self._held_back.clear()
        self._journal.expect_another_debugger()
        told = self._threads.end()
        if self.is_configured:
            for event in told:
                self._tell(event)
            self.say(text)

    async def restore(self, debugger: DebuggerChannel, arguments: Message) -> None:
        """Give the client the debugger of the next process: it is asked for all that the last one was asked for.

        Args:
            debugger: The debugger, connected.
            arguments: The client's `attach` arguments, completed for this process.

        Raises:
            DebugtoolError: It refuses them, does not answer, or goes away.
        """
        failure = await self._begin(debugger, arguments)
        if failure is None:
            fault_point("reinitialized")
            try:
                await self._journal.replay(debugger)
            except TimeoutError:
                failure = _NO_ANSWER
        if failure is None:
            fault_point("replayed")
            self._debugger = debugger  # at once after the replay: what comes from now on goes to the debugger itself
            failure = await self._finish_configuration() if self.is_configured else None
        if failure is not None:
            raise DebugtoolError("The editor's session could not go on in the new process.", why=failure)
        if self.is_configured:
            self._tell_held_back()

    async def _on_disconnect(self, request: Message) -> None:
        # Stop in the editor means detach: the plugin belongs to its host. It is ended where launch.json says so.
        self.left.set()
        given = self.start_arguments or {}
        await self._exchange.close_debugger(self)
        self._respond(request)
        self.end("the editor left")
        if given.get("terminateDebuggee") is True and "subProcessId" not in given:
            await self._stream.drain()
            await self._exchange.end_process()

    async def _on_system_info(self, request: Message) -> None:
        answer: Message = {}
        if self._debugger:
            with contextlib.suppress(TimeoutError):
                answer = await self._debugger.request("pydevdSystemInfo")
        self._respond(request, answer.get("body", {}))

    @property
    def wants_children(self) -> bool:
        """Whether it is to be told of child processes: unless its launch.json says `"subProcess": false`."""
        return self.is_configured and (self.start_arguments or {}).get("subProcess") is not False

    def _on_event(self, event: Message) -> None:
        if event["event"] == "stopped":
            self._answer_continues()
        self._threads.take_event(event)
        translated = self._journal.translate(event)
        if translated is None:
            return
        # pydevd tells of threads and output at once, but a client expects nothing before its attach has succeeded
        if self.is_configured and self._debugger is not None and not self._held_back:
            self._tell(translated)
        else:
            self._held_back.append(translated)

    def notify_of_process(self, pid: int, name: str, host: str, port: int) -> None:
        """Ask the client to open one more session, see `configuration_for`.

        Source:
            DAP `startDebugging`; debugpy's own `debugpyAttach` event for clients that do not know that.
        """
        body = configuration_for(self.start_arguments or {}, pid, name, host, port)
        if self._initialize.get("supportsStartDebuggingRequest"):
            arguments = {"request": "attach", "configuration": body}
            self._stream.send({"type": "request", "command": "startDebugging", "arguments": arguments})
        else:
            self._stream.send({"type": "event", "event": "debugpyAttach", "body": {**body, "request": "attach"}})

    def end(self, why: str) -> None:
        """End the session from our side: the process is gone, or debugtool ends."""
        if not self._ended:
            self._ended = True
            log.debug("client session ends: %s", why)
            self._stream.send({"type": "event", "event": "terminated"})

    async def hang_up(self, why: str) -> None:
        """End the session and close the connection, which makes `serve` return."""
        self.end(why)
        with contextlib.suppress(OSError):
            await self._stream.close()
