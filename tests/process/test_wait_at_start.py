"""`attach --wait-at-start` under the genuine go-plugin host: a start that is held, for a person and never for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attach_driver import ROOT, AttachSession, Lines, attached, run_debugtool, running_worker
from dap_client import DapClient
from debug_driver import line_of, pythons_of, write_debug_build
from gohost_driver import GoHost, queries

ID = "acme-held-datasource"
MANIFEST = f'{{"id": "{ID}", "type": "datasource", "backend": true, "executable": "held", "name": "Held"}}'
SOURCE = """
from debugtool import plugin


class Held:
    def query_data(self, ctx, time_range, data_source, queries):
        return {query.ref_id: {"value": [1]} for query in queries}


READY = True  # START
plugin.serve(Held)  # SERVE
"""


class Plugin:
    """A debug build, and the host that starts it: in a thread, since that waits for the handshake line."""

    def __init__(self, directory: Path, host: Path) -> None:
        (directory / "plugin.json").write_text(MANIFEST)
        self.source = directory / "backend.py"
        self.source.write_text(SOURCE)
        self.program = directory / "held_linux_amd64"
        write_debug_build(self.program, Path(sys.executable), self.source)
        self._command: list[Any] = [host, [self.program]]
        self._done = threading.Event()
        self._started = threading.Event()
        self._host: GoHost | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with GoHost(*self._command, flags=["-restart=100ms"]) as host:
            self._host = host
            self._started.set()
            self._done.wait()

    def start(self) -> None:
        self._thread.start()

    @property
    def host(self) -> GoHost:
        """The host, once the plugin has given its handshake line."""
        assert self._started.wait(30)
        assert self._host is not None
        return self._host

    @property
    def has_started(self) -> bool:
        return self._started.is_set()

    def end(self) -> None:
        self._done.set()
        if self._thread.ident:
            self._thread.join(30)


@pytest.fixture
def plugin(go_programs: Path, tmp_path: Path) -> Iterator[Plugin]:
    plugin = Plugin(tmp_path, go_programs / "host")
    yield plugin
    plugin.end()


def held(plugin: Plugin, session: AttachSession) -> dict[str, Any]:
    """Start the plugin once the session waits for it; give the `held` event."""
    session.wait_for("waiting")
    plugin.start()
    session.wait_for("ready")
    return session.wait_for("held")


def stand_at(plugin: Plugin, session: AttachSession, editor: DapClient, mark: str, reason: str) -> int:
    """Wait for a stop at a line of the plugin that both editor and session are told of; give the thread."""
    stopped = editor.wait_for_stop()
    thread: int = stopped["threadId"]
    assert (stopped["reason"], editor.stack(thread)[0]["line"]) == (reason, line_of(mark, plugin.source))
    assert session.wait_for("paused")["line"] == line_of(mark, plugin.source)
    return thread


def test_a_start_stops_in_its_own_code_and_once_more_before_the_first_request(plugin: Plugin) -> None:
    with attached(ID, "--wait", "--wait-at-start", cwd="/") as session:
        assert held(plugin, session)["left_s"] <= 50
        with DapClient(session.port) as editor:
            editor.attach({plugin.source: [line_of("START", plugin.source)]})
            assert session.wait_for("hold_ended")["by"] == "editor"
            thread = stand_at(plugin, session, editor, "START", "breakpoint")
            assert session.events[-1]["limits"][0]["limit"] == "handshake"
            assert not plugin.has_started
            editor.resume(thread)
            thread = stand_at(plugin, session, editor, "SERVE", "entry")
            question = plugin.host.send("QueryData", queries(), **{"async": True})
            assert plugin.host.good("ping")["elapsed_ms"] < 1000
            names = {each["name"] for each in editor.request("threads")["threads"]}
            assert "MainThread" in names
            editor.resume(thread)
            assert plugin.host.answer(question)["ok"]
            os.kill(plugin.host.pid, signal.SIGKILL)
            session.wait_for("held")
            assert session.wait_for("hold_ended")["by"] == "editor"
            editor.resume(stand_at(plugin, session, editor, "START", "breakpoint"))
            stand_at(plugin, session, editor, "SERVE", "entry")
            editor.disconnect()  # which lets it go
            plugin.host.wait_event("restarted")
            assert plugin.host.good("QueryData", queries())
        assert session.stop() == 0


PROGRAM = """
print("served", flush=True)  # STOP
input()
"""

STARTER = """
import sys
sys.path.insert(0, ROOT)
from debugtool.plugin.debugger import stop_at_start
stop_at_start()  # STOP
print("served", flush=True)
input()
"""


@pytest.mark.parametrize("text", [PROGRAM, STARTER.replace("ROOT", repr(str(ROOT)))], ids=["program", "plugin"])
@pytest.mark.parametrize("python", pythons_of("3.12", "3.13"), ids=lambda python: python.parents[1].name)
def test_the_stop_on_interpreters_with_monitoring(text: str, python: Path, tmp_path: Path) -> None:
    """As much of a plugin as runs without gRPC stops before its first request; what is no plugin at its first line."""
    assert_stops_at_start(text, python, tmp_path)


@pytest.mark.parametrize("python", pythons_of("oldest", "3.11"), ids=lambda python: python.parents[1].name)
def test_a_program_on_anything_else_stops_at_its_first_line(python: Path, tmp_path: Path) -> None:
    assert_stops_at_start(PROGRAM, python, tmp_path)


def assert_stops_at_start(text: str, python: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "starter.py", tmp_path / f"starting{os.getpid()}"  # a name that nobody else has
    source.write_text(text)
    write_debug_build(program, python, source)
    with attached(program.name, "--wait", "--wait-at-start", cwd="/") as session:
        session.wait_for("waiting")
        process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            lines = Lines(process.stdout)
            with DapClient(session.port) as editor:
                editor.attach()
                stopped = editor.wait_for_stop()
                frame = editor.stack(stopped["threadId"])[0]
                place = (stopped["reason"], frame["source"]["path"], frame["line"])
                assert place == ("entry", str(source), line_of("STOP", source))
                editor.resume(stopped["threadId"])
                assert lines.next() == "served\n"
                editor.disconnect()
            assert session.stop() == 0
        finally:
            process.kill()
            process.communicate()


def test_without_an_editor_a_start_is_held_for_its_time_only(plugin: Plugin) -> None:
    with attached(ID, "--wait", "--wait-at-start", "--hold", "1", cwd="/") as session:
        held(plugin, session)
        assert session.wait_for("hold_ended")["by"] == "limit"
        assert plugin.host.good("QueryData", queries())
        with DapClient(session.port) as editor:
            editor.attach()
            editor.disconnect()
        assert session.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_session_that_ends_lets_the_start_go_on(plugin: Plugin, number: signal.Signals) -> None:
    with attached(ID, "--wait", "--wait-at-start", cwd="/") as session:
        held(plugin, session)
        session.stop(number)
        assert plugin.host.good("QueryData", queries())


def test_what_is_no_debug_build_is_refused_and_runs_on() -> None:
    with running_worker() as worker:
        done = run_debugtool("attach", "--pid", worker.pid, "--wait-at-start")
        assert (done.returncode, done.stderr) == (
            7,
            f"Error: Cannot wait at the start of pid {worker.pid} (worker).\n"
            "  why:  its build is source: only the agent of a debug build waits before the plugin's own code\n"
            "  next: make a debug build, debugtool build --debug --editable, and have the host start that\n",
        )
        worker.ask()


def test_a_program_that_appears_and_is_no_debug_build_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "held_worker.py"
    script.write_text((Path(__file__).parents[1] / "targets" / "worker.py").read_text())
    with attached("held_worker", "--wait", "--wait-at-start", cwd="/") as session:
        session.wait_for("waiting")
        with running_worker(script=script) as worker:
            assert session.process.wait(30) == 7
            worker.ask()


def test_a_go_project_is_refused_before_anything_is_waited_for(tmp_path: Path) -> None:
    assert run_debugtool("new", "my-go", "--runtime", "go", cwd=tmp_path).returncode == 0
    done = run_debugtool("attach", "--wait", "--wait-at-start", cwd=tmp_path / "my-go")
    assert done.returncode == 7
    assert "it is a Go program" in done.stderr
