"""`debugtool reload`: under the embedded host, under go-plugin's own, and where nobody would start the plugin again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attach_driver import Lines, attached, run_debugtool
from dap_client import DapClient
from devhost_host import RunningHost, call, is_running, make_project, run_target, running_host
from gohost_driver import StartGoHost
from process_targets import NOBODY, WAITING, running

AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new plugin with an editable debug build."""
    directory = tmp_path / "my-datasource"
    assert run_debugtool("new", "my-datasource", "--dir", directory).returncode == 0
    assert run_debugtool("build", "--debug", "--editable", directory).returncode == 0
    return directory


@pytest.fixture
def host(project: Path) -> Iterator[RunningHost]:
    with running_host(project, "--restart-poll", "0.1") as host:
        host.wait_event("listening")
        yield host


def pid_of(host: RunningHost) -> int:
    return next(int(event["pid"]) for event in reversed(host.events) if event["event"] in ("started", "restarted"))


def reload(*arguments: object) -> dict[str, Any]:
    done = run_debugtool("reload", *map(str, arguments), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_embedded_host_starts_the_next_one(host: RunningHost, project: Path) -> None:
    old = pid_of(host)
    with attached("--pid", old) as session:
        session.wait_for("ready")
        done = reload("--pid", old)
        session.wait_for("exited")
    assert (done["old_pid"], done["ended_by"], list(done["steps_ms"])) == (old, "Shutdown", ["Shutdown"])
    assert host.wait_event("exited")["code"] == 0
    assert host.wait_event("restarted")["pid"] == done["new_pid"]
    assert (done["host"]["pid"], done["name"]) == (host.process.pid, "my-datasource")
    assert done["grpc_address"].startswith("unix:///")

    told = run_debugtool("reload", cwd=project)  # named by the plugin.json of the directory
    assert told.stdout.splitlines() == [
        f"my-datasource: pid {done['new_pid']} -> {host.wait_event('restarted')['pid']}"
    ]


def test_a_plugin_at_a_breakpoint_is_ended_and_the_session_with_it(host: RunningHost, project: Path) -> None:
    source = project / "backend" / "datasource" / "query.py"
    lines = source.read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.strip().startswith("return "))
    query = {"from": "now-1h", "to": "now", "queries": [{"refId": "A", "datasource": {"uid": "my-datasource"}}]}
    url = f"{host.url}/api/ds/query"
    asking = threading.Thread(target=call, args=(url, query))
    with attached("--pid", pid_of(host)) as session, DapClient(session.port) as editor:
        editor.attach({str(source): [line]})
        asking.start()
        editor.wait_for_stop()
        done = reload("--pid", pid_of(host))
        session.wait_for("exited")
    asking.join(30)
    assert done["new_pid"] == host.wait_event("restarted")["pid"]
    assert call(url, query)[0] == 200


def test_one_that_answers_nothing_any_more_is_killed(host: RunningHost) -> None:
    os.kill(pid_of(host), signal.SIGSTOP)
    done = reload("--pid", pid_of(host))
    assert (done["ended_by"], list(done["steps_ms"])) == ("SIGKILL", ["Shutdown", "SIGTERM", "SIGKILL"])
    assert host.wait_event("exited")["signal"] == signal.SIGKILL


def test_one_without_shutdown_is_ended_by_sigterm(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("stubborn_plugin.py", "refuses"))
    with running_host(tmp_path, "--restart-poll", "0.1") as host:
        host.wait_event("listening")
        assert reload("--pid", pid_of(host))["ended_by"] == "SIGTERM"


def test_go_plugins_own_host_starts_the_next_one(start_go_host: StartGoHost, go_programs: Path) -> None:
    host = start_go_host(go_programs / "sdkplugin", flags=["-restart=1s"])
    done = reload("--pid", host.pid)
    assert (done["old_pid"], done["ended_by"]) == (host.pid, "Shutdown")
    assert host.wait_event("restarted")["pid"] == done["new_pid"]
    host.good("ping")


def test_a_host_that_does_not_start_it_again_is_named(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    done = run_debugtool("reload", "--pid", host.pid, "--timeout", "1")
    assert done.returncode == 5
    assert f"host (pid {host.process.pid}) has not started it again within 1 s" in done.stderr
    assert not is_running(host.pid)
    assert host.process.poll() is None


def test_nobody_would_start_it_again(tmp_path: Path) -> None:
    command = ["sh", "-c", '"$@"; exit 0', "sh", sys.executable, str(WAITING)]
    with running(command) as shell:
        child = int(Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text())
        done = run_debugtool("reload", "--pid", child)
        assert done.returncode == 5
        assert re.search(rf"why:  Its parent is sh \(pid {shell.pid}\)", done.stderr), done.stderr
        assert is_running(child)


def test_what_must_not_be_ended(tmp_path: Path) -> None:
    """Another user's process, one of two with the name, a debugger."""
    script = tmp_path / "twice.py"
    script.write_text(WAITING.read_text())
    with running([sys.executable, script]) as one, running([sys.executable, script]) as two:
        assert run_debugtool("reload", "twice").returncode == 6
        assert run_debugtool("reload", "twic").returncode == 3  # a whole name, not a part of one
        refused = subprocess.run(
            [*AS_NOBODY, sys.executable, "-m", "debugtool", "reload", "--pid", str(one.pid)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 4, refused.stderr
        assert len(refused.stderr.splitlines()) == 3
        assert is_running(one.pid) and is_running(two.pid)

    with subprocess.Popen(["gdb", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as gdb:
        Lines(gdb.stdout)
        assert gdb.stdin is not None
        refused_gdb = run_debugtool("reload", "--pid", gdb.pid)
        assert refused_gdb.returncode == 7, refused_gdb.stderr
        assert gdb.poll() is None
        gdb.stdin.close()
        gdb.wait(30)
