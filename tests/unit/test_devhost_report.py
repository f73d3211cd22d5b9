"""What `debugtool run` tells, to people and to programs."""

from __future__ import annotations

import json

import pytest

from debugtool.devhost.hclog import LogLine
from debugtool.devhost.report import HumanReporter, JsonReporter
from debugtool.devhost.start_failures import exit_words
from debugtool.errors import DebugtoolError


def test_events_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = JsonReporter("info")
    reporter.event("started", pid=1, address="unix:///x", elapsed_ms=2.5)
    reporter.log(1, LogLine("debug", "hidden"))
    reporter.log(1, LogLine("debug", "printed", plain=True))
    reporter.log(1, LogLine("error", "shown", {"a": [1]}))
    reporter.failed(DebugtoolError("what", why="why", next_step="next", details={"stderr": []}), 0.5)

    started, printed, shown, failed = map(json.loads, capsys.readouterr().out.splitlines())

    assert started.pop("time").endswith("Z")
    assert started == {"event": "started", "pid": 1, "address": "unix:///x", "elapsed_ms": 2.5}
    assert (printed["message"], printed["fields"]) == ("printed", {})
    assert (shown["event"], shown["level"], shown["message"], shown["fields"]) == ("log", "error", "shown", {"a": [1]})
    assert (failed["event"], failed["code"], failed["what"], failed["retry_s"]) == ("error", 1, "what", 0.5)


def test_people_read_log_lines_with_level_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = HumanReporter("acme")
    reporter.log(1, LogLine("debug", "hidden"))
    reporter.log(1, LogLine("debug", "printed by our own runtime", {"@module": "stdout"}))
    reporter.log(1, LogLine("info", "ready", {"n": 1, "traceback": "Traceback:\n  File x\n"}))

    captured = capsys.readouterr()

    assert captured.out == ""
    assert captured.err == (
        "  debug | printed by our own runtime @module=stdout\n"
        "  info  | ready n=1\n        | Traceback:\n        |   File x\n"
    )


def test_people_are_told_of_another_instance(capsys: pytest.CaptureFixture[str]) -> None:
    HumanReporter("acme").event("running_already", pids=[3, 4])

    assert capsys.readouterr().err.startswith("Another acme of the same file runs already, pid [3, 4]: ")


def test_the_same_failure_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = HumanReporter("acme")
    for pid in (11, 12, 13):
        reporter.event("starting", executable="/x")
        reporter.failed(DebugtoolError(f"acme (pid {pid}) did not start.", why="broken"), 1.0)
    reporter.failed(DebugtoolError("something else"), 1.0)
    reporter.event("restarted", pid=14, address="unix:///x", elapsed_ms=3.0)
    reporter.failed(DebugtoolError("something else"), 1.0)

    assert capsys.readouterr().err.splitlines() == [
        "Starting /x",
        "Error: acme (pid 11) did not start.",
        "  why:  broken",
        "Trying again every 1 s, as Grafana does.",
        "Still not started; again in 1 s.",
        "Still not started; again in 1 s.",
        "Error: something else",
        "Trying again every 1 s, as Grafana does.",
        "Started acme again, pid 14, in 3 ms; it listens on unix:///x",
        "Error: something else",
        "Trying again every 1 s, as Grafana does.",
    ]


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [(0, None, "exit code 0"), (None, 9, "killed by SIGKILL"), (None, 63, "killed by signal 63")],
)
def test_how_a_process_ended(code: int | None, number: int | None, words: str) -> None:
    assert exit_words(code, number) == words
