"""`debugtool run` from start to end: restarts as Grafana's, stops as go-plugin's, nothing left behind."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from devhost_host import (
    DEBUGTOOL,
    PLUGIN_ID,
    call_json,
    is_running,
    make_project,
    run_target,
    running_host,
    write_program,
)

HANDSHAKE = "print('1|2|unix|/nowhere|grpc', flush=True)\n"
RESTARTS = 40  # each takes the half second that Python needs to import gRPC
HEALTH = f"/api/datasources/uid/{PLUGIN_ID}/health"


def test_start_restart_and_stop_of_a_python_plugin(tmp_path: Path) -> None:
    executable = make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path) as host:
        assert host.wait_event("starting")["executable"] == str(executable)
        started = host.wait_event("started")
        assert started["address"].startswith("unix:///") and started["elapsed_ms"] > 0
        listening = host.wait_event("listening")
        assert listening["host"] == "127.0.0.1" and listening["url"] == f"http://127.0.0.1:{listening['port']}"
        status, health = call_json(host.url + HEALTH)
        assert (status, health["status"], health["details"]["pid"]) == (200, "OK", started["pid"])

        os.kill(started["pid"], signal.SIGKILL)
        exited = host.wait_event("exited")
        restarted = host.wait_event("restarted")
        status, health = call_json(host.url + HEALTH)

        assert (exited["pid"], exited["code"], exited["signal"]) == (started["pid"], None, signal.SIGKILL)
        assert restarted["restarts"] == 1 and restarted["pid"] != started["pid"]
        assert health["details"]["pid"] == restarted["pid"]
        assert host.end(signal.SIGTERM) == 0
        stopped = host.drain()[-1]
        assert (stopped["event"], stopped["pid"], stopped["code"]) == ("stopped", restarted["pid"], 0)
        assert not is_running(restarted["pid"])

    assert host.stderr == b""


def test_while_the_plugin_is_down_requests_get_503(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path, "--restart-poll", "60") as host:
        pid = host.wait_event("started")["pid"]
        os.kill(pid, signal.SIGKILL)
        host.wait_event("exited")
        answers = [
            call_json(host.url + HEALTH),
            call_json(host.url + f"/api/datasources/uid/{PLUGIN_ID}/resources/x"),
            call_json(host.url + "/api/ds/query", {"from": "now-1h", "to": "now", "queries": [{"refId": "A"}]}),
            call_json(host.url + f"/api/plugins/{PLUGIN_ID}/metrics"),
        ]
        code = host.end(signal.SIGTERM)

    assert [status for status, _ in answers] == [503] * 4
    assert {body["message"] for _, body in answers} == {"Plugin unavailable"}
    assert code == 0


def test_requests_wait_while_the_plugin_starts(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path, "--restart-poll", "0.05") as host:
        pid = host.wait_event("started")["pid"]
        url = host.url
        blocked = run_target("sample_plugin.py").replace(
            "import runpy, sys", f"import runpy, sys\nopen({str(gate)!r}).read()"
        )
        write_program(tmp_path / "dist" / "sample-datasource_linux_amd64", blocked)
        os.kill(pid, signal.SIGKILL)
        host.wait_event("starting")
        answers: list[int] = []
        request = threading.Thread(target=lambda: answers.append(call_json(url + HEALTH)[0]))
        request.start()
        request.join(0.3)
        assert request.is_alive()  # neither refused nor 503
        gate.write_text("go")
        request.join(30)

    assert answers == [200]


def test_ctrl_c_on_the_terminal_ends_both_cleanly(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path) as host:
        pid = host.wait_event("started")["pid"]
        host.wait_event("listening")
        os.killpg(host.process.pid, signal.SIGINT)  # what a terminal does: to the whole group
        code = host.process.wait(30)
        stopped = host.drain()[-1]

    assert code == 130
    assert (stopped["event"], stopped["code"], stopped["signal"]) == ("stopped", 0, None)
    assert not is_running(pid)


def test_ctrl_c_while_the_plugin_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    make_project(
        tmp_path,
        "import os, signal, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nprint('slow', file=sys.stderr)\ntime.sleep(60)",
    )

    with running_host(tmp_path) as host:
        host.wait_log("slow")
        os.killpg(host.process.pid, signal.SIGINT)
        code = host.process.wait(30)

    assert code == 130
    assert not is_running(int(pid_file.read_text()))


@pytest.mark.parametrize("mode", ["answers", "refuses"])
def test_a_plugin_that_does_not_obey_shutdown_is_killed_after_two_seconds(tmp_path: Path, mode: str) -> None:
    make_project(tmp_path, run_target("stubborn_plugin.py", mode))

    with running_host(tmp_path) as host:
        pid = host.wait_event("started")["pid"]
        host.wait_event("listening")
        begin = time.monotonic()
        code = host.end()
        took = time.monotonic() - begin
        stopped = host.drain()[-1]

    assert code == 0
    assert (stopped["event"], stopped["signal"]) == ("stopped", signal.SIGKILL)
    assert 2.0 <= took < 10
    assert not is_running(pid)


def test_a_plugin_that_blocks_in_shutdown_is_killed_by_the_second_ctrl_c(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("stubborn_plugin.py", "blocks"))

    with running_host(tmp_path) as host:
        pid = host.wait_event("started")["pid"]
        host.wait_event("listening")
        host.process.send_signal(signal.SIGINT)
        host.wait_log("shutdown asked, mode blocks")
        with pytest.raises(subprocess.TimeoutExpired):
            host.process.wait(2.5)  # go-plugin's 2 s begin only after the answer
        code = host.end(signal.SIGINT)
        stopped = host.drain()[-1]

    assert code == 130
    assert (stopped["event"], stopped["signal"]) == ("stopped", signal.SIGKILL)
    assert not is_running(pid)


def test_a_plugin_that_keeps_dying_is_restarted_without_back_off(tmp_path: Path) -> None:
    make_project(tmp_path, HANDSHAKE + "raise SystemExit(7)")

    with running_host(tmp_path, "--restart-poll", "0.2") as host:
        times = []
        for number in range(1, 6):
            assert host.wait_event("exited")["code"] == 7
            assert host.wait_event("restarted")["restarts"] == number
            times.append(time.monotonic())
        code = host.end()

    assert code == 0
    assert times[-1] - times[0] < 4 * 1.5  # four looks, each 0.2 s and a start


def test_a_failed_restart_is_said_and_tried_again(tmp_path: Path) -> None:
    executable = make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path, "--restart-poll", "0.3") as host:
        pid = host.wait_event("started")["pid"]
        write_program(executable, "raise SystemExit('broken build')")
        os.kill(pid, signal.SIGKILL)
        first, second = host.wait_event("error"), host.wait_event("error")
        write_program(executable, run_target("sample_plugin.py"))
        restarted = host.wait_event("restarted")
        status, _ = call_json(host.url + HEALTH)

    assert first["stderr"] == second["stderr"] == ["broken build"]
    assert first["code"] == 1 and first["retry_s"] == 0.3
    assert restarted["restarts"] >= 3
    assert status == 200


def test_a_child_that_holds_stderr_hides_the_plugins_end(tmp_path: Path) -> None:
    gate, child_file = tmp_path / "gate", tmp_path / "child"
    os.mkfifo(gate)
    child = f"open({str(gate)!r}).read()"
    make_project(
        tmp_path,
        f"import os, subprocess, sys, time\nif not os.path.exists({str(child_file)!r}):\n"
        f"    child = subprocess.Popen([sys.executable, '-IS', '-c', {child!r}], stdout=subprocess.DEVNULL)\n"
        f"    open({str(child_file)!r}, 'w').write(str(child.pid))\n{HANDSHAKE}time.sleep(60)",
    )

    with running_host(tmp_path, "--restart-poll", "0.1") as host:
        pid = host.wait_event("started")["pid"]
        os.kill(pid, signal.SIGKILL)
        warning = host.wait_log("holds its stdout or stderr")
        assert "exited" not in [event["event"] for event in host.events]  # as little as Grafana notices
        gate.write_text("end")
        exited = host.wait_event("exited")
        host.wait_event("restarted")

    child_pid = int(child_file.read_text())
    assert warning["level"] == "warn"
    assert f"pid {pid} has ended, but pid {child_pid} (python" in warning["message"]
    assert exited["pid"] == pid
    assert not is_running(child_pid)


def test_an_address_where_nobody_listens_is_pointed_out(tmp_path: Path) -> None:
    make_project(tmp_path, "import time\n" + HANDSHAKE + "time.sleep(60)")

    with running_host(tmp_path) as host:
        pid = host.wait_event("started")["pid"]
        status, answer = call_json(
            host.url + "/api/ds/query", {"from": "now-1h", "to": "now", "queries": [{"refId": "A"}]}
        )
        warning = host.wait_log("nobody answers there")

    assert (status, answer["messageId"]) == (500, "plugin.connectionUnavailable")
    assert f"pid {pid} announced unix:///nowhere" in warning["message"]


def test_many_restarts_under_load_leave_nothing_in_the_host(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path, "--restart-poll", "0.02") as host:
        pid = host.wait_event("started")["pid"]
        url = host.url
        done, statuses = threading.Event(), set()

        def keep_asking() -> None:
            while not done.is_set():
                statuses.add(call_json(url + HEALTH)[0])

        clients = [threading.Thread(target=keep_asking) for _ in range(4)]
        for client in clients:
            client.start()
        opened = []
        for number in range(1, RESTARTS + 1):
            os.kill(pid, signal.SIGKILL)
            pid = host.wait_event("restarted")["pid"]
            if number in (RESTARTS // 4, RESTARTS):
                opened.append(len(os.listdir(f"/proc/{host.process.pid}/fd")))  # noqa: PTH208 - no paths
        done.set()
        for client in clients:
            client.join(30)
        status, _ = call_json(url + HEALTH)
        code = host.end()

    assert (status, code) == (200, 0)
    assert statuses <= {200, 500, 503}  # 500: killed while it was asked
    assert opened[1] <= opened[0] + 6  # connections of four clients come and go
    assert host.stderr == b""


def test_what_a_plugin_prints_after_the_handshake_never_blocks_it(tmp_path: Path) -> None:
    make_project(
        tmp_path,
        "import sys, time\n" + HANDSHAKE + "print('hello', flush=True)\nprint('x' * 300000)\n"
        "for _ in range(20000): print('y' * 50)\nprint('flooded', file=sys.stderr, flush=True)\ntime.sleep(60)",
    )

    with running_host(tmp_path) as host:
        hello = host.wait_event("log", message="hello")
        host.wait_event("log", message="flooded")

    assert hello["level"] == "debug" and hello["fields"]["stream"] == "stdout"
    warnings = [event for event in host.events if event["event"] == "log" and event["level"] == "warn"]
    assert len(warnings) == 1 and "above 64 KiB on stdout" in warnings[0]["message"]


def test_a_log_line_that_would_crash_grafana_is_pointed_out(tmp_path: Path) -> None:
    make_project(
        tmp_path,
        "import sys, time\n"
        + HANDSHAKE
        + """print('{"@level": "info", "@message": 12}', file=sys.stderr, flush=True)
time.sleep(60)""",
    )

    with running_host(tmp_path) as host:
        warning = host.wait_log("would crash Grafana itself")

    assert "its @message is no string" in warning["message"]


def test_another_instance_of_the_same_executable_is_pointed_out(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))

    with running_host(tmp_path) as first:
        pid = first.wait_event("started")["pid"]
        with running_host(tmp_path) as second:
            pids = second.wait_event("running_already")["pids"]

    assert pids == [pid]


def test_a_port_in_use_is_exit_code_8_and_starts_nothing(tmp_path: Path) -> None:
    make_project(tmp_path, "open('started', 'w')")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [DEBUGTOOL, "run", tmp_path, "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd=tmp_path,
        )

    assert done.returncode == 8
    assert f"Could not listen on 127.0.0.1:{port}" in done.stderr
    assert f"by pid {os.getpid()} (" in done.stderr and "--port 0" in done.stderr
    assert not (tmp_path / "started").exists()


def test_when_the_reader_of_the_events_goes_the_host_ends(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))
    host = subprocess.Popen(
        [DEBUGTOOL, "run", tmp_path, "--port", "0", "--json", "--restart-poll", "0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    lines = [host.stdout.readline() for _ in range(3)]
    host.stdout.close()
    pid = int(lines[1].partition('"pid": ')[2].partition(",")[0])

    os.kill(pid, signal.SIGKILL)  # the next event finds nobody
    _, stderr = host.communicate(timeout=30)

    assert host.returncode == 0
    assert stderr == ""


def test_people_are_told_what_to_do_next(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))
    host = subprocess.Popen(
        [DEBUGTOOL, "run", tmp_path, "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert host.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        said += host.stderr.readline()
    url = said.partition("HTTP API on ")[2].split()[0]
    call_json(url + "/api/ds/query", {"from": "now-1h", "to": "now", "queries": [{"print": "from the plugin"}]})
    host.send_signal(signal.SIGINT)
    stdout, rest = host.communicate(timeout=30)

    assert "Started sample-datasource, pid " in said
    assert "debugtool query sample-datasource" in said and "debugtool attach sample-datasource" in said
    assert f"curl -s {url}/api/ds/query" in said
    assert "from the plugin" in rest and "Stopped sample-datasource, pid " in rest and "exit code 0" in rest
    assert (host.returncode, stdout) == (130, "")
    assert "\x1b[" not in said + rest  # colour is for terminals


def test_a_terminal_gets_colour_and_the_plugins_text_as_it_is(tmp_path: Path) -> None:
    make_project(
        tmp_path,
        "import sys, time\nprint('[ERROR] [bold]no markup[/bold]', file=sys.stderr)\n" + HANDSHAKE + "time.sleep(60)",
    )
    ours, theirs = pty.openpty()
    host = subprocess.Popen(
        [DEBUGTOOL, "run", tmp_path, "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    said = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while b"Ctrl-C" not in said:
            said += terminal.read(4096)
        host.send_signal(signal.SIGTERM)
        assert host.wait(30) == 0

    assert b"\x1b[31m  error | [ERROR] [bold]no markup[/bold]" in said
