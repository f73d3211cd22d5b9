"""`debugtool attach` on a Go plugin: delve behind our port, and every measured way to lose the plugin to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from attach_driver import AttachSession, Lines, attached, run_debugtool, running_worker
from dap_client import DapClient, DapError
from go_driver import BREAK_LINE, SOURCE, GoScene, build_plugin, debugging_go, delve_environment, delves_on, find_dlv
from gohost_driver import GoHost, StartGoHost

from debugtool.system import GO_FAULT_POINTS, tracer_of


def test_an_editor_stops_reads_steps_and_leaves(host: GoHost) -> None:
    with debugging_go(host) as scene:
        assert scene.session.wait_for("target")["go"]["optimised"] is False
        ready = scene.session.wait_for("ready")
        assert (ready["method"], ready["stall_ms"] > 0) == ("delve", True)
        scene.assert_answer()
        with scene.stopped() as (editor, stop, question):
            frames = editor.stack(stop["threadId"])
            assert (frames[0]["name"], frames[0]["line"]) == ("main.queryData", BREAK_LINE)
            assert {"query", "response"} <= set(editor.variables(frames[0]))
            paused = scene.session.wait_for("paused")
            assert (paused["path"], paused["line"], paused["host_calls"]) == (str(SOURCE), BREAK_LINE, "stopped")
            assert editor.evaluate("query.RefID", frames[0]) == '"A"'
            editor.request("next", {"threadId": stop["threadId"]})
            assert editor.wait_for_stop()["reason"] == "step"
            assert editor.stack(stop["threadId"])[0]["line"] == BREAK_LINE + 1
            editor.resume(stop["threadId"])
            scene.session.wait_for("continued")
            scene.assert_answer(question)
            with pytest.raises(DapError, match="Another editor"), DapClient(scene.session.port) as second:
                second.initialize()
                second.request("attach")
            editor.disconnect()
        scene.assert_answer()
        assert scene.session.stop() == 0
        scene.assert_free()


@pytest.mark.parametrize("leaving", ["disconnect", "terminate", "hang up"])
def test_an_editor_that_leaves_while_stopped_does_not_leave_the_plugin_stopped(host: GoHost, leaving: str) -> None:
    with debugging_go(host) as scene:
        with scene.stopped() as (editor, _, question):
            if leaving != "hang up":
                editor.request("disconnect", {"terminateDebuggee": leaving == "terminate"})
        scene.assert_answer(question)
        scene.assert_answer()  # its breakpoint has gone with it
        assert scene.session.stop(signal.SIGINT) == 130
        scene.assert_free()


def test_detach_while_stopped(host: GoHost) -> None:
    with debugging_go(host) as scene, scene.stopped() as (editor, _, question):
        assert run_debugtool("detach", host.pid).returncode == 0
        assert editor.wait_for("terminated") is not None
        scene.assert_answer(question)
        scene.assert_free()


def test_delve_connect_and_its_proposal_to_kill(host: GoHost, tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.write_text(f"break {SOURCE}:{BREAK_LINE}\ncontinue\nprint query.RefID\nnext\n")
    with debugging_go(host) as scene:
        command = [find_dlv(), "connect", f"127.0.0.1:{scene.session.port}", "--init", str(commands)]
        with subprocess.Popen(
            [*command, "--allow-non-terminal-interactive"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as client:
            try:
                lines = Lines(client.stdout)
                while "Breakpoint 1 set" not in lines.next():
                    pass
                question = scene.ask()
                assert client.stdin is not None
                client.stdin.write("exit\ny\ny\n")  # it offers to kill the process: yes
                client.stdin.close()
                assert client.wait(60) == 0
            finally:
                client.kill()
            with pytest.raises(EOFError):
                while True:
                    lines.next()
            said = "".join(lines.seen)
        assert f"main.go:{BREAK_LINE}" in said and '"A"' in said, said
        scene.assert_answer(question)
        scene.assert_answer()
        assert scene.session.stop() == 0
        scene.assert_free()


def test_a_client_that_only_begins_a_call_keeps_nobody_out(host: GoHost) -> None:
    with debugging_go(host) as scene:
        with socket.create_connection(("127.0.0.1", scene.session.port), 60) as client:
            client.sendall(b'{"method":')
            with scene.stopped() as (editor, _, question):
                editor.disconnect()
            scene.assert_answer(question)
            assert client.recv(1) == b""  # its time is over
        assert scene.session.stop() == 0
        scene.assert_free()


def test_a_delve_that_hangs_is_told_to_its_next_client(host: GoHost) -> None:
    with debugging_go(host) as scene:
        port = scene.session.port
        delve = tracer_of(host.pid)
        os.kill(delve, signal.SIGSTOP)
        try:
            with DapClient(port) as client:  # not for DAP
                client.socket.settimeout(60)
                client.socket.sendall(b'{"method":"RPCServer.GetVersion","params":[{}],"id":1}')
                answer = json.loads(client.stream.readline())
        finally:
            os.kill(delve, signal.SIGCONT)
        assert (answer["id"], answer["result"]) == (1, None)
        assert "does not answer" in answer["error"]
        with scene.stopped() as (editor, _, question):
            editor.disconnect()
        scene.assert_answer(question)
        assert scene.session.stop() == 0
        scene.assert_free()


def test_a_halt_of_a_halted_plugin_before_the_detach(host: GoHost) -> None:
    with debugging_go(host) as scene:
        with DapClient(scene.session.port) as client:  # not for DAP
            client.socket.sendall(b'{"method":"RPCServer.Command","params":[{"name":"halt"}],"id":1}' * 3)
            for _ in range(3):
                assert b"Running" in client.stream.readline()
        assert scene.session.stop() == 0
        scene.assert_free()


@pytest.mark.parametrize("point", GO_FAULT_POINTS)
def test_debugtool_is_killed_while_it_attaches(host: GoHost, point: str) -> None:
    with debugging_go(host, DEBUGTOOL_FAULT=point) as scene:
        assert scene.session.process.wait(60) == -signal.SIGKILL
        scene.assert_free()


def test_debugtool_is_killed_while_the_plugin_stands_at_a_breakpoint(host: GoHost) -> None:
    with debugging_go(host) as scene, scene.stopped() as (_, _, question):
        scene.session.process.kill()
        scene.assert_answer(question)
        scene.assert_free()


def test_the_plugin_is_killed_while_it_stands_at_a_breakpoint(start_go_host: StartGoHost, debug_plugin: Path) -> None:
    with debugging_go(start_go_host(debug_plugin), "--once") as scene, scene.stopped():
        os.kill(scene.pid, signal.SIGKILL)
        assert scene.session.wait_for("exited")["pid"] == scene.pid
        assert scene.session.process.wait(60) == 0
        deadline = time.monotonic() + 10
        while delves_on(scene.pid) or Path(f"/proc/{scene.pid}").exists():  # its host has collected it
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_a_session_while_threads_run_into_breakpoints(host: GoHost, number: signal.Signals) -> None:
    for _ in range(3):
        with debugging_go(host) as scene, DapClient(scene.session.port) as editor:
            # a condition that never holds: each hit stops and resumes the whole plugin
            editor.attach({SOURCE: [{"line": BREAK_LINE + 4, "condition": "i < 0"}]})
            questions = [scene.ask() for _ in range(8)]
            scene.session.process.send_signal(number)
            scene.session.process.wait(60)
            for question in questions:
                scene.assert_answer(question)
            scene.assert_free()


def test_both_runtimes_side_by_side(host: GoHost) -> None:
    with running_worker("idle") as worker, attached("--pid", worker.pid) as python, debugging_go(host) as scene:
        assert python.port != scene.session.port
        with scene.stopped() as (_, _, question):
            worker.ask()
        scene.assert_answer(question)
        assert [python.stop(), scene.session.stop()] == [0, 0]
        worker.ask()
        scene.assert_free()


def test_launch_json(start_go_host: StartGoHost, debug_plugin: Path, tmp_path: Path) -> None:
    start_go_host(
        shutil.copy(debug_plugin, tmp_path / "sdkplugin_named")
    )  # another file's tests may run that plugin now
    workspace = tmp_path / "elsewhere"
    shutil.copytree(SOURCE.parent, workspace / "cmd" / "sdkplugin")
    done = run_debugtool("launch-json", "sdkplugin_named", "--workspace", workspace, "--print")
    entry = json.loads(done.stdout)
    assert (entry["type"], entry["mode"], entry["port"]) == ("go", "remote", 3222), done.stderr
    root = str(SOURCE.parents[2])
    assert entry["substitutePath"] == [{"from": "${workspaceFolder}", "to": root}]


def refuse(host: GoHost, **environment: str) -> str:
    session: AttachSession
    with attached("--pid", host.pid, env={**delve_environment(), **environment}) as session:
        assert session.process.wait(60) == 7
        return session.error_text()


def test_a_stripped_binary_is_refused_before_anything_is_done(start_go_host: StartGoHost, go_programs: Path) -> None:
    stripped = start_go_host(build_plugin("sdkplugin_stripped", "-ldflags=-w -s"))
    assert "debugtool build --debug" in refuse(stripped)


def test_delve_is_missing_or_too_old(host: GoHost, tmp_path: Path) -> None:
    without = refuse(host, PATH="/usr/bin:/bin", GOBIN=str(tmp_path), GOPATH=str(tmp_path))
    assert "go install github.com/go-delve/delve/cmd/dlv@latest" in without
    old = tmp_path / "dlv"
    old.write_text("#!/bin/sh\necho 'Delve Debugger'; echo 'Version: 1.24.0'\n")
    old.chmod(0o755)
    assert "1.24" in refuse(host, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert delves_on(host.pid) == []


def test_an_optimised_binary_is_said_to_be_one(start_go_host: StartGoHost, go_programs: Path) -> None:
    find_dlv()
    optimised = start_go_host(go_programs / "sdkplugin")
    with attached("--pid", optimised.pid, env=delve_environment()) as session:
        assert session.wait_for("target")["go"]["optimised"] is True
        session.wait_for("ready")
    GoScene(optimised, session).assert_free()
