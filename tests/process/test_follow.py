"""One session across restarts: the editor stays connected, with its breakpoints, while a plugin is started again."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, attached
from dap_client import DapClient
from devhost_host import PLUGIN_ID, RunningHost, call_json, make_project, run_target, running_host

SAMPLE = Path(__file__).resolve().parents[1] / "targets" / "sample_plugin.py"
HEALTH = f"/api/datasources/uid/{PLUGIN_ID}/health"
RESTART_POLL_S = "0.05"
AS_DEBUG_BUILD = f"#!{sys.executable}\nfrom debugtool.plugin import agent\nagent.start(__file__)\n"


def line_with(text: str) -> int:
    return next(number for number, line in enumerate(SAMPLE.read_text().splitlines(), 1) if text in line)


ROWS = line_with("rows = int(wanted.get")


@pytest.fixture(params=["source", "debug"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningHost]:
    program = run_target("sample_plugin.py")
    if request.param == "debug":
        program = AS_DEBUG_BUILD + program.partition("\n")[2]
    make_project(tmp_path, program)
    with running_host(tmp_path, "--restart-poll", RESTART_POLL_S) as host:
        yield host


class Query(threading.Thread):
    """A query that is under way."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._status = 0
        self.start()

    def run(self) -> None:
        query = {"refId": "A", "datasource": {"uid": PLUGIN_ID}}
        body = {"from": "now-1h", "to": "now", "queries": [query]}
        self._status, _ = call_json(f"{self._url}/api/ds/query", body)

    def finish(self) -> int:
        """Wait for its answer; give the status."""
        self.join(30)
        return self._status


def hit(editor: DapClient, mark: int = ROWS) -> list[int]:
    """Wait for a stop at a line of the sample plugin, look around and continue; give the ids of the breakpoints."""
    stopped = editor.wait_for_stop()
    frame = editor.stack(stopped["threadId"])[0]
    assert (frame["source"]["path"], frame["line"]) == (str(SAMPLE), mark)
    editor.resume(stopped["threadId"])
    ids: list[int] = stopped["hitBreakpointIds"]
    return ids


def test_a_breakpoint_stays_across_restarts(host: RunningHost) -> None:
    """Of a debug build the very first query stops; of another program any query once `rearmed` was told."""
    pid = host.wait_event("started")["pid"]
    with attached("--pid", pid) as session, DapClient(session.port) as editor:
        point = editor.attach({SAMPLE: [ROWS]})[str(SAMPLE)][0]["id"]
        query = Query(host.url)
        assert hit(editor) == [point]
        assert query.finish() == 200
        for _ in range(2):
            pid = restart_and_stop_again(host, session, editor, pid, point)
        editor.disconnect()
        assert session.stop() == 0
    assert call_json(host.url + HEALTH)[0] == 200


def test_the_editors_restart_is_a_reload(host: RunningHost) -> None:
    pid = host.wait_event("started")["pid"]
    with attached("--pid", pid) as session, DapClient(session.port) as editor:
        point = editor.attach({SAMPLE: [ROWS]})[str(SAMPLE)][0]["id"]
        editor.request("restart")
        assert host.wait_event("exited")["code"] == 0  # by Shutdown, as its host ends it
        assert session.wait_for("rearmed")["pid"] != pid
        query = Query(host.url)
        assert hit(editor) == [point]
        assert query.finish() == 200


def restart_and_stop_again(host: RunningHost, session: AttachSession, editor: DapClient, pid: int, point: int) -> int:
    """Kill the plugin and stop in the first query of the next one; give its pid."""
    os.kill(pid, signal.SIGKILL)
    exited = session.wait_for("exited")
    assert exited["pid"] == pid and "to start" in exited["waits_for"]
    next_pid = host.wait_event("restarted")["pid"]
    is_debug_build = next(event for event in session.events if event["event"] == "ready")["method"] == "agent"
    rearmed = {} if is_debug_build else session.wait_for("rearmed")
    query = Query(host.url)
    assert hit(editor) == [point]
    assert query.finish() == 200
    rearmed = rearmed or session.wait_for("rearmed")
    assert (rearmed["pid"], rearmed["before_first_request"]) == (next_pid, is_debug_build)
    return int(next_pid)


@pytest.mark.parametrize("host", ["debug"], indirect=True)
def test_a_session_that_is_stopped_does_not_hold_up_the_plugins_start(host: RunningHost) -> None:
    pid = host.wait_event("started")["pid"]
    with attached("--pid", pid) as session:
        session.wait_for("ready")
        session.process.send_signal(signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            next_pid = host.wait_event("restarted")["pid"]
            assert call_json(host.url + HEALTH)[1]["details"]["pid"] == next_pid
        finally:
            session.process.send_signal(signal.SIGCONT)
        rearmed = session.wait_for("rearmed")
        assert (rearmed["pid"], rearmed["before_first_request"]) == (next_pid, False)
        assert session.stop() == 0
    assert call_json(host.url + HEALTH)[0] == 200
