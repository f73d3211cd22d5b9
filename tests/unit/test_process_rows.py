"""Targets as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from debugtool import processes
from debugtool.cli import main
from debugtool.errors import NotFound
from debugtool.model import Build, ProcessRef, Runtime, Target
from debugtool.processes.rows import target_document, target_table, uptime_words

WEATHER = Target(
    pid=4711,
    name="my-datasource",
    plugin_id="acme-weather-datasource",
    runtime=Runtime.CPYTHON,
    runtime_version="3.11.7",
    build=Build.DEBUG,
    host=ProcessRef(400, "grafana"),
    user="anna",
    uid=1000,
    started_at=1000.0,
    grpc_address="unix:///tmp/plugin123",
    executable=Path("/usr/bin/python3.11"),
)
SPARE = replace(WEATHER, pid=7, plugin_id=None, host=None, grpc_address=None, runtime=Runtime.GO, runtime_version=None)


def test_table_is_aligned_and_says_nothing_as_a_dash() -> None:
    assert target_table([WEATHER, SPARE], now=1090.0) == [
        "PID   NAME           PLUGIN ID                RUNTIME         BUILD  HOST           USER  UPTIME  "
        "GRPC ADDRESS           DEBUGGER",
        "4711  my-datasource  acme-weather-datasource  cpython 3.11.7  debug  grafana (400)  anna  1m 30s  "
        "unix:///tmp/plugin123  -",
        "7     my-datasource  -                        go              debug  -              anna  1m 30s  "
        "-                      -",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0s"), (59.9, "59s"), (61, "1m 1s"), (7200, "2h 0m"), (90061, "1d 1h")]
)
def test_uptime_in_two_units(seconds: float, words: str) -> None:
    assert uptime_words(seconds) == words


def test_document_is_plain_json() -> None:
    document = json.loads(json.dumps(target_document(WEATHER)))
    assert document["host"] == {"pid": 400, "name": "grafana"}
    assert (document["runtime"], document["build"], document["debugger"]) == ("cpython", "debug", None)


def test_ps_prints_results_on_stdout_and_advice_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "list_targets", lambda everything: [WEATHER] if everything else [])
    full = CliRunner().invoke(main, ["ps", "--all"])
    assert (full.exit_code, full.stderr) == (0, "")
    assert full.stdout.splitlines()[1].startswith("4711  my-datasource")
    empty = CliRunner().invoke(main, ["ps"])
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "debugtool ps --all" in empty.stderr
    as_json = CliRunner().invoke(main, ["ps", "--json"])
    assert (as_json.exit_code, as_json.stdout, as_json.stderr) == (0, "[]\n", "")


def test_ps_of_a_name_that_does_not_run_is_exit_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> list[Target]:
        raise NotFound(f"No process is called {name}.", why="Running plugins: none.", next_step="Start it.")

    monkeypatch.setattr(processes, "find_targets", refuse)
    result = CliRunner().invoke(main, ["ps", "x"])
    assert result.exit_code == 3
    assert result.stderr == "Error: No process is called x.\n  why:  Running plugins: none.\n  next: Start it.\n"
