"""An editor's session over a socket pair, with a debugger at the other end that the test plays itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from debugtool.debuggers import CAPABILITIES, BadFrame, DapStream, DebuggerChannel, Message
from debugtool.errors import DebugtoolError
from debugtool.relay import Pause
from debugtool.relay import client as client_module
from debugtool.relay.client import ClientSession

LIMIT_S = 20


class Stage:
    """A ClientSession between an editor's stream and a debugger's, both in the hands of the test; it is the Exchange.

    Attributes:
        editor: What the editor reads and sends.
        debugger: What the debugger reads and sends.
        session: The session between them.
        refusal: What `attach` fails with; None lets it succeed.
        calls: What the session asked of the relay.
        pauses: What it told the relay of pauses.
    """

    def __init__(self, editor: DapStream, debugger: DapStream, channel: DebuggerChannel) -> None:
        self.editor = editor
        self.debugger = debugger
        self.channel = channel
        self.refusal: DebugtoolError | None = None
        self.follows = False
        self.can_restart = False
        self.calls: list[object] = []
        self.pauses: list[Pause | None] = []
        self.session: ClientSession

    capabilities = CAPABILITIES

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return arguments, []

    async def open_debugger(self, client: ClientSession, child_pid: int | None, own_code: list[str]) -> DebuggerChannel:
        self.calls.append(("open", child_pid))
        if self.refusal:
            raise self.refusal
        return self.channel

    async def end_process(self) -> None:
        pass

    def take_configured(self, client: ClientSession) -> None:
        pass

    def take_pause(self, client: ClientSession, pause: Pause | None) -> None:
        self.pauses.append(pause)

    def restart(self, done: Callable[[str | None], None]) -> None:
        self.calls.append("restart")
        done(self.refusal.what if self.refusal else None)

    async def close_debugger(self, client: ClientSession) -> None:
        self.calls.append("close")

    def ask(self, command: str, arguments: object = None, **more: object) -> int:
        """Send a request as the editor; give its number."""
        fields = {} if arguments is None else {"arguments": arguments}
        return self.editor.send({"type": "request", "command": command, **fields, **more})

    async def take(self) -> Message:
        """Read what the editor gets next."""
        message = await self.editor.read()
        assert message is not None
        return message

    async def expect(self, command: str) -> Message:
        """Read what the debugger is asked next, which must be that."""
        message = await self.debugger.read()
        assert message is not None
        assert (message["type"], message["command"]) == ("request", command)
        return message

    def reply(self, request: Message, body: object = None, **more: object) -> None:
        """Answer as the debugger."""
        answer = {"type": "response", "request_seq": request["seq"], "command": request["command"], "success": True}
        self.debugger.send({**answer, **({} if body is None else {"body": body}), **more})

    async def attach(self, arguments: Message | None = None, **initialize: object) -> Message:
        """Play a whole attach; give what pydevd was asked."""
        self.ask("initialize", {"adapterID": "debugpy", **initialize})
        await self.take()
        attached = self.ask("attach", arguments or {})
        self.reply(await self.expect("initialize"))
        asked = await self.expect("attach")
        self.reply(asked)
        assert (await self.take())["event"] == "initialized"
        self.ask("configurationDone")
        self.reply(await self.expect("configurationDone"))
        assert (await self.take())["command"] == "configurationDone"
        answer = await self.take()
        assert (answer["command"], answer["request_seq"], answer["success"]) == ("attach", attached, True)
        return asked


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Serve a session for the length of the block; it must end with the editor's connection."""
    sockets = [*socket.socketpair(), *socket.socketpair()]
    ends = [DapStream(*await asyncio.open_connection(sock=each)) for each in sockets]
    channel = DebuggerChannel(ends[2])
    played = Stage(ends[0], ends[3], channel)
    played.session = ClientSession(ends[1], played)
    serving = asyncio.create_task(played.session.serve())
    try:
        yield played
    finally:
        await played.editor.close()
        with contextlib.suppress(BadFrame):
            await serving
        assert played.calls[-1] == "close"
        assert played.session.left.is_set()
        await channel.close()
        await played.debugger.close()


def play(scene: Callable[[Stage], Awaitable[Any]]) -> Any:
    """Run a scene on a new stage, with a deadline."""

    async def run() -> Any:
        async with asyncio.timeout(LIMIT_S), stage() as played:
            return await scene(played)

    return asyncio.run(run())


def test_initialize_tells_what_pydevd_can_do() -> None:
    async def scene(played: Stage) -> None:
        number = played.ask("initialize", {"adapterID": "debugpy"})
        answer = await played.take()
        assert (answer["request_seq"], answer["success"]) == (number, True)
        assert answer["body"]["supportsConditionalBreakpoints"] is True
        filters = [each["filter"] for each in answer["body"]["exceptionBreakpointFilters"]]
        assert filters == ["raised", "uncaught", "userUnhandled"]

    play(scene)


def test_an_attach_goes_to_the_debugger_with_all_its_arguments_and_is_answered_last() -> None:
    async def scene(played: Stage) -> None:
        arguments = {"justMyCode": False, "pathMappings": [{"localRoot": "/a", "remoteRoot": "/b"}]}
        assert (await played.attach(arguments))["arguments"] == arguments
        assert played.calls == [("open", None)]

    play(scene)


def test_a_childs_session_asks_for_the_child() -> None:
    async def scene(played: Stage) -> None:
        await played.attach({"subProcessId": 4711})
        assert played.calls == [("open", 4711)]

    play(scene)


def test_answers_carry_the_editors_numbers_and_the_debuggers_order() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        numbers = [played.ask(command, {"threadId": 1}) for command in ("stackTrace", "scopes", "variables")]
        asked = [await played.expect(command) for command in ("stackTrace", "scopes", "variables")]
        assert all(request["arguments"] == {"threadId": 1} for request in asked)
        for request in reversed(asked):
            played.reply(request, {"of": request["command"]})
            played.debugger.send({"type": "event", "event": f"after {request['command']}"})
        got = [await played.take() for _ in range(6)]
        assert [message["seq"] for message in got] == list(range(got[0]["seq"], got[0]["seq"] + 6))
        assert [message.get("request_seq") for message in got[::2]] == numbers[::-1]
        assert [message["body"]["of"] for message in got[::2]] == ["variables", "scopes", "stackTrace"]
        assert [message["event"] for message in got[1::2]] == ["after variables", "after scopes", "after stackTrace"]

    play(scene)


def test_a_refusal_of_the_debugger_reaches_the_editor() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        number = played.ask("evaluate", {"expression": "x"})
        played.reply(await played.expect("evaluate"), success=False, message="NameError: x")
        answer = await played.take()
        assert (answer["request_seq"], answer["success"], answer["message"]) == (number, False, "NameError: x")

    play(scene)


@pytest.mark.parametrize("command", ["continue", "pause"])
def test_the_whole_process_continues_and_pauses(command: str) -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        played.ask(command, {"threadId": 7})
        assert (await played.expect(command))["arguments"] == {"threadId": "*"}

    play(scene)


def test_events_wait_until_the_attach_has_been_answered() -> None:
    async def scene(played: Stage) -> list[str]:
        played.ask("initialize")
        await played.take()
        played.ask("attach")
        played.reply(await played.expect("initialize"))
        played.debugger.send({"type": "event", "event": "thread"})
        played.reply(await played.expect("attach"))
        played.debugger.send({"type": "event", "event": "output"})
        played.ask("setBreakpoints", {"breakpoints": []})
        played.reply(await played.expect("setBreakpoints"))
        played.ask("configurationDone")
        request = await played.expect("configurationDone")
        played.debugger.send({"type": "event", "event": "stopped"})
        played.reply(request)
        got = [await played.take() for _ in range(7)]
        return [message.get("event") or message["command"] for message in got]

    told = ["initialized", "setBreakpoints", "configurationDone", "attach", "thread", "output", "stopped"]
    assert play(scene) == told


def test_an_attach_that_cannot_be_is_refused_and_may_be_tried_again() -> None:
    async def scene(played: Stage) -> None:
        played.refusal = DebugtoolError("Another editor debugs {this}.", why="Disconnect that one first.")
        played.ask("initialize")
        await played.take()
        played.ask("attach")
        answer = await played.take()
        assert answer["message"] == "Another editor debugs {this}. Disconnect that one first."
        assert answer["body"]["error"]["format"] == "Another editor debugs {{this}}. Disconnect that one first."
        assert answer["body"]["error"]["showUser"] is True
        played.refusal = None
        await played.attach()

    play(scene)


def test_an_attach_that_the_debugger_refuses_lets_it_go() -> None:
    async def scene(played: Stage) -> None:
        played.ask("initialize")
        await played.take()
        played.ask("attach")
        played.reply(await played.expect("initialize"))
        played.reply(await played.expect("attach"), success=False, message="bad pathMappings")
        answer = await played.take()
        assert (answer["success"], answer["message"]) == (False, "bad pathMappings")
        assert played.calls == [("open", None), "close"]
        played.ask("threads")
        assert "before a successful attach" in (await played.take())["message"]

    play(scene)


@pytest.mark.parametrize("silent_at", ["initialize", "attach", "configurationDone"])
def test_a_debugger_that_does_not_answer_fails_the_attach(silent_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_ATTACH_S", 0.05)

    async def scene(played: Stage) -> None:
        played.ask("initialize")
        await played.take()
        attached = played.ask("attach")
        for command in ("initialize", "attach", "configurationDone"):
            request = await played.expect(command)
            if command == silent_at:
                break
            played.reply(request)
            if command == "attach":
                assert (await played.take())["event"] == "initialized"
                played.ask("configurationDone")
        answers = [await played.take() for _ in range(2 if silent_at == "configurationDone" else 1)]
        assert answers[-1]["request_seq"] == attached
        assert {answer["message"] for answer in answers} == {"the debugger in the process did not answer"}

    play(scene)


def test_disconnect_lets_go_answers_and_ends() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        number = played.ask("disconnect", {"terminateDebuggee": True})
        answer, event = await played.take(), await played.take()
        assert (answer["request_seq"], answer["success"], event["event"]) == (number, True, "terminated")
        assert played.calls[:2] == [("open", None), "close"]
        assert await played.editor.read() is None

    play(scene)


def test_when_the_process_goes_away_what_was_asked_is_answered_before_the_end() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        number = played.ask("evaluate", {"expression": "x"})
        await played.expect("evaluate")
        await played.debugger.close()
        answer = await played.take()
        assert (answer["request_seq"], answer["success"]) == (number, False)
        assert answer["message"] == "the debugged process went away"
        await played.session.hang_up("the process went away")
        assert (await played.take())["event"] == "terminated"
        assert await played.editor.read() is None

    play(scene)


@pytest.mark.parametrize("command", ["continue", "next", "stepIn", "stepOut"])
def test_a_process_that_runs_to_its_end_was_let_run(command: str) -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        number = played.ask(command, {"threadId": 1})
        await played.expect(command)
        await played.debugger.close()
        answer = await played.take()
        assert (answer["request_seq"], answer["success"]) == (number, True)

    play(scene)


def test_a_continue_is_answered_before_the_next_stop_and_once() -> None:
    async def scene(played: Stage) -> None:
        await played.attach()
        first = played.ask("continue", {"threadId": 1})
        late = await played.expect("continue")
        played.debugger.send({"type": "event", "event": "stopped", "body": {"threadId": 2, "reason": "breakpoint"}})
        answer = await played.take()
        assert (answer["request_seq"], answer["success"], answer["body"]) == (
            first,
            True,
            {"allThreadsContinued": True},
        )
        assert (await played.take())["event"] == "stopped"
        await played.expect("stackTrace")  # the session's own, for the place
        second = played.ask("continue", {"threadId": 2})
        played.reply(late, {"allThreadsContinued": True})
        played.reply(await played.expect("continue"), {"allThreadsContinued": True})
        assert (await played.take())["request_seq"] == second

    play(scene)


def test_a_child_is_offered_by_the_way_the_editor_came() -> None:
    async def scene(played: Stage) -> None:
        launch = {"name": "mine", "connect": {"host": "tunnel", "port": 9}, "justMyCode": False, "processId": 1}
        await played.attach({**launch, "restart": True, "request": "attach"})
        played.session.notify_of_process(4711, "Subprocess 4711", "127.0.0.1", 3222)
        offer = await played.take()
        assert offer["event"] == "debugpyAttach"
        assert offer["body"] == {
            "name": "Subprocess 4711",
            "type": "debugpy",
            "request": "attach",
            "subProcessId": 4711,
            "connect": {"host": "tunnel", "port": 9},
            "justMyCode": False,
        }

    play(scene)


def test_a_child_is_offered_by_start_debugging_to_an_editor_that_knows_it() -> None:
    async def scene(played: Stage) -> None:
        await played.attach(supportsStartDebuggingRequest=True)
        assert played.session.wants_children
        played.session.notify_of_process(4711, "Subprocess 4711", "127.0.0.1", 3222)
        offer = await played.take()
        assert (offer["type"], offer["command"], offer["arguments"]["request"]) == (
            "request",
            "startDebugging",
            "attach",
        )
        configuration = offer["arguments"]["configuration"]
        assert configuration["connect"] == {"host": "127.0.0.1", "port": 3222}
        played.editor.send(
            {"type": "response", "request_seq": offer["seq"], "command": "startDebugging", "success": True}
        )
        number = played.ask("threads")
        played.reply(await played.expect("threads"))
        assert (await played.take())["request_seq"] == number

    play(scene)


def test_launch_json_decides_about_children() -> None:
    async def scene(played: Stage) -> None:
        assert not played.session.wants_children
        await played.attach({"subProcess": False})
        assert not played.session.wants_children

    play(scene)


async def serve_alone(sent: Message | None) -> None:
    """Serve an editor that sends one message at most."""
    ours, theirs = socket.socketpair()
    near, far = [DapStream(*await asyncio.open_connection(sock=each)) for each in (ours, theirs)]
    channel = DebuggerChannel(far)
    played = Stage(far, far, channel)
    if sent is not None:
        far.send(sent)
    try:
        async with asyncio.timeout(LIMIT_S):
            await ClientSession(near, played).serve()
    finally:
        assert played.calls == ["close"]
        await channel.close()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"type": "request", "command": "threads"}, "the first message is not an initialize request"),
        ({"type": "response", "command": "initialize"}, "the first message is not an initialize request"),
        ({"type": "event", "event": "stopped"}, "the first message is not an initialize request"),
        (
            {"type": "request", "command": "initialize", "arguments": "x"},
            "arguments of 'initialize' that are no object",
        ),
        ({"type": "request", "command": "initialize", "arguments": {"x": "y" * 70_000}}, "65536 are allowed"),
    ],
)
def test_what_is_no_editor_is_no_session(sent: Message, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        asyncio.run(serve_alone(sent))


def test_silence_is_no_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_MESSAGE_S", 0.05)
    with pytest.raises(BadFrame, match=r"nothing of DAP within 0\.05 s"):
        asyncio.run(serve_alone(None))
