"""What a session tells people, and which session is meant."""

from __future__ import annotations

import json

import pytest

from debugtool import errors, output, system
from debugtool.errors import Ambiguous, DebugtoolError, ExitCode, NotFound
from debugtool.session import Reporter, find_session
from debugtool.session.follow import CrashLoop
from debugtool.session.report import event_text, pause_line

READY = {"host": "127.0.0.1", "port": 3222, "method": "ptrace", "elapsed_ms": 250.1, "stall_ms": 3.25}
ALERT = {"limit": "alert", "limit_s": 30.0, "left_s": 30.0}
PAUSED: dict[str, object] = {
    "pid": 7,
    "reason": "breakpoint",
    "thread": 2,
    "function": "sell",
    "path": "/w/shop.py",
    "line": 7,
}
PAUSED |= {"host_calls": "unknown", "limits": []}
EVENTS = [
    (
        "waiting",
        {"name": "my-datasource", "port": 3222},
        "Waiting for my-datasource to appear. F5 in VS Code may come first (port 3222). Ctrl-C ends the wait.",
    ),
    (
        "waiting",
        {"name": "my-datasource", "port": None},
        "Waiting for my-datasource to appear. Ctrl-C ends the wait.",
    ),
    ("target", {"name": "my-datasource", "pid": 7}, "Attaching to my-datasource (pid 7) ..."),
    ("target", {"name": "my-datasource", "pid": 7, "build": "source"}, "Attaching to my-datasource (pid 7) ..."),
    (
        "target",
        {"name": "my-datasource", "pid": 7, "build": "release"},
        "Attaching to my-datasource (pid 7) ...\n"
        "This is a release build: its asserts may be off and its code is optimised. "
        "debugtool build --debug makes one to debug.",
    ),
    ("ready", READY, "Ready: listening on 127.0.0.1:3222 (ptrace, 250.1 ms; a thread stood still for 3.25 ms)."),
    (
        "ready",
        {**READY, "reused": True, "session_pid": 9},
        "Attached already, by pid 9: listening on 127.0.0.1:3222. End that session with debugtool detach.",
    ),
    (
        "background",
        {"session_pid": 9},
        "The session goes on in the background (pid 9). End it with debugtool detach.",
    ),
    (
        "launch_json",
        {"path": "/w/launch.json", "changed": True},
        'Wrote /w/launch.json\nPress F5 in VS Code ("Debug backend plugin"). Ctrl-C here detaches.',
    ),
    (
        "launch_json",
        {"path": "/w/launch.json", "changed": False},
        'Up to date: /w/launch.json\nPress F5 in VS Code ("Debug backend plugin"). Ctrl-C here detaches.',
    ),
    (
        "launch_json",
        {"path": None, "why": "It is broken.", "next": "Repair it."},
        "launch.json was not written: It is broken.\nRepair it.",
    ),
    ("client", {"connected": True}, "An editor is connected."),
    ("client", {"connected": False}, "The editor has left; the plugin runs on."),
    ("exited", {"pid": 7}, "The process 7 ended."),
    ("detached", {"pid": 7}, "Detached."),
    ("something new", {}, ""),
    (
        "exited",
        {"pid": 7, "waits_for": "grafana (pid 3) to start mine again"},
        "The process 7 ended. Waiting for grafana (pid 3) to start mine again; Ctrl-C ends the session.",
    ),
    (
        "rearmed",
        {"pid": 8, "before_first_request": True, "window_ms": 0.0},
        "Attached again, to pid 8, before its own code ran.",
    ),
    (
        "rearmed",
        {"pid": 8, "before_first_request": False, "window_ms": 420.5},
        "Attached again, to pid 8, 420.5 ms after its start.",
    ),
    (
        "rearm_failed",
        {"what": "What.", "why": "Why.", "next": "Next.", "waits_for": "mine to be started again"},
        "What.\n  why:  Why.\n  next: Next.\nThe session waits for mine to be started again.",
    ),
    (
        "instance",
        {"pid": 9, "name": "mine", "state": "left", "what": "What.", "why": "One.\nTwo.", "next": ""},
        "What.\n  why:  One.\n         Two.",
    ),
    (
        "crash_loop",
        {"name": "mine", "crashes": 4, "pause_s": 2.0},
        "mine has ended 4 times in a row right after its start: it is left alone for 2 s.",
    ),
    (
        "held",
        {"pid": 7, "limit_s": 50.0, "left_s": 48.6, "is_plugin": True},
        "Held at its start (pid 7) until an editor has set its breakpoints: press F5. "
        "Its host waits 60 s for the handshake line: without an editor it goes on in 49 s.",
    ),
    (
        "held",
        {"pid": 7, "limit_s": 50.0, "left_s": 48.6, "is_plugin": False},
        "Held at its start (pid 7) until an editor has set its breakpoints: press F5. "
        "Without an editor it goes on in 49 s.",
    ),
    (
        "hold_ended",
        {"pid": 7, "by": "editor", "held_s": 3.1},
        "The breakpoints are set: the process starts.",
    ),
    (
        "hold_ended",
        {"pid": 7, "by": "limit", "held_s": 49.2},
        "No editor has come in time: the process goes on without. It can still be attached to: press F5.",
    ),
    ("hold_ended", {"pid": 7, "by": "exit", "held_s": 9.2}, ""),
    (
        "paused",
        PAUSED,
        "Paused at shop.py:7, in sell. Its other Python threads stand still too, those that answer a host among them.",
    ),
    (
        "paused",
        {**PAUSED, "path": None, "function": None, "host_calls": "answered", "limits": [ALERT]},
        "Paused. Health and Shutdown are answered meanwhile. "
        "An alert rule that waits for it gives up after 30 s; a dashboard waits until it is closed.",
    ),
    (
        "paused",
        {**PAUSED, "host_calls": "stopped", "limits": [{"limit": "handshake", "limit_s": 60.0, "left_s": 41.2}]},
        "Paused at shop.py:7, in sell. The whole process stands still: health and Shutdown are not answered. "
        "Its host waits 60 s from the start for the handshake line, 41 s of them are left.",
    ),
    (
        "pause_limit",
        {"pid": 7, "limit": "alert", "limit_s": 30.0, "paused_s": 30.0},
        "Paused for 30 s: an alert rule that waited has given up; a dashboard waits on.",
    ),
    (
        "pause_limit",
        {"pid": 7, "limit": "handshake", "limit_s": 60.0, "paused_s": 41.2},
        "No handshake line within 60 s of the start: the host ends the plugin now.",
    ),
    ("continued", {"pid": 7, "paused_s": 12.3}, "Continued after 12.3 s."),
]


@pytest.mark.parametrize(("event", "fields", "text"), EVENTS)
def test_events_in_words(event: str, fields: dict[str, object], text: str) -> None:
    assert event_text(event, fields) == text


@pytest.mark.parametrize(
    ("paused_s", "text"),
    [
        (12.2, "Paused at shop.py:7, in sell for 12 s; alert rules give up in 18 s"),
        (31, "Paused at shop.py:7, in sell for 31 s; alert rules have given up"),
    ],
)
def test_how_long_a_pause_lasts_in_words(paused_s: float, text: str) -> None:
    assert pause_line({**PAUSED, "limits": [ALERT]}, paused_s) == text


def test_people_are_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(False) as report:
        report("detached", pid=7)
        report("something new")
    assert capsys.readouterr() == ("", "Detached.\n")


def test_programs_are_told_on_stdout_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(True) as report:
        report("detached", pid=7)
    written = capsys.readouterr()
    assert written.err == ""
    assert written.out.count("\n") == 1
    event = json.loads(written.out)
    assert (event["event"], event["pid"], event["time"][-1]) == ("detached", 7, "Z")


def test_a_crash_loop_is_left_alone_for_longer_each_time() -> None:
    loop = CrashLoop()
    assert [loop.pause_after(0.1) for _ in range(9)] == [0, 0, 1, 2, 4, 8, 16, 30, 30]
    assert loop.pause_after(60) == 0
    assert loop.pause_after(0.1) == 0


def record(pid: int, name: str) -> system.SessionRecord:
    return system.SessionRecord(pid + 1000, 1, pid, 1, name, "127.0.0.1", 3000 + pid, "ptrace", "")


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[system.SessionRecord]:
    running: list[system.SessionRecord] = []
    monkeypatch.setattr(system, "find_sessions", lambda: running)
    return running


def test_no_session(sessions: list[system.SessionRecord]) -> None:
    with pytest.raises(NotFound) as caught:
        find_session(None)
    assert output.error_text(caught.value).splitlines() == [
        "Error: No debug session.",
        "  why:  running sessions of this user: none",
        "  next: start one with debugtool attach",
    ]


def test_no_session_of_that_name(sessions: list[system.SessionRecord]) -> None:
    sessions.append(record(7, "other"))
    with pytest.raises(NotFound) as caught:
        find_session("mine")
    assert output.error_text(caught.value).splitlines() == [
        "Error: No debug session of 'mine'.",
        "  why:  running sessions of this user: other (pid 7)",
        "  next: start one with debugtool attach",
    ]


def test_several_sessions(sessions: list[system.SessionRecord]) -> None:
    sessions += [record(7, "mine"), record(8, "mine")]
    with pytest.raises(Ambiguous) as caught:
        find_session("mine")
    assert output.error_text(caught.value).splitlines() == [
        "Error: Several debug sessions are meant.",
        "  why:  pid 7  mine  127.0.0.1:3007",
        "         pid 8  mine  127.0.0.1:3008",
        "  next: name one by its pid",
    ]


@pytest.mark.parametrize("name", ["mine", "7", "1007"])
def test_the_session_that_is_meant(sessions: list[system.SessionRecord], name: str) -> None:
    sessions += [record(8, "other"), record(7, "mine")]
    assert find_session(name).target_pid == 7


ERRORS = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, DebugtoolError)]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_three_lines(error: type[DebugtoolError]) -> None:
    raised = error("What.", why="Why,\nin two lines.", next_step="Next.", details={"fact": 1})
    assert output.error_text(raised).splitlines() == [
        "Error: What.",
        "  why:  Why,",
        "         in two lines.",
        "  next: Next.",
    ]
    assert output.error_document(raised) == {
        "code": int(error.exit_code),
        "what": "What.",
        "why": "Why,\nin two lines.",
        "next": "Next.",
        "fact": 1,
    }


def test_every_code_of_the_contract_has_its_error() -> None:
    codes = {error.exit_code for error in ERRORS}
    assert codes == set(ExitCode) - {ExitCode.OK, ExitCode.USAGE, ExitCode.INTERRUPTED}
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
