"""Faults of the machine: full and read-only disks, no file descriptors, stopped processes, a port taken away, a clock.

After each the plugin answers and is untraced, nothing of ours is left, and the next attach works.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attach_driver import (
    BREAK_LINE,
    DEADLINE_S,
    DEBUGTOOL,
    ROOT,
    WORKER,
    AttachSession,
    Lines,
    Worker,
    attached,
    run_debugtool,
    running_worker,
)
from dap_client import DapClient, DapError
from debug_driver import DEBUGGEE, line_of, running_debuggee, with_own_sessions
from fault_driver import POINT, Kept, assert_over, assert_untouched, held, kept_worker, stops_at_breakpoint

from debugtool.errors import ExitCode
from debugtool.plugin.agent import paths
from debugtool.processes.successor import child_pids

RUNTIME = Path(paths.runtime_dir(os.geteuid()))
CRASHES = 3  # so many in a row are a crash loop


def inside(pid: int) -> list[str]:
    """Give a command that runs another in the mount namespace of a process."""
    return ["nsenter", "--mount", "--wdns=.", "--target", str(pid)]


def remount(pid: int, options: str) -> None:
    subprocess.run([*inside(pid), "mount", "-o", f"remount,{options}", RUNTIME], check=True, timeout=DEADLINE_S)


def left_behind(pid: int) -> list[str]:
    """List what there is in the runtime directory of a process's own mount namespace."""
    return sorted(path.name for path in Path(f"/proc/{pid}/root{RUNTIME}").iterdir())


def assert_three_lines(result: subprocess.CompletedProcess[str], why: str) -> None:
    text = result.stderr
    assert "Traceback" not in text, text
    error, reason, step = [line for line in text.splitlines() if not line.startswith("Attaching to ")]
    assert error.startswith("Error: ") and why in reason and step.startswith("  next: "), text


def attach_once(worker_pid: int, *arguments: str | int, through: list[str]) -> subprocess.CompletedProcess[str]:
    return run_debugtool("attach", "--pid", worker_pid, "--port", 0, "--no-launch-json", *arguments, through=through)


# No room for the payload, for its neighbours, for the socket beside them; no writing at all.
@pytest.mark.parametrize("options", ["size=4k", "size=20k", "nr_inodes=5", "ro"])
def test_the_runtime_directory_cannot_take_a_file(options: str) -> None:
    with running_worker("idle", command=with_own_sessions()) as worker:
        before = worker.ask()
        remount(worker.pid, options)
        result = attach_once(worker.pid, through=inside(worker.pid))
        assert result.returncode == ExitCode.FAILED
        assert_three_lines(result, "Read-only" if options == "ro" else "No space left on device")
        assert f"pid {worker.pid} (worker)" in result.stderr
        worker.wait_until_untraced()
        assert worker.settle(before)["fds"] == before["fds"]
        assert left_behind(worker.pid) == []
        remount(worker.pid, "rw,size=64m,nr_inodes=1000")
        assert_stops(worker, through=inside(worker.pid))


def assert_stops(worker: Worker, through: Sequence[str] = ()) -> None:
    """Fail unless a session that begins now stops the worker at a breakpoint."""
    with attached("--pid", worker.pid, through=through) as session:
        stop_once(worker, session.port)
        assert session.stop() == 0
    worker.wait_until_untraced()


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_home_workspace_and_temporary_directory_take_no_file(state: str, tmp_path: Path) -> None:
    """launch.json is not written, which is told; the session is there all the same."""
    place = tmp_path / "place"
    place.mkdir()
    spoil = {"full": f"dd if=/dev/zero of={place}/filler bs=4k; true", "read-only": f"mount -o remount,ro {place}"}
    script = f'mount -t tmpfs -o size=64k own {place} && mkdir {place}/project && ({spoil[state]}) 2>&- && exec "$@"'
    through = ["unshare", "--mount", "sh", "-c", script, "sh"]
    environment = {**os.environ, "HOME": str(place), "TMPDIR": str(place), "XDG_CACHE_HOME": str(place / "cache")}
    project = ["--workspace", str(place / "project")]
    (place / "project").mkdir()  # for the look at the option; the mount hides it
    with running_worker("idle") as worker:
        command = [*through, str(DEBUGTOOL), "attach", "--json", "--port", "0", "--pid", str(worker.pid), *project]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        ) as process:
            session = AttachSession(process)
            try:
                session.wait_for("ready")
                told = session.wait_for("launch_json")
                assert told["path"] is None and told["next"], told
                assert {"full": "No space left", "read-only": "Read-only"}[state] in told["why"], told
                stop_once(worker, session.port)
                assert session.stop() == 0
            finally:
                process.kill()
        worker.wait_until_untraced()


def stop_once(worker: Worker, port: int) -> None:
    """Fail unless an editor stops the worker at a breakpoint."""
    with DapClient(port) as editor:
        editor.attach({WORKER: [BREAK_LINE]})
        worker.send(20)
        editor.resume(editor.wait_for_stop()["threadId"])
        assert worker.answer()["answer"] == 41
        editor.disconnect()


def limit_descriptors(pid: int, limit: int) -> None:
    """Let a process open a file descriptor below a number only; those above stay open."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, 4096))


def highest_descriptor(pid: int) -> int:
    return max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize("limit", [6, 20])
def test_debugtool_has_no_file_descriptors_left(limit: int) -> None:
    with running_worker("idle") as worker:
        before = worker.ask()
        result = attach_once(worker.pid, through=["prlimit", f"--nofile={limit}:4096"])
        assert result.returncode == ExitCode.FAILED
        assert_three_lines(result, "Too many open files")
        assert worker.settle(before)["fds"] == before["fds"]
        assert_stops(worker)


def test_descriptors_run_out_in_the_middle_of_a_session(tmp_path: Path) -> None:
    """The next processes cannot be armed, which is told and is no crash of theirs; the one after them is again."""
    with kept_worker(tmp_path) as kept, held(kept, tmp_path, "") as session:
        session.session.wait_for("ready")
        kept.wait_until_untraced()
        limit_descriptors(session.pid, highest_descriptor(session.pid) + 1)
        for _ in range(CRASHES):
            kept.kill()
            failed = session.session.wait_for("rearm_failed")
            assert "Too many open files" in failed["why"] and failed["next"]
            assert not kept.ask()["tracing"]
        limit_descriptors(session.pid, 4096)
        kept.kill()
        assert session.session.wait_for("rearmed")["pid"] == kept.pid
        assert "crash_loop" not in [event["event"] for event in session.session.events]
        stops_at_breakpoint(kept, session.session.port)
        assert session.session.stop() == 0
        assert "Traceback" not in session.session.error_text()
        assert_over(kept, session)


def test_the_target_has_no_file_descriptors_left() -> None:
    """It is refused; the program serves on, and is attached to once it has some."""
    with running_debuggee() as target:
        limit_descriptors(target.pid, highest_descriptor(target.pid) + 1)
        result = attach_once(target.pid, through=[])
        assert result.returncode == ExitCode.REFUSED
        assert_three_lines(result, "file descriptors open; the debugger needs")
        assert target.call("steps", 4) == 9
        limit_descriptors(target.pid, 4096)
        with attached("--pid", target.pid) as session:
            with DapClient(session.port) as editor:
                editor.attach({DEBUGGEE: [line_of("INSIDE")]})
                target.begin("steps", 4)
                editor.resume(editor.wait_for_stop()["threadId"])
                assert target.result() == 9
                editor.disconnect()
            assert session.stop() == 0
        target.wait_until_untraced()


def stop_length_s(request: pytest.FixtureRequest) -> float:
    """Give for how long a process stands still: in CI longer than a plugin waits for a silent session (2 s)."""
    return 30.0 if request.config.getoption("--all-faults") else 3.0


@contextlib.contextmanager
def standing_still(pid: int, seconds: float = 0.0) -> Iterator[None]:
    """Stop a process for the length of the block, and for some time before that begins."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)  # the fault itself, not a wait for something
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def session_on(directory: Path) -> Iterator[tuple[Kept, AttachSession]]:
    """Attach to a worker for the length of the block; afterwards nothing may be left."""
    with kept_worker(directory) as kept:
        with held(kept, directory, "") as over:
            over.session.wait_for("ready")
            kept.wait_until_untraced()
            yield kept, over.session
            stops_at_breakpoint(kept, over.session.port)
            assert over.session.stop() == 0
        assert_over(kept, over)


@pytest.mark.parametrize("who", ["debugtool", "plugin"])
def test_one_is_stopped_with_an_editor_at_a_breakpoint(
    who: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with session_on(tmp_path) as (kept, session), DapClient(session.port) as editor:
        editor.attach({kept.program: [POINT]})
        kept.send(20)
        thread = editor.wait_for_stop()["threadId"]
        with standing_still(session.process.pid if who == "debugtool" else kept.pid, stop_length_s(request)):
            asked = editor.send("stackTrace", {"threadId": thread})
        assert editor.response(asked)["stackFrames"][0]["name"] == "work"
        editor.disconnect()
        assert kept.answer()["answer"] == 41


def test_the_plugin_is_stopped_while_its_editor_leaves(tmp_path: Path) -> None:
    """It is not let go in time (5 s), but is once it goes on."""
    with session_on(tmp_path) as (kept, session):
        with DapClient(session.port) as editor:
            editor.attach({kept.program: [POINT]})
            session.wait_for("client")
            os.kill(kept.pid, signal.SIGSTOP)
        assert session.wait_for("client")["connected"] is False
        os.kill(kept.pid, signal.SIGCONT)
        kept.wait_until_untraced()


def test_the_plugin_is_stopped_while_an_editor_comes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """In CI the editor is gone before it is refused (15 s); what comes up for it late is let go all the same."""
    is_long = request.config.getoption("--all-faults")
    with session_on(tmp_path) as (kept, session), DapClient(session.port) as editor:
        with standing_still(kept.pid):
            editor.initialize()
            asked = editor.send("attach")
            if is_long:
                with pytest.raises(DapError, match=r"did not (connect|answer) within 15 s"):
                    editor.response(asked)
            else:
                editor.close()
        if not is_long:
            assert [session.wait_for("client")["connected"] for _ in range(2)] == [True, False]
        kept.wait_until_untraced()


EDITOR = """
import sys
from dap_client import DapClient
with DapClient(int(sys.argv[1]), timeout_s=60) as editor:
    editor.attach({sys.argv[2]: [{"line": int(sys.argv[3]), "condition": "number == 20"}]})
    print("attached", flush=True)
    editor.resume(editor.wait_for_stop()["threadId"])
    editor.disconnect()
"""


def test_the_editor_is_stopped(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The plugin waits at its breakpoint until the editor goes on, and the session serves others meanwhile."""
    with session_on(tmp_path) as (kept, session):
        command = [sys.executable, "-c", EDITOR, str(session.port), str(kept.program), str(BREAK_LINE)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as editor:
            lines = Lines(editor.stdout)
            assert lines.next() == "attached\n"
            with standing_still(editor.pid):
                kept.send(20)
                with standing_still(editor.pid, stop_length_s(request)), DapClient(session.port) as second:
                    second.initialize()
                    with pytest.raises(DapError, match="Another editor debugs this process"):
                        second.request("attach")
            assert kept.answer()["answer"] == 41
            assert editor.wait(DEADLINE_S) == 0


THIEF = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listens", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("uid", [os.geteuid(), 65534])
def test_the_port_is_taken_between_the_look_and_the_listening(uid: int, tmp_path: Path) -> None:
    """Whoever takes it: exit 8, and nothing was done to the plugin."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with kept_worker(tmp_path) as kept:
        with held(kept, tmp_path, "locked:stop", "--port", port) as session:
            session.wait_until_stopped()
            command = ["setpriv", f"--reuid={uid}", "--clear-groups", sys.executable, "-Sc", THIEF, str(port)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
                try:
                    assert Lines(listener.stdout).next() == "listens\n"
                    session.go_on()
                    assert session.session.process.wait(DEADLINE_S) == ExitCode.ADDRESS_IN_USE
                finally:
                    listener.kill()
            text = session.session.error_text()
            assert f"127.0.0.1:{port}: the address is in use" in text and f"pid {listener.pid}" in text
        assert_over(kept, session)


def test_an_attach_from_a_time_namespace_where_the_machine_started_long_ago(tmp_path: Path) -> None:
    """Start times count from there: an age, a record and the next process are told right all the same."""
    through = ["unshare", "--fork", "--kill-child", "--time", "--boottime", "1000000", "--monotonic", "1000000"]
    with kept_worker(tmp_path) as kept:
        with attached("--pid", kept.pid, through=through) as session:
            assert 0 <= session.wait_for("target")["uptime_s"] < DEADLINE_S
            stops_at_breakpoint(kept, session.port)
            kept.kill()
            rearmed = session.wait_for("rearmed")
            assert rearmed["pid"] == kept.pid and 0 <= rearmed["window_ms"] < DEADLINE_S * 1000
            stops_at_breakpoint(kept, session.port)
            (relay,) = child_pids(session.process.pid)
            os.kill(relay, signal.SIGTERM)  # unshare itself takes none
            assert session.process.wait(DEADLINE_S) == 0
        assert_untouched(kept)


def test_a_pid_is_used_again_by_another_program(tmp_path: Path) -> None:
    """Records, rendezvous, the follower, `ps`, `detach` and an attach under way do not take it for the old one."""
    through = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o mode=700,size=64m own {paths.make_runtime_dir(os.geteuid())} && exec "$@"'
    command = [
        *through,
        mount,
        "sh",
        sys.executable,
        str(Path(__file__).with_name("pid_reuse_scene.py")),
        str(tmp_path),
    ]
    played = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
