"""A pid used again by another program: run by test_machine_faults.py as the first process of a pid namespace.

There, and with the rights to it, the next pid can be chosen (`/proc/sys/kernel/ns_last_pid`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "process"), str(ROOT / "scripts")]

from attach_driver import DEADLINE_S, WORKER, Lines, attached, run_debugtool  # noqa: E402
from fault_driver import eventually  # noqa: E402
from obedient_host import obedient_host  # noqa: E402

from debugtool.plugin.agent import paths  # noqa: E402
from debugtool.system import process_state  # noqa: E402

RUNTIME = Path(paths.runtime_dir(os.geteuid()))


@contextlib.contextmanager
def newcomer(pid: int, *program: str) -> Iterator[subprocess.Popen[str]]:
    """Run another program under a pid that is free, for the length of the block; it must live through it."""
    eventually(lambda: process_state(pid), "X")
    while True:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.pid == pid:
            break
        process.kill()  # a thread of somebody's was faster
        process.communicate()
    with process:
        assert Lines(process.stdout).next().startswith("ready")
        yield process
        assert process.poll() is None, "it was taken for the one before"
        process.kill()


OTHER = [sys.executable, "-u", "-c", "print('ready'); import time; time.sleep(600)"]


def worker_named(directory: Path, name: str) -> list[str]:
    return [sys.executable, "-u", str(shutil.copy(WORKER, directory / f"{name}.py")), "idle"]


def sessions_are_told_from_newcomers(directory: Path) -> None:
    """Kill debugtool and give its pid away: `ps`, `detach` and the next attach know that its session is over."""
    with subprocess.Popen(
        worker_named(directory, "first"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert Lines(worker.stdout).next().startswith("ready")
        with attached("--pid", worker.pid) as session:
            session.wait_for("ready")
            relay = session.process.pid
            session.stop(signal.SIGKILL)
        record, place = RUNTIME / f"session-{relay}.json", list(RUNTIME.glob(f"rendezvous-{relay}-*.json"))
        assert record.exists()
        left = {path: path.read_bytes() for path in [record, *place]}
        with newcomer(relay, *OTHER):
            listed = json.loads(run_debugtool("ps", "--all", "--json").stdout)
            assert {row["debugger"] for row in listed if row["pid"] == worker.pid} == {None}, listed
            for path, content in left.items():  # what the look has removed
                path.write_bytes(content)
            assert run_debugtool("detach", worker.pid).returncode == 3
            for path, content in left.items():
                path.write_bytes(content)
            with attached("--pid", worker.pid) as session:
                assert session.wait_for("ready").get("reused") is None
                assert session.stop() == 0
            assert not record.exists()
        worker.kill()


def the_next_process_is_told_from_newcomers(directory: Path) -> None:
    """Kill the plugin and give its pid to another program, then to one of its own kind: only that is armed."""
    program = Path(shutil.copy(WORKER, directory / "second.py"))
    with obedient_host(program) as host:
        pid = host.start()
        with attached("--pid", pid) as session:
            session.wait_for("ready")
            host.kill()
            session.wait_for("exited")
            with newcomer(pid, *worker_named(directory, "stranger")):
                following = host.start()
                assert session.wait_for("rearmed")["pid"] == following
            assert session.stop() == 0


def a_newcomer_is_not_attached_to(directory: Path) -> None:
    """The target ends while an attach is on its way, and its pid is another's when the debugger is brought in."""
    command = worker_named(directory, "third")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert Lines(worker.stdout).next().startswith("ready")
        with attached("--pid", worker.pid, env={**os.environ, "DEBUGTOOL_FAULT": "control:stop"}) as session:
            eventually(lambda: process_state(session.process.pid), "T")
            worker.kill()
            worker.wait(DEADLINE_S)
            with newcomer(worker.pid, *worker_named(directory, "fourth")) as stranger:
                session.process.send_signal(signal.SIGCONT)
                assert session.process.wait(DEADLINE_S) == 3
                assert "another process has its number now" in session.error_text()
                assert stranger.stdin is not None
            # all that a session leaves there is its link to debugpy, for the sessions after it
            assert [path.name for path in RUNTIME.iterdir() if not path.name.startswith("debugpy-link-")] == []


SCENES = (sessions_are_told_from_newcomers, the_next_process_is_told_from_newcomers, a_newcomer_is_not_attached_to)

if __name__ == "__main__":
    for scene in SCENES:
        scene(Path(sys.argv[1]))
        print(scene.__name__, "ok", flush=True)
