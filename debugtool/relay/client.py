"""One editor's debug session: DAP as the editor speaks it on one side, pydevd's on the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Protocol

from debugtool.debuggers import BadFrame, DapStream, DebuggerChannel, Message
from debugtool.errors import DebugtoolError

log = logging.getLogger(__name__)

# A client that has nothing to say for so long after it connected is none: a port scan, a probe, half a header.
FIRST_MESSAGE_S = 10.0
_FIRST_MESSAGE_BYTES = 64 * 1024
_ATTACH_S = 30.0
_NO_ANSWER = "the debugger in the process did not answer"

# What pydevd can do, as debugpy's own adapter tells its clients. Source: debugpy 1.8.22, adapter/clients.py.
CAPABILITIES: dict[str, object] = {
    "supportsCompletionsRequest": True,
    "supportsConditionalBreakpoints": True,
    "supportsConfigurationDoneRequest": True,
    "supportsDebuggerProperties": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsEvaluateForHovers": True,
    "supportsExceptionInfoRequest": True,
    "supportsExceptionOptions": True,
    "supportsFunctionBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsModulesRequest": True,
    "supportsSetExpression": True,
    "supportsSetVariable": True,
    "supportsValueFormattingOptions": True,
    "supportsTerminateRequest": True,
    "supportsGotoTargetsRequest": True,
    "supportsClipboardContext": True,
    "supportsStepInTargetsRequest": True,
    "exceptionBreakpointFilters": [
        {
            "filter": "raised",
            "label": "Raised Exceptions",
            "default": False,
            "description": "Break whenever any exception is raised.",
        },
        {
            "filter": "uncaught",
            "label": "Uncaught Exceptions",
            "default": True,
            "description": "Break when the process is exiting due to unhandled exception.",
        },
        {
            "filter": "userUnhandled",
            "label": "User Uncaught Exceptions",
            "default": False,
            "description": "Break when exception escapes into library code.",
        },
    ],
}


class Exchange(Protocol):
    """What a client session needs of the relay it belongs to."""

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Give an `attach` request's arguments as pydevd needs them, and what is the user's own code there."""

    async def open_debugger(self, client: ClientSession, child_pid: int | None, own_code: list[str]) -> DebuggerChannel:
        """Give the client a debugger: the target's, or that of a child process.

        Raises:
            DebugtoolError: There is none to be had, or another client has it.
        """

    async def close_debugger(self, client: ClientSession) -> None:
        """Take the client's debugger back and let the process go. Nothing happens when it has none."""


class ClientSession:
    """An editor, from its first byte to its last.

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
            "debugpySystemInfo": self._on_system_info,
        }.get(command)
        if own:
            await own(request)
        elif self._debugger is None:
            self._refuse(request, f"{command!r} before a successful attach")
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
        self._stream.send({**response, "request_seq": request["seq"], "command": request["command"]})

    def _forward(self, request: Message) -> None:
        assert self._debugger is not None
        arguments = request.get("arguments") or {}
        if request["command"] in ("continue", "pause"):
            arguments = {**arguments, "threadId": "*"}  # the whole process, as debugpy's adapter does it
        self._debugger.send(request["command"], arguments, lambda response: self._pass_on(request, response))

    async def _on_initialize(self, request: Message) -> None:
        self._initialize = request.get("arguments") or {}
        self._respond(request, CAPABILITIES)

    async def _on_launch(self, request: Message) -> None:
        self._refuse(request, 'debugtool debugs a process that runs: use "request": "attach"')

    async def _on_attach(self, request: Message) -> None:
        if self._debugger is not None:
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
        self._debugger = debugger
        debugger.on_event = self._on_event
        try:
            hello = {**self._initialize, "adapterID": "debugtool"}
            await debugger.request("initialize", hello, timeout_s=_ATTACH_S)
            answer = await debugger.request("attach", arguments, timeout_s=_ATTACH_S)
        except TimeoutError:
            answer = {"success": False, "message": _NO_ANSWER}
        if not answer.get("success"):
            self._debugger = None
            await self._exchange.close_debugger(self)
            self._refuse(request, str(answer.get("message", "attach failed")))
            return
        self.start_arguments = given
        self._attach = request
        # pydevd has no `initialized` event of its own; the client answers it with its breakpoints
        self._stream.send({"type": "event", "event": "initialized"})

    async def _on_configuration_done(self, request: Message) -> None:
        attach, self._attach = self._attach, None
        if self._debugger is None or attach is None:
            self._refuse(request, '"configurationDone" is only allowed once, after "attach"')
            return
        try:
            answer = await self._debugger.request("configurationDone", {}, timeout_s=_ATTACH_S)
        except TimeoutError:
            answer = {"type": "response", "success": False, "message": _NO_ANSWER}
        self._pass_on(request, answer)
        if not answer.get("success"):
            self._refuse(attach, str(answer.get("message", "configurationDone failed")))
            return
        self._respond(attach)
        self.is_configured = True
        held_back, self._held_back = self._held_back, []
        for event in held_back:
            self._stream.send(event)

    async def _on_disconnect(self, request: Message) -> None:
        # Stop in the editor means detach: the plugin belongs to its host, and we never end it.
        self.left.set()
        await self._exchange.close_debugger(self)
        self._respond(request)
        self.end("the editor left")

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
        # pydevd tells of threads and output at once, but a client expects nothing before its attach has succeeded
        if self.is_configured:
            self._stream.send(event)
        else:
            self._held_back.append(event)

    def notify_of_child(self, pid: int, host: str, port: int) -> None:
        """Tell the client that a child process waits for it: it opens one more session, with `subProcessId`.

        Args:
            pid: The child.
            host: Where the relay listens, with `port`; the client may know another way there (a forwarded port).
            port: See `host`.

        Source:
            DAP `startDebugging`; debugpy's own `debugpyAttach` event for clients that do not know that.
        """
        drop = {"processId", "listen", "preLaunchTask", "postDebugTask", "request", "restart", "args", "processName"}
        body: dict[str, Any] = {k: v for k, v in (self.start_arguments or {}).items() if k not in drop}
        body |= {"name": f"Subprocess {pid}", "subProcessId": pid, "type": "debugpy"}
        connect = body.get("connect")
        body["connect"] = {"host": host, "port": port, **(connect if isinstance(connect, dict) else {})}
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
