"""`debugtool run` with a plugin on Grafana's own Go SDK: our host against the genuine plugin side."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from devhost_host import DEBUGTOOL, RunningHost, call, call_json, is_running, make_project, running_host

UID = "acme-go-datasource"


@pytest.fixture(scope="module")
def host(go_programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    project = tmp_path_factory.mktemp("go")
    executable = make_project(project, None, id=UID, executable="gpx_acme")
    shutil.copy(go_programs / "goplugin", executable.with_name("gpx_acme_linux_amd64"))
    with running_host(project) as running:
        assert running.url
        yield running


def test_query(host: RunningHost) -> None:
    queries = [{"refId": "A"}, {"refId": "B", "rows": 1}, {"refId": "C", "fail": "no backend"}]

    status, answer = call_json(f"{host.url}/api/ds/query", {"from": "1000", "to": "5000", "queries": queries})

    results = answer["results"]
    times, values = results["A"]["frames"][0]["data"]["values"]
    assert status == 400
    assert times == list(range(1000, 1_001_000, 1000)) and values == [float(row) for row in range(1000)]
    assert results["B"]["frames"][0]["schema"]["name"] == "rows"
    assert results["C"] == {"error": "no backend", "errorSource": "downstream", "status": 502, "frames": []}


def test_health_resources_and_metrics(host: RunningHost) -> None:
    status, health = call_json(f"{host.url}/api/datasources/uid/{UID}/health")
    assert (status, health["message"], health["details"]["uid"]) == (200, "go plugin is healthy", UID)

    url = f"{host.url}/api/datasources/uid/{UID}/resources/a%20b/c?x=1"
    code, headers, body = call(url, b"hello", method="PUT")
    assert (code, headers["X-Go"]) == (202, "yes")
    assert json.loads(body) == {"method": "PUT", "path": "a b/c", "url": "a%20b/c?x=1", "body": "hello"}

    assert b"go_goroutines" in call(f"{host.url}/api/plugins/{UID}/metrics")[2]


def test_log_lines_and_what_go_prints(host: RunningHost) -> None:
    call(f"{host.url}/api/datasources/uid/{UID}/resources/print")

    printed = host.wait_event("log", message="printed by the plugin")

    assert printed["fields"]["stream"] == "stdout"  # go-plugin's StreamStdio
    entries = [event for event in host.events if event["event"] == "log"]
    created = [event for event in entries if event["message"] == "instance created"]
    assert [(event["level"], event["fields"]) for event in created] == [("info", {"uid": UID})]


def test_direct_calls_share_the_hosts_instance(host: RunningHost) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run([DEBUGTOOL, *arguments], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    call_json(f"{host.url}/api/datasources/uid/{UID}/health")
    assert run("health", UID).startswith("OK go plugin is healthy")
    assert "A rows: 3 rows\n" in run("query", "gpx_acme", "rows=3")
    assert json.loads(run("resource", "gpx_acme", "x"))["path"] == "x"
    call(f"{host.url}/api/datasources/uid/{UID}/resources/print")
    host.wait_event("log", message="printed by the plugin")

    # The Go SDK makes a new instance whenever settings or Grafana's configuration differ.
    created = [event for event in host.events if event.get("message") == "instance created"]
    assert len(created) == 1


def test_a_socket_path_that_grpc_would_misread(go_programs: Path, tmp_path: Path) -> None:
    sockets = tmp_path / "with space %41"
    sockets.mkdir()
    shutil.copy(go_programs / "goplugin", make_project(tmp_path, None, id=UID))

    with running_host(tmp_path, environment={**os.environ, "PLUGIN_UNIX_SOCKET_DIR": str(sockets)}) as host:
        address = host.wait_event("started")["address"]
        status, _ = call_json(f"{host.url}/api/datasources/uid/{UID}/health")

    assert address.startswith(f"unix://{sockets}/")
    assert status == 200


def test_restart_and_end(host: RunningHost) -> None:
    pid = call_json(host.url)[1]["pid"]
    os.kill(pid, signal.SIGKILL)
    restarted = host.wait_event("restarted")
    status, health = call_json(f"{host.url}/api/datasources/uid/{UID}/health")
    assert (status, health["details"]["pid"]) == (200, restarted["pid"])

    assert host.end(signal.SIGINT) == 130
    stopped = host.drain()[-1]
    assert (stopped["event"], stopped["code"]) == ("stopped", 0)
    assert not is_running(restarted["pid"])
    assert host.stderr == b""
