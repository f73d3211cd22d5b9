"""The states of a session (docs/architecture.md), walked through at random with a real relay, debugger and process.

hypothesis chooses what an editor, a host and the session's owner do next; after each step the editor's session must be
in the state that the table says, every request must have got one response, and the process must answer. CI walks a few
ways, always the same; `--all-faults` walks new ones, for a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attach_driver import AttachSession, attached
from dap_client import DapClient, DapError, Message
from debug_driver import DEBUGGEE, UNTRACED, line_of
from fault_driver import eventually
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from obedient_host import obedient_host

from debugtool.system import process_state

MARKS = ("INSIDE", "AFTER STEP", "STEP HERE")  # lines that `steps` passes
NONE, NEW, GREETED, CONFIGURING, RUNNING = "none", "new", "greeted", "configuring", "running"
STATES = [NONE, NEW, GREETED, CONFIGURING, RUNNING]
ATTACHED = (CONFIGURING, RUNNING)
MARK_LISTS = st.lists(st.sampled_from(MARKS), unique=True)
LONG = 260  # ways, of 20 steps


# state of the editor's session, whether the process is up, whether a thread of it stands at a breakpoint
Place = tuple[str, bool, bool]
PLACES: set[Place] = {(state, is_up, False) for state in STATES for is_up in (True, False)} | {(RUNNING, True, True)}
seen: set[Place] = set()


class Editor(DapClient):
    """A DAP client that keeps count of the responses to each of its requests."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.sent: dict[int, str] = {}
        self.answered: Counter[int] = Counter()

    def send(self, command: str, arguments: object = None) -> int:
        number = super().send(command, arguments)
        self.sent[number] = command
        return number

    def _take(self, message: Message) -> None:
        if message["type"] == "response":
            self.answered[message["request_seq"]] += 1
            assert self.sent[message["request_seq"]] == message["command"], message
            assert self.answered[message["request_seq"]] == 1, f"answered twice: {message}"
        super()._take(message)

    def unanswered(self) -> set[str]:
        return {command for number, command in self.sent.items() if not self.answered[number]}

    def read_to_the_end(self) -> None:
        """Read until the relay has closed the connection."""
        with contextlib.suppress(DapError, ConnectionError):
            self.wait_for("never")


def is_of(number: int, body: Message) -> bool:
    """Say whether a `breakpoint` event is of the breakpoint with that id."""
    return bool(body["breakpoint"]["id"] == number)


class Relay(RuleBasedStateMachine):
    """One process under `debugtool attach` after the other, and one editor after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.directory = Path(tempfile.mkdtemp(prefix="states-"))
        self.stack.callback(shutil.rmtree, self.directory)
        self.program = Path(shutil.copy(DEBUGGEE, self.directory / "states.py"))
        self.host = self.stack.enter_context(obedient_host(self.program))
        self.editor: Editor | None = None
        self.state = NONE
        self.points: dict[str, Message] = {}  # by mark, as the editor was last told
        self.ids: set[int] = set()
        self.has_detached = False
        self.stops_untold = False
        self.thread: int | None = None  # that is stopped
        self.expected: list[object] = []  # results that the process owes
        self.begin_session()

    def begin_session(self) -> None:
        self.pid = self.host.start()
        self.is_up = True
        self.attach_anew()

    def attach_anew(self) -> None:
        self.session_stack = contextlib.ExitStack()
        self.session: AttachSession = self.session_stack.enter_context(attached("--pid", self.pid, "--no-pause"))
        self.port = self.session.port

    # what a program does

    def call(self, function: str, argument: object) -> Any:
        self.host.begin(f"{function} {json.dumps(argument)}")
        return self.host.result()

    def trace_facts(self) -> dict[str, Any]:
        facts = self.call("trace_facts", None)
        return {name: facts[name] for name in UNTRACED}

    def is_free(self) -> bool:
        return self.is_up and self.thread is None and not self.stops_untold

    def stops(self) -> bool:
        """Say whether `steps` would stop."""
        return self.state in ATTACHED and bool(self.points)

    # an editor comes and goes

    @precondition(lambda self: self.state == NONE)
    @rule(until=st.sampled_from([RUNNING, CONFIGURING, GREETED, NEW]), marks=MARK_LISTS)
    def come(self, until: str, marks: list[str]) -> None:
        """Begin a session up to some state: by single steps alone most ways would end long before a breakpoint."""
        self.editor = Editor(self.port)
        self.state = NEW
        for step in [self.initialize, self.attach][: STATES.index(until) - 1]:
            step()
        if until in ATTACHED:
            self.set_breakpoints(marks)
        if until == RUNNING:
            self.configuration_done()

    @precondition(lambda self: self.state == NEW)
    @rule()
    def initialize(self) -> None:
        assert self.client.initialize()["supportsConfigurationDoneRequest"]
        self.state = GREETED

    @precondition(lambda self: self.state == GREETED)
    @rule()
    def attach(self) -> None:
        self.attach_request = self.client.send("attach", {"justMyCode": True})
        self.client.wait_for("initialized")
        self.state = CONFIGURING

    @precondition(lambda self: self.state == CONFIGURING)
    @rule()
    def configuration_done(self) -> None:
        self.client.request("configurationDone")
        self.client.response(self.attach_request)
        self.state = RUNNING
        if self.stops_untold:
            self.expect_stop()

    @precondition(lambda self: self.state in ATTACHED)
    @rule(command=st.sampled_from(["attach", "launch"]))
    def ask_out_of_turn(self, command: str) -> None:
        self.refused(command, {}, "attached already" if command == "attach" else "use")

    @precondition(lambda self: self.state == RUNNING)
    @rule()
    def configuration_done_again(self) -> None:
        self.refused("configurationDone", {}, "only allowed once")

    @precondition(lambda self: self.state in (GREETED, *ATTACHED))
    @rule(command=st.sampled_from(["disconnect", "terminate"]))
    def leave(self, command: str) -> None:
        self.client.request(command, {"terminateDebuggee": True})  # which is not done: the process is its host's
        self.client.wait_for("terminated")
        self.client.read_to_the_end()
        assert self.client.unanswered() <= {"attach"}
        self.forget_editor()

    @precondition(lambda self: self.state != NONE)
    @rule()
    def cut(self) -> None:
        self.forget_editor()

    def forget_editor(self) -> None:
        self.client.close()
        self.editor, self.state, self.thread, self.stops_untold = None, NONE, None, False
        self.points.clear()
        self.ids.clear()
        self.take_results()

    def take_results(self) -> None:
        """What was stopped has gone on."""
        while self.expected:
            assert self.host.result() == self.expected.pop(0)

    @property
    def client(self) -> Editor:
        assert self.editor is not None
        return self.editor

    # what an editor asks

    @precondition(lambda self: self.state in ATTACHED and not self.stops_untold)
    @rule(marks=MARK_LISTS)
    def set_breakpoints(self, marks: list[str]) -> None:
        told = self.client.set_breakpoints(self.program, [line_of(mark) for mark in marks])
        assert [point["verified"] for point in told] == [self.is_up] * len(marks), told
        self.take_points(marks, told)

    def take_points(self, marks: list[str], told: list[Message]) -> None:
        numbers = {point["id"] for point in told}
        assert len(numbers) == len(marks) and not numbers & self.ids, (told, self.ids)
        self.ids |= numbers
        self.points = dict(zip(marks, told, strict=True))

    @precondition(lambda self: self.stops() and self.is_free())
    @rule()
    def hit(self) -> None:
        self.host.begin("steps 4")
        self.expected.append(9)
        if self.state == RUNNING:
            self.expect_stop()
        else:
            self.stops_untold = True  # until the editor has said that it is configured

    def expect_stop(self) -> None:
        self.stops_untold = False
        stopped = self.client.wait_for_stop()
        self.thread = stopped["threadId"]
        line = self.client.stack(self.thread)[0]["line"]
        mark = next(mark for mark in MARKS if line_of(mark) == line)
        assert stopped["hitBreakpointIds"] == [self.points[mark]["id"]]

    @precondition(lambda self: self.thread is not None)
    @rule()
    def evaluate(self) -> None:
        assert self.client.evaluate("6 * 7", self.client.stack(self.thread or 0)[0]) == "42"

    @precondition(lambda self: self.thread is not None)
    @rule()
    def finish(self) -> None:
        """Take the breakpoints out and let the stopped thread go on to its end."""
        self.set_breakpoints_to_none()
        self.client.resume(self.thread or 0)
        self.thread = None
        self.take_results()

    def set_breakpoints_to_none(self) -> None:
        self.take_points([], self.client.set_breakpoints(self.program, []))

    @precondition(lambda self: self.state in ATTACHED and not self.is_up)
    @rule(command=st.sampled_from(["evaluate", "stackTrace", "continue", "pause", "setVariable"]))
    def ask_while_waiting(self, command: str) -> None:
        self.refused(command, {"threadId": 1, "expression": "1"}, "the process is restarting")

    @precondition(lambda self: self.state == GREETED)
    @rule(command=st.sampled_from(["evaluate", "setBreakpoints", "threads"]))
    def ask_before_attach(self, command: str) -> None:
        self.refused(command, {}, "before a successful attach")

    def refused(self, command: str, arguments: Message, why: str) -> None:
        with pytest.raises(DapError, match=why):
            self.client.request(command, arguments)

    # others at the port

    @precondition(lambda self: self.state in ATTACHED)
    @rule()
    def second_editor(self) -> None:
        with Editor(self.port) as second:
            second.initialize()
            with pytest.raises(DapError, match="Another editor debugs this process"):
                second.request("attach")

    @precondition(lambda self: self.state != NONE)
    @rule(text=st.sampled_from([b"GET / HTTP/1.1\r\n\r\n", b"Content-Length: 2\r\n\r\n{}", b"\0" * 5000, b"{"]))
    def garbage(self, text: bytes) -> None:
        with DapClient(self.port) as stranger, contextlib.suppress(ConnectionError):
            stranger.socket.sendall(text)

    @precondition(lambda self: self.state in (GREETED, *ATTACHED))
    @rule()
    def garbage_from_the_editor(self) -> None:
        self.client.socket.sendall(b"Content-Length: nonsense\r\n\r\n")
        self.client.read_to_the_end()
        assert self.client.unanswered() <= {"attach"}
        self.forget_editor()

    # the process and the session come and go

    @precondition(lambda self: self.is_up and self.state != NONE)
    @rule()
    def kill(self) -> None:
        was_stopped, self.thread, self.stops_untold = self.thread is not None, None, False
        self.expected.clear()
        self.host.kill()
        assert self.session.wait_for("exited")["pid"] == self.pid
        self.is_up = False
        if was_stopped:
            self.client.wait_for("continued")

    @precondition(lambda self: not self.is_up)
    @rule()
    def start(self) -> None:
        self.pid = self.host.start()
        assert self.session.wait_for("rearmed")["pid"] == self.pid
        self.is_up = True
        self.expect_verified()

    @precondition(lambda self: not self.is_up and self.state in ATTACHED)
    @rule(marks=MARK_LISTS)
    def start_and_set_breakpoints_meanwhile(self, marks: list[str]) -> None:
        self.pid = self.host.start()
        told = self.client.set_breakpoints(self.program, [line_of(mark) for mark in marks])
        self.take_points(marks, told)
        assert self.session.wait_for("rearmed")["pid"] == self.pid
        self.is_up = True
        self.expect_verified()

    def expect_verified(self) -> None:
        """The breakpoints of before hold in the new process, under the ids that the editor knows."""
        for mark, point in self.points.items():
            if not point["verified"]:
                changed = self.client.wait_for("breakpoint", partial(is_of, point["id"]))["breakpoint"]
                assert changed["verified"] and changed["line"] == line_of(mark)
                point["verified"] = True

    @precondition(lambda self: self.is_up and self.state != NONE and not self.has_detached)
    @rule()
    def detach_and_attach_anew(self) -> None:
        self.has_detached = True  # once in each way: this is what takes long
        assert self.session.stop() == 0, self.session.error_text()
        if self.editor is not None:
            if self.state != NEW:
                self.client.wait_for("terminated")
            self.client.read_to_the_end()
            self.forget_editor()
        self.attach_anew()

    # what always holds

    @invariant()
    def the_way_is_noted(self) -> None:
        seen.add((self.state, self.is_up, self.thread is not None))

    @invariant()
    def the_state_is_as_the_table_says(self) -> None:
        if self.state not in ATTACHED:
            return
        threads = self.client.request("threads")["threads"]
        assert bool(threads) == self.is_up
        assert self.client.unanswered() == ({"attach"} if self.state == CONFIGURING else set())

    @invariant()
    def the_process_answers_and_is_traced_for_an_editor_only(self) -> None:
        if not self.is_free() or self.stops():
            return
        assert self.call("steps", 4) == 9
        if self.state not in ATTACHED:
            eventually(self.trace_facts, UNTRACED)

    @invariant()
    def the_session_lives(self) -> None:
        assert self.session.process.poll() is None, self.session.error_text()
        assert process_state(self.session.process.pid) not in "TZX"

    def teardown(self) -> None:
        try:
            if self.editor is not None:
                self.editor.close()
            assert self.session.stop() == 0, self.session.error_text()
            assert "Traceback" not in self.session.error_text()
            if self.is_up:
                for result in self.expected:
                    assert self.host.result() == result
                assert self.call("steps", 4) == 9
                eventually(self.trace_facts, UNTRACED)
        finally:
            self.session_stack.close()
            self.stack.close()


@pytest.mark.timeout(3600)
def test_every_way_through_the_states(request: pytest.FixtureRequest) -> None:
    is_long = request.config.getoption("--all-faults")
    profile = settings(
        max_examples=LONG if is_long else 7,
        stateful_step_count=20 if is_long else 15,
        derandomize=not is_long,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a failing way is short enough to read, and shrinking it takes many minutes
    )
    seen.clear()
    run_state_machine_as_test(Relay, settings=profile)
    assert seen == PLACES  # else it proves little
