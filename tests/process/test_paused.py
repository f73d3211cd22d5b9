"""A process that stands at a breakpoint: what the session tells of it, and what its host gets of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached
from dap_client import DapClient
from debug_driver import DEBUGGEE, debugging, line_of, stop_at
from devhost_host import TARGETS
from go_driver import debugging_go, delves_on
from gohost_driver import GoHost, StartGoHost, queries, query

from debugtool import processes
from debugtool.reload import end_instance

SAMPLE = TARGETS / "sample_plugin.py"
ROWS = next(n for n, text in enumerate(SAMPLE.read_text().splitlines(), 1) if "rows = int(wanted.get" in text)
MANIFEST = '{"id": "acme-sample-datasource", "type": "datasource", "backend": true, "executable": "sample_plugin"}'


def as_plugin(directory: Path) -> Path:
    """Put a program that runs the sample plugin beside a plugin.json; give it."""
    (directory / "plugin.json").write_text(MANIFEST)
    program = directory / "sample_plugin.py"
    program.write_text(f"import runpy\nrunpy.run_path({str(SAMPLE)!r}, run_name='__main__')\n")
    return program


def test_of_any_program_it_is_told_where_it_stands_and_for_how_long() -> None:
    with debugging() as scene, scene.editor({DEBUGGEE: [line_of("INSIDE")]}) as editor:
        scene.target.begin("steps", 4)
        frame = stop_at(editor, "breakpoint", "INSIDE")
        paused = scene.session.wait_for("paused")
        assert (paused["pid"], paused["reason"], paused["thread"]) == (
            scene.target.pid,
            "breakpoint",
            frame["threadId"],
        )
        assert (paused["path"], paused["line"], paused["function"]) == (str(DEBUGGEE), frame["line"], frame["name"])
        assert (paused["host_calls"], paused["limits"]) == ("unknown", [])
        editor.resume(frame["threadId"])
        assert scene.session.wait_for("continued")["pid"] == scene.target.pid
        assert scene.target.result() == 9
        scene.target.begin("steps", 4)
        stop_at(editor, "breakpoint", "INSIDE")
        scene.session.wait_for("paused")
    scene.session.wait_for("continued")  # by the editor's leaving


@contextlib.contextmanager
def paused_query(host: GoHost) -> Iterator[tuple[AttachSession, DapClient, int]]:
    """Have an editor stop a plugin in a query; gives the session, the editor and the query."""
    with attached("--pid", host.pid) as session, DapClient(session.port) as editor:
        editor.attach({SAMPLE: [ROWS]})
        question = host.send("QueryData", queries(), **{"async": True})
        editor.wait_for_stop()
        paused = session.wait_for("paused")
        assert (paused["line"], paused["host_calls"]) == (ROWS, "answered")
        assert paused["limits"] == [{"limit": "alert", "limit_s": 30.0, "left_s": 30.0}]
        yield session, editor, question


@pytest.fixture
def host(start_go_host: StartGoHost, tmp_path: Path) -> GoHost:
    return start_go_host(sys.executable, as_plugin(tmp_path))


def assert_waiting(session: AttachSession, editor: DapClient, pid: int) -> None:
    """Fail unless the session waits for the next process, with its editor."""
    assert session.wait_for("exited")["pid"] == pid
    editor.wait_for("continued")
    assert editor.request("threads")["threads"] == []
    assert session.stop() == 0


def test_debugtools_own_code_is_not_the_users_even_where_it_runs_from_a_checkout(host: GoHost) -> None:
    with attached("--pid", host.pid) as session, DapClient(session.port) as editor:
        editor.attach({SAMPLE: [ROWS]}, exceptions=["userUnhandled"])
        failing = host.send("QueryData", queries(query(**{"raise": "boom"})), **{"async": True})
        stopped = editor.wait_for_stop()
        assert stopped["reason"] == "exception"
        assert editor.stack(stopped["threadId"])[0]["source"]["path"] == str(SAMPLE)
        editor.resume(stopped["threadId"])
        assert "boom" in str(host.answer(failing))
        answered = host.send("QueryData", queries(), **{"async": True})
        thread = editor.wait_for_stop()["threadId"]
        editor.request("stepOut", {"threadId": thread})
        frames = editor.stack(editor.wait_for_stop()["threadId"])
        assert {frame["source"]["path"] for frame in frames} == {str(SAMPLE)}
        editor.request("stepOut", {"threadId": thread})
        assert host.answer(answered)["frames"]["A"]


def test_a_host_that_stops_gets_its_shutdown_and_the_plugin_ends_in_good_order(host: GoHost) -> None:
    with paused_query(host) as (session, editor, _):
        assert host.good("ping")["elapsed_ms"] < 1000
        killed = host.good("kill")
        assert (killed["exited"], killed["exit_code"]) == (True, 0)
        host.wait_message("sample closed")  # by its own close(): the main thread was let go, too
        assert_waiting(session, editor, host.pid)


def test_sigterm_ends_a_plugin_whose_threads_stand_still(host: GoHost) -> None:
    with paused_query(host) as (session, editor, _):
        os.kill(host.pid, signal.SIGTERM)
        assert host.good("wait_exit")["exit_code"] == 0
        host.wait_message("sample closed")
        assert_waiting(session, editor, host.pid)


def test_a_host_that_is_killed_leaves_no_plugin_at_a_breakpoint(host: GoHost) -> None:
    with paused_query(host) as (session, editor, _):
        host.process.kill()
        assert_waiting(session, editor, host.pid)


def test_a_plugin_in_go_is_let_go_for_the_shutdown_of_its_host(debug_plugin: Path, start_go_host: StartGoHost) -> None:
    host = start_go_host(debug_plugin)
    with debugging_go(host) as scene, scene.stopped() as (editor, _, _):
        assert scene.session.wait_for("paused")["host_calls"] == "stopped"
        killed = host.good("kill")
        assert (killed["exited"], killed["exit_code"]) == (True, 0)
        assert scene.session.wait_for("let_go")["pid"] == host.pid
        assert_waiting(scene.session, editor, host.pid)
        assert delves_on(host.pid) == []


def test_a_plugin_in_go_is_let_go_to_be_ended_by_debugtool(debug_plugin: Path, start_go_host: StartGoHost) -> None:
    # whose Shutdown comes on a connection that the plugin has not accepted: there is no descriptor to look at
    host = start_go_host(debug_plugin)
    with debugging_go(host) as scene, scene.stopped() as (editor, _, _):
        assert scene.session.wait_for("paused")["host_calls"] == "stopped"
        ending = asyncio.run(end_instance(processes.find_target(None, pid=host.pid)))
        assert ending.by == "Shutdown", ending
        assert scene.session.wait_for("let_go")["why"] == "debugtool ends it"
        assert host.good("wait_exit")["exit_code"] == 0
        assert_waiting(scene.session, editor, host.pid)
