"""The plugin's process: how it starts, what it says, how it ends, and that a busy plugin still answers its host."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gohost_driver import LIMIT_S, Answer, GoHost, StartGoHost, from_base64, queries, query

TARGETS = Path(__file__).resolve().parents[1] / "targets"
COOKIE = {"grafana_plugin_type": "datasource", "PLUGIN_PROTOCOL_VERSIONS": "2"}
MIB = 1024 * 1024


def run_plugin(name: str = "bare_plugin.py", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a plugin that is expected to end by itself."""
    command = [sys.executable, str(TARGETS / name)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class Started:
    """A plugin started by hand as a host starts it, for what a test wants to see of its bare process."""

    def __init__(self, name: str = "bare_plugin.py", **environment: str) -> None:
        command = [sys.executable, str(TARGETS / name)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env={**COOKIE, **environment}, stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=LIMIT_S)

    @property
    def socket(self) -> Path:
        return Path(self.line.split("|")[3])


def resource(host: GoHost, path: str = "") -> Any:
    (message,) = host.good("CallResource", {"pluginContext": {}, "path": path, "method": "GET"})["messages"]
    text = from_base64(message["body"]).decode()
    return json.loads(text) if text.startswith("{") else text


def busy(host: GoHost, **wanted: object) -> int:
    """Start a query and wait until its handler runs."""
    seen = sum(record["@message"] == "query began" for record in host.logs)
    command = host.send("QueryData", queries(query("A", **wanted)), **{"async": True})
    host.wait_log(lambda _: sum(record["@message"] == "query began" for record in host.logs) > seen)
    return command


# How it starts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"grafana_plugin_type": "renderer"}], ids=["no cookie", "wrong cookie"])
def test_run_by_hand_it_says_what_it_is(environment: dict[str, str]) -> None:
    result = run_plugin("noisy_plugin.py", **environment)
    printed_by_the_author = "printed before serve\nwritten to fd 1 before serve\nprinted by a child\n"
    assert result.returncode == 1
    assert sorted(result.stdout.splitlines()) == sorted(printed_by_the_author.splitlines())  # unguarded, as usual
    assert result.stderr.startswith("This is a backend plugin: a program such as Grafana starts it")
    assert "Traceback" not in result.stderr


def test_a_host_with_another_cookie_is_told_nothing(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py", flags=["-cookie=other"])
    assert host.start["event"] == "failed"
    host.wait_message("This is a backend plugin")


def test_automtls_is_refused_in_one_error_line(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py", flags=["-automtls"])
    assert host.start["event"] == "failed"
    record = host.wait_message("asks for AutoMTLS")
    assert (record["@level"], record["@module"]) == ("error", "plugin")
    assert run_plugin(**COOKIE, PLUGIN_CLIENT_CERT="-----BEGIN CERTIFICATE-----").returncode == 1


def test_a_host_of_another_protocol_refuses_our_version(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py", flags=["-version=3"])
    assert host.start["event"] == "failed"
    assert "incompatible API version" in host.start["error"].lower().replace("api", "API")


def test_a_host_that_multiplexes_is_told_that_we_do_not(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py", flags=["-mux"])
    assert host.start["event"] == "failed"
    assert "multiplexing" in host.start["error"]


def test_the_handshake_is_one_line_and_the_socket_is_where_the_host_wants_it(tmp_path: Path) -> None:
    with Started(PLUGIN_UNIX_SOCKET_DIR=str(tmp_path), PLUGIN_PROTOCOL_VERSIONS="3,x,2") as plugin:
        assert plugin.line == f"1|2|unix|{plugin.socket}|grpc|\n"
        assert plugin.socket.is_socket() and plugin.socket.parent == tmp_path
        plugin.process.terminate()
        out, err = plugin.process.communicate(timeout=LIMIT_S)
    assert out == ""
    assert (plugin.process.returncode, plugin.socket.exists()) == (0, False)
    assert "no numbers: x" in json.loads(err.splitlines()[0])["@message"]


def test_the_socket_can_be_shared_with_a_group(tmp_path: Path) -> None:
    group = os.getgid()
    with Started(TMPDIR=str(tmp_path), PLUGIN_UNIX_SOCKET_GROUP=str(group)) as plugin:
        facts = plugin.socket.stat()
        assert plugin.socket.parent == tmp_path
        assert (facts.st_mode & 0o777, facts.st_gid) == (0o660, group)


def test_without_unix_sockets_each_plugin_takes_a_port_of_its_own(start_go_host: StartGoHost) -> None:
    """Two servers can share one TCP port on Linux, and gRPC lets them unless it is told not to."""
    hosts = [start_go_host("tcp_plugin.py"), start_go_host("tcp_plugin.py")]
    ports = set()
    for host in hosts:
        host.good("ping")
        assert host.start["network"] == "tcp" and host.start["address"].startswith("127.0.0.1:")
        ports.add(int(host.start["address"].rpartition(":")[2]))
    assert len(ports) == 2 and all(10000 <= port <= 25000 for port in ports)  # go-plugin's range


def test_a_group_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = run_plugin(**COOKIE, TMPDIR=str(tmp_path), PLUGIN_UNIX_SOCKET_GROUP="no-such-group")
    assert (result.returncode, result.stdout) == (1, "")
    assert "PLUGIN_UNIX_SOCKET_GROUP names no group: no-such-group" in json.loads(result.stderr)["@message"]
    assert list(tmp_path.iterdir()) == []


def test_a_directory_too_long_for_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with Started(TMPDIR=str(deep)) as plugin:
        assert plugin.socket.parent == Path("/tmp")
    result = run_plugin(**COOKIE, PLUGIN_UNIX_SOCKET_DIR=str(deep))
    assert (result.returncode, result.stdout) == (1, "")
    assert "PLUGIN_UNIX_SOCKET_DIR is too long" in json.loads(result.stderr)["@message"]


def test_a_directory_that_is_missing_is_named() -> None:
    result = run_plugin(**COOKIE, PLUGIN_UNIX_SOCKET_DIR="/nowhere")
    assert (result.returncode, result.stdout) == (1, "")
    assert "cannot make a socket in /nowhere: no such directory" in json.loads(result.stderr)["@message"]


def test_importing_the_package_loads_and_changes_nothing() -> None:
    code = """
import logging, os, signal, sys
def state():
    hooks = (signal.getsignal(signal.SIGINT), sys.excepthook, list(logging.getLogger().handlers))
    return hooks, os.fstat(1), dict(os.environ)
before = state()
import debugtool.plugin
assert before == state()
print([name for name in ("grpc", "google.protobuf", "pyarrow", "numpy", "asyncio", "click") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert result.stdout == "[]\n"


def test_nothing_heavy_is_loaded_before_the_first_frame(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    heavy = resource(host)["heavy"]
    assert heavy in ([], ["asyncio"])  # gRPC's own module imports asyncio
    host.good("QueryData", queries())
    assert "pyarrow" in resource(host)["heavy"]


# What it says --------------------------------------------------------------------------------------------------------


def test_prints_never_disturb_the_handshake_and_are_not_lost(start_go_host: StartGoHost) -> None:
    host = start_go_host("noisy_plugin.py")
    assert host.start["event"] == "started"
    resource(host, "long_line")
    host.good("kill")
    printed = [record for record in host.logs if record.get("@module") == "stdout"]
    assert all(record["@level"] == "debug" for record in printed)
    texts = [record["@message"] for record in printed]
    short = [text for text in texts if not text.startswith("x")]
    assert short == [
        "printed before serve",
        "written to fd 1 before serve",
        "printed by a child",
        "printed by the constructor",
        "no newlineprinted by close",
        "printed after serve",
    ]
    assert sum(len(text) for text in texts if text.startswith("x")) == 200_000


def test_log_records_arrive_as_they_were_meant(start_go_host: StartGoHost) -> None:
    host = start_go_host("noisy_plugin.py")
    resource(host, "records")
    host.wait_message("deprecated thing")
    records = {record["@message"]: record for record in host.logs if record.get("@module") == "noisy"}
    levels = {message: record["@level"] for message, record in records.items()}
    assert (levels["traced"], levels["debugged"], levels["informed 7"]) == ("trace", "debug", "info")
    assert (levels["warned\nin two lines"], levels["critical"], levels["12345"]) == ("warn", "error", "info")
    informed = records["informed 7"]
    assert (informed["message"], informed["é"]) == ("5", "ü")  # NaN is no JSON: then all values are texts
    assert (informed["count"], informed["nan"], informed["thing"]) == ("7", "nan", "<class 'object'>")
    (long,) = (record for message, record in records.items() if message.startswith("z"))
    assert "characters" in long["@message"] and long["@level"] == "info" and "characters" in long["much"]
    assert records["caught"]["traceback"].endswith("KeyError: 'missing'")
    assert levels["caught"] == "error"
    broken = host.wait_message("cannot be formatted")
    assert "ValueError: no text" in broken["traceback"]


def test_an_exception_in_a_thread_is_one_error_line(start_go_host: StartGoHost) -> None:
    host = start_go_host("noisy_plugin.py")
    resource(host, "thread")
    record = host.wait_message("uncaught exception in thread doomed: ZeroDivisionError")
    assert record["@level"] == "error" and record["traceback"].startswith("Traceback")
    resource(host, "stderr")
    assert host.wait_message("plain text on stderr")["@level"] == "debug"


def test_a_plugin_that_cannot_be_made_tells_why_in_one_line(tmp_path: Path, start_go_host: StartGoHost) -> None:
    program = tmp_path / "broken.py"
    code = (
        "from debugtool import plugin\nclass Broken:\n    def __init__(self):\n        raise OSError('no database')\n"
    )
    program.write_text(f"{code}plugin.serve(Broken)\n", encoding="utf-8")
    host = start_go_host(sys.executable, program)
    assert host.start["event"] == "failed"
    record = host.wait_message("no database")
    assert record["@level"] == "error"


# A busy plugin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"sleep_s": 60}, {"compute_s": 60}], ids=["hanging", "computing"])
def test_a_plugin_whose_threads_are_all_busy_still_answers_and_ends(start_go_host: StartGoHost, how: Answer) -> None:
    host = start_go_host("busy_plugin.py")
    for _ in range(2):
        busy(host, **how)
    waiting = host.send("QueryData", queries(query("C", **how)), **{"async": True})
    assert host.good("ping")["elapsed_ms"] < 1000
    killed = host.good("kill")
    assert (killed["exited"], killed["exit_code"]) == (True, 0)
    assert killed["kill_ms"] < 2000
    assert host.answer(waiting)["code"] in ("Canceled", "Unavailable")  # who closed first


def test_a_thread_the_author_forgot_does_not_keep_the_process(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    host.good("QueryData", queries(query("A", thread_s=60)))
    killed = host.good("kill")
    assert (killed["exit_code"], killed["kill_ms"] < 2000) == (0, True)


def test_the_host_s_own_calls_use_up_no_worker(start_go_host: StartGoHost) -> None:
    """Stdio and broker are open from the start, and two workers do two things at once all the same."""
    host = start_go_host("busy_plugin.py")
    first, second = busy(host, sleep_s=0.5), busy(host, sleep_s=0.5)
    assert host.answer(first)["ok"] and host.answer(second)["ok"]
    threads = resource(host)["threads"]
    assert [name for name in threads if name.startswith("plugin-worker")] == ["plugin-worker_0", "plugin-worker_1"]


def test_threads_that_answer_the_host_are_hidden_from_debuggers(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    host.good("ping")
    answer = resource(host)
    shown = [name for name in answer["threads"] if name not in answer["hidden"]]
    assert shown == ["MainThread", "plugin-worker_0"]
    assert {"plugin-stdout", "plugin-host", "plugin-control_0"} <= set(answer["hidden"])


def test_cancellation_reaches_the_handler(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    answer = host.call("QueryData", queries(query("A", wait=True)), cancel_after_ms=300)
    assert answer["code"] == "Canceled"
    record = host.wait_message("query was cancelled")
    assert record["cancelled"] is True and record["left_s"] is None


def test_the_deadline_reaches_the_handler(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    answer = host.call("QueryData", queries(query("A", wait=True)), timeout_ms=400)
    assert answer["code"] == "DeadlineExceeded"
    record = host.wait_message("query was cancelled")
    assert record["cancelled"] is True and record["left_s"] < 0.1


def test_many_queries_at_once_are_all_answered(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    commands = [
        host.send("QueryData", queries(query("A", rows=n, sleep_s=0.05)), **{"async": True}) for n in range(100)
    ]
    for rows, command in enumerate(commands):
        answer = host.answer(command)
        assert len(answer["frames"]["A"][0]["data"]["values"][1]) == rows


# Sizes ---------------------------------------------------------------------------------------------------------------


def padded(size: int) -> Answer:
    """A request of about `size` bytes on the wire."""
    padding = base64.b64encode(json.dumps({"pad": "x" * size}).encode()).decode()
    return queries({**query("A"), "json": padding})


def test_requests_of_up_to_16_mib_are_taken(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    assert host.good("QueryData", padded(16 * MIB - 200))["frames"]["A"]
    refused = host.call("QueryData", padded(17 * MIB))
    assert refused["code"] == "ResourceExhausted"
    assert host.good("QueryData", queries())["frames"]["A"]


def test_answers_may_be_large(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    answer = host.good("QueryData", queries(query("A", bytes=40 * MIB)), quiet=True)
    assert answer["size"] > 40 * MIB


# How it ends ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_is_the_host_s_and_sigterm_is_a_clean_end(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    os.kill(host.pid, signal.SIGINT)
    host.good("QueryData", queries())
    os.kill(host.pid, signal.SIGTERM)
    exited = host.good("wait_exit")
    assert exited["exit_code"] == 0
    host.wait_message("sample closed")
    assert not Path(host.start["address"]).exists()


def test_signals_are_not_handed_down(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py")
    assert resource(host, "children") == {"program": "default_int_handler SIG_DFL"}


def test_a_fork_ends_by_sigterm_although_the_plugin_handles_it() -> None:
    """Without gRPC, whose threads make a fork unsafe: only whose signal handlers run is to be seen here."""
    code = """
import os, signal
from debugtool.plugin.ending import Ending
Ending().begin_on_signals()
ready, told = os.pipe()
child = os.fork()
if not child:
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert int(result.stdout) == -signal.SIGTERM


def test_a_killed_plugin_is_noticed_at_once(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    exited = host.good("sigkill")
    assert (exited["exited"], exited["exit_code"]) == (True, -1)


def test_a_plugin_whose_host_was_killed_ends_too(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    plugin = os.pidfd_open(host.pid)
    address = Path(host.start["address"])
    host.process.kill()
    assert host.process.wait(LIMIT_S) != 0
    wait_until_ended(plugin)
    assert not address.exists()


def wait_until_ended(pidfd: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    try:
        assert poller.poll(LIMIT_S * 1000), "the process still runs"
    finally:
        os.close(pidfd)


def test_the_process_gets_only_what_the_host_gives(start_go_host: StartGoHost) -> None:
    host = start_go_host("busy_plugin.py", env={"GF_VERSION": "12.4.0"})
    environment = resource(host)["environment"]
    assert "GF_VERSION" in environment
    assert not {"PATH", "HOME", "TMPDIR", "VIRTUAL_ENV"} & set(environment)
