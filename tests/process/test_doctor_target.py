"""`debugtool doctor NAME`: what stops an attach to one running process, brought about."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import Worker, running_worker
from doctor_driver import DEBUGTOOL, Report, doctor, own_tmp, prepared, with_scope
from frozen_driver import Frozen, frozen_program, running_frozen
from go_driver import delve_environment, find_dlv
from process_targets import WAITING, running

from debugtool.plugin.agent import paths

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
HERE = Path("/")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make namespaces or be another user")


@pytest.fixture
def worker() -> Iterator[Worker]:
    with running_worker("idle") as process:
        yield process
        process.ask()


def examine(pid: int, *through: str | Path) -> Report:
    return doctor("--pid", pid, cwd=HERE, through=through)


def test_a_process_that_can_be_attached_to(worker: Worker) -> None:
    report = examine(worker.pid)
    assert report.problems == []
    assert report.document["target"]["pid"] == worker.pid
    assert report["ways-in"] == ("ok", "By ptrace, else gdb." if shutil.which("gdb") else "By ptrace.")
    reasons = report.finding("ways-in")["why"].splitlines()
    assert reasons[0] == "agent: no debug agent listens in it (debugtool build --debug puts one in)"
    assert reasons[1].startswith("remote_exec: needs CPython 3.14")
    assert report["build"] == ("ok", "From source.")
    assert report["optimised"] == ("ok", "Python runs without -O.")


def test_a_stopped_process(worker: Worker) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
        report = examine(worker.pid)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert report.problems == ["state"]
    assert report.finding("state")["next"] == f"let it continue with `kill -CONT {worker.pid}`, then try again"


def test_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert examine(zombie.pid).code == 3


def test_a_process_that_another_debugger_traces(worker: Worker) -> None:
    with subprocess.Popen(
        ["gdb", "-q", "-nx", "-p", str(worker.pid), "-ex", "echo traced\\n"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as gdb:
        assert gdb.stdout is not None
        assert any(line.endswith("traced\n") for line in gdb.stdout)
        report = examine(worker.pid)
        gdb.communicate("detach\nquit\n", timeout=60)
    assert report.problems == ["state", "permission"]
    assert f"(pid {gdb.pid})" in report.finding("permission")["next"] or str(gdb.pid) in report.finding("state")["why"]


def test_a_process_that_debugpy_debugs(tmp_path: Path) -> None:
    script = tmp_path / "debugged.py"
    script.write_text(
        "import debugpy, os, time\n"
        "debugpy.listen(('127.0.0.1', 0))\n"
        "print('ready', os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with running([sys.executable, "-Xfrozen_modules=off", script]) as target:
        report = examine(target.pid)
        assert report.problems == ["state"]
        assert report["state"][1].startswith(f"Another debugger is in pid {target.pid} (debugged): debugpy")
        assert report["frozen-modules"][0] == "ok"


@as_root
@pytest.mark.parametrize("scope", [1, 2, 3])
def test_a_process_that_yama_protects(worker: Worker, scope: int) -> None:
    report = examine(worker.pid, *with_scope(scope))
    assert "permission" in report.problems
    assert not report.has("ptrace"), "the machine's rule is told once, of the process that is meant"
    assert report.finding("permission")["next"].startswith(("Use a debug build", "Give debugtool CAP_SYS_PTRACE"))


@as_root
def test_another_users_process(worker: Worker) -> None:
    report = examine(worker.pid, *AS_NOBODY, *MAY_READ)
    assert report.problems == ["permission"]
    finding = report.finding("permission")
    assert "It runs as uid 0, gid 0; we run as uid 65534" in finding["why"]
    assert finding["next"].startswith("Run debugtool as that user: sudo -u '#0' debugtool attach --pid")


@as_root
@pytest.mark.parametrize(
    ("namespace", "why"),
    [
        ("--net", "another network namespace, so it cannot reach our port"),
        ("--pid", "another pid namespace, so its pid is another one there"),
    ],
)
def test_a_process_in_a_container(namespace: str, why: str) -> None:
    """Each of these made a real attach fail: see the reasons in `check_surroundings`."""
    fork = ["--fork", "--kill-child"] if namespace == "--pid" else []
    with running(["unshare", namespace, *fork, sys.executable, WAITING]) as target:
        pid = target.pid
        if fork:
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        report = examine(pid)
    assert report.problems == ["surroundings"]
    assert report.finding("surroundings")["why"] == f"it has {why}"


@as_root
def test_a_process_with_a_tmp_of_its_own() -> None:
    script = f'{own_tmp()}; mount -t tmpfs none /run; exec "{sys.executable}" "{WAITING}"'
    with running(["unshare", "--mount", "sh", "-c", script]) as target:
        report = examine(target.pid)
        assert report.problems == ["surroundings"]
        assert report["surroundings"][1].endswith(" has another /tmp than debugtool.")
        advice = f"run debugtool where it sees the same: sudo nsenter -t {target.pid} --mount debugtool attach --pid"
        assert report.finding("surroundings")["next"].startswith(advice)
        assert examine(target.pid, "nsenter", "-t", str(target.pid), "--mount").problems == []


@as_root
def test_a_mount_namespace_that_shares_the_meeting_place_is_no_container() -> None:
    with running(["unshare", "--mount", sys.executable, WAITING]) as target:
        assert examine(target.pid).problems == []


def test_a_go_program(go_programs: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [go_programs / "sdkplugin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={"grafana_plugin_type": "datasource", "PLUGIN_PROTOCOL_VERSIONS": "2"},
    ) as program:  # fmt: skip
        try:
            assert program.stdout is not None
            assert program.stdout.readline()
            report = doctor("--pid", program.pid, cwd=HERE, environment=delve_environment())
            nowhere = {"PATH": "/usr/bin:/bin", "GOPATH": str(tmp_path)}
            without_delve = doctor("--pid", program.pid, cwd=HERE, environment=nowhere)
        finally:
            program.kill()
    assert report.problems == []
    assert report["runtime"][1].startswith("go 1.")
    assert report["ways-in"] == ("ok", f"By delve, {find_dlv()}.")
    assert report["build"] == ("warning", f"pid {program.pid} (sdkplugin) was optimised by the compiler.")
    assert without_delve.problems == ["delve", "runtime", "ways-in"]


@pytest.fixture(scope="module")
def frozen() -> Iterator[Frozen]:
    with running_frozen(frozen_program()) as target:
        yield target


def test_a_release_build(frozen: Frozen) -> None:
    report = examine(frozen.pid)
    assert report.problems == []
    finding = report.finding("build")
    assert (finding["status"], finding["next"]) == ("warning", "debugtool build --debug makes one to debug")
    assert report["standard-library"][0] == "ok"


@as_root
def test_a_release_build_that_no_python_of_this_machine_completes(frozen: Frozen) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    roots = [Path(sys.base_prefix), Path("/usr"), Path("/usr/local"), *Path.home().glob(".pyenv/versions/*")]
    places = {root / "lib" / version / "xmlrpc" for root in roots}
    report = examine(frozen.pid, *prepared("; ".join(f"mount -t tmpfs none '{one}'" for one in places if one.is_dir())))
    assert report.problems == ["standard-library"]
    assert report.finding("standard-library")["next"].startswith("make a debug build: debugtool build --debug")


@pytest.mark.parametrize(
    ("options", "environment", "why"),
    [
        (["-O"], {}, "-O on its command line"),
        (["-uOX", "dev"], {}, "-O on its command line"),
        ([], {"PYTHONOPTIMIZE": "2"}, "PYTHONOPTIMIZE=2 in its environment"),
    ],
)
def test_asserts_are_off(options: list[str], environment: dict[str, str], why: str) -> None:
    with running([sys.executable, *options, WAITING], env=environment) as target:
        finding = examine(target.pid).finding("optimised")
    assert (finding["status"], finding["why"]) == ("info", why)


def test_modules_that_are_frozen_into_the_interpreter(worker: Worker) -> None:
    assert examine(worker.pid)["frozen-modules"][0] == "info"
    with running([sys.executable, "-X", "frozen_modules=off", WAITING]) as target:
        assert examine(target.pid)["frozen-modules"] == ("ok", "All modules come from files.")


def test_children_are_named() -> None:
    with running([sys.executable, WAITING, "--helper"]) as target:
        (child,) = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()
        assert examine(target.pid)["children"] == ("info", f"It has 1 child process: pid {child}.")


def test_an_agents_socket_that_nobody_listens_on(worker: Worker) -> None:
    path = Path(paths.make_runtime_dir(os.geteuid())) / f"agent-{worker.pid}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    try:
        report = examine(worker.pid)
    finally:
        path.unlink()
    assert report.problems == ["agent"]
    assert report.finding("agent")["next"] == f"attach without it, by --method ptrace, or remove {path}"


def test_the_installed_command_ends_with_1_and_says_how_many(worker: Worker) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        command = [str(DEBUGTOOL), "doctor", "--pid", str(worker.pid), "--port", "0"]
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert (done.returncode, done.stderr) == (1, "1 problem.\n")
    lines = done.stdout.splitlines()
    at = lines.index(f"problem  state             Could not attach to pid {worker.pid} (worker).")
    assert lines[at + 1].strip() == "why:  it is stopped (SIGSTOP or Ctrl-Z), so it cannot run the debugger"
    assert lines[at + 2].strip().startswith("next: let it continue with `kill -CONT")
