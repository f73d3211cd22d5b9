"""Who may debug whom: other users' targets, other users' debugtool, a root without CAP_SYS_PTRACE, a busy agent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import BREAK_LINE, DEBUGTOOL, ROOT, WORKER, Worker, attached, run_debugtool, running_worker
from dap_client import DapClient

from debugtool.plugin.agent import paths

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
# debugtool itself may be installed where only root can look; reading is all that this capability adds
AS_NOBODY_WHO_MAY_READ = (*AS_NOBODY, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
WITHOUT_PTRACE = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be several users")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that everybody can read: a Python with a venv that has no debugpy, the worker, and the agent."""
    base = Path("/tmp") / f"public-{os.getpid()}"  # pytest's own directories are closed to other users
    base.mkdir(mode=0o755)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = Path(sys.base_prefix)
    try:
        (base / "python" / "bin").mkdir(parents=True)
        shutil.copy(home / "bin" / version, base / "python" / "bin" / "python3")
        unneeded = shutil.ignore_patterns("test", "tests", "site-packages", "__pycache__", "config-*", "idlelib")
        shutil.copytree(home / "lib" / version, base / "python" / "lib" / version, ignore=unneeded)
        for library in (home / "lib").glob("libpython*.so*"):
            shutil.copy(library, base / "python" / "lib")
        subprocess.run(
            [base / "python/bin/python3", "-m", "venv", "--without-pip", base / "venv"],
            env={**os.environ, "LD_LIBRARY_PATH": str(base / "python/lib")},
            check=True,
        )
        shutil.copy(WORKER, base / "worker.py")
        shutil.copytree(ROOT / "debugtool", base / "debugtool", ignore=shutil.ignore_patterns("__pycache__"))
        yield base
    finally:
        shutil.rmtree(base)


@contextlib.contextmanager
def nobodys_worker(public: Path, *arguments: str) -> Iterator[Worker]:
    environment = {"LD_LIBRARY_PATH": str(public / "python/lib"), "PATH": "/usr/bin:/bin"}
    with running_worker(
        *arguments,
        python=public / "venv/bin/python3",
        command=AS_NOBODY,
        script=public / "worker.py",
        env=environment,
        cwd="/",
    ) as worker:
        yield worker


@pytest.fixture
def no_copy_of_debugpy() -> Iterator[Path]:
    """The other user's runtime directory, without what earlier sessions copied there."""
    directory = Path(paths.runtime_dir(NOBODY))
    for copy in directory.glob("debugpy-*"):
        shutil.rmtree(copy)
    yield directory


def stop_and_look(port: int, worker: Worker, source: Path, expression: str) -> str:
    with DapClient(port) as editor:
        editor.attach({source: [BREAK_LINE]})
        worker.send(20)
        thread = editor.wait_for_stop()["threadId"]
        value = editor.evaluate(expression, editor.stack(thread)[0])
        editor.resume(thread)
        assert worker.answer()["answer"] == 41
        editor.disconnect()
    return value


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("method", ["ptrace", "gdb"])
def test_root_debugs_another_users_process(public: Path, no_copy_of_debugpy: Path, method: str, umask: int) -> None:
    """GIVEN a target in a venv without debugpy, and debugtool where its user cannot look THEN it is debugged."""
    with nobodys_worker(public, "idle") as worker:
        assert Path(f"/proc/{worker.pid}").stat().st_uid == NOBODY
        with attached("--pid", worker.pid, "--method", method, umask=umask) as session:
            where = stop_and_look(session.port, worker, public / "worker.py", "__import__('debugpy').__file__")
            assert session.stop() == 0
        facts = worker.ask()
        assert (facts["tracing"], worker.tracer()) == (False, 0)
    if not can_nobody_read(Path(sys.prefix)):
        assert where.strip("'").startswith(str(no_copy_of_debugpy))
    assert list(no_copy_of_debugpy.glob("session-*")) == []


def can_nobody_read(path: Path) -> bool:
    return subprocess.run([*AS_NOBODY, "ls", path], capture_output=True, check=False).returncode == 0


def test_another_user_is_refused() -> None:
    """GIVEN root's process WHEN somebody else attaches THEN it is refused, and says why and what to do."""
    with running_worker("idle") as worker:
        result = subprocess.run(
            [*AS_NOBODY_WHO_MAY_READ, str(DEBUGTOOL), "attach", "--pid", str(worker.pid), "--port", "0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.stderr.splitlines()[1:] == [
            f"Error: May not trace pid {worker.pid} (worker).",
            f"  why:  It runs as uid 0, gid 0; we run as uid {NOBODY}, gid {NOBODY}, and we have no CAP_SYS_PTRACE.",
            "  next: Run debugtool as that user: sudo -u '#0' debugtool attach --pid "
            f"{worker.pid} (more: docs/permissions.md#other-user)",
        ]
        assert (result.returncode, result.stdout) == (4, "")
        assert worker.tracer() == 0
        worker.ask()


def test_a_user_debugs_its_own_process(public: Path) -> None:
    with nobodys_worker(public, "idle") as worker, attached_as_nobody("--pid", str(worker.pid)) as (port, process):
        assert stop_and_look(port, worker, public / "worker.py", "doubled") == "40"
        process.terminate()
        assert process.wait(60) == 0


@contextlib.contextmanager
def attached_as_nobody(*arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    command = [
        *AS_NOBODY_WHO_MAY_READ,
        str(DEBUGTOOL),
        "attach",
        "--json",
        "--port",
        "0",
        "--no-launch-json",
        *arguments,
    ]
    environment = {**os.environ, "HOME": "/nonexistent"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/") as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                assert event["event"] != "error", event
                if event["event"] == "ready":
                    yield event["port"], process
                    break
        finally:
            process.kill()


@pytest.mark.parametrize("method", [None, "ptrace", "gdb"])
def test_root_without_the_capability_is_refused(method: str | None) -> None:
    with running_worker("idle") as worker:
        result = subprocess.run(
            [
                *(*WITHOUT_PTRACE, DEBUGTOOL, "attach", "--pid", str(worker.pid), "--port", "0"),
                *(["--method", method] if method else []),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = result.stderr.splitlines()[1:]
        assert lines[0] == f"Error: May not trace pid {worker.pid} (worker)."
        assert lines[1].startswith("  why:  It has capabilities (CapPrm 0x")
        assert lines[1].endswith(", and we have no CAP_SYS_PTRACE.")
        assert lines[2].startswith("  next: Give debugtool CAP_SYS_PTRACE, which this root does not have;")
        assert lines[2].endswith(" (more: docs/permissions.md#capabilities)")
        assert (len(lines), result.returncode, result.stdout) == (3, 4, "")
        worker.ask()


def test_the_agent_needs_no_capability() -> None:
    with running_worker("idle", "--agent", str(ROOT)) as worker:
        command: list[str | Path] = [
            *WITHOUT_PTRACE,
            DEBUGTOOL,
            "attach",
            "--json",
            "--pid",
            str(worker.pid),
            "--port",
            "0",
        ]
        with subprocess.Popen([*command, "--no-launch-json"], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                events = (json.loads(line) for line in process.stdout)
                ready = next(event for event in events if event["event"] in ("ready", "error"))
                assert (ready["event"], ready.get("method")) == ("ready", "agent")
            finally:
                process.terminate()


def test_root_uses_another_users_agent(public: Path) -> None:
    with nobodys_worker(public, "idle", "--agent", str(public)) as worker:
        with attached("--pid", worker.pid, "--method", "agent") as session:
            assert stop_and_look(session.port, worker, public / "worker.py", "doubled") == "40"
            assert session.stop() == 0
        worker.ask()


def agent_socket(worker: Worker) -> Path:
    return Path(paths.agent_socket(os.geteuid(), worker.pid))


def test_the_agents_socket_is_private() -> None:
    with running_worker("idle", "--agent", str(ROOT)) as worker:
        path = agent_socket(worker)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        knock = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        result = subprocess.run(
            [*AS_NOBODY, "/usr/bin/env", "python3", "-c", knock, path], capture_output=True, text=True, check=False
        )
        assert result.returncode != 0


def test_the_agent_refuses_another_user_who_reaches_its_socket() -> None:
    """GIVEN permissions that somebody opened WHEN another user asks THEN the agent hangs up and starts nothing."""
    with running_worker("idle", "--agent", str(ROOT)) as worker:
        before = worker.ask()
        child = os.fork()
        if child == 0:
            os._exit(ask_as(NOBODY, str(agent_socket(worker)), worker))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert worker.ask()["threads"] == before["threads"]


def ask_as(uid: int, path: str, worker: Worker) -> int:
    """Send the agent a request as another user; 0 when it hung up without an answer. Runs in a child of its own."""
    os.setresuid(uid, uid, 0)  # root stays in reserve, to get through the closed directory
    directory = os.path.dirname(path)  # noqa: PTH120
    os.seteuid(0)
    place = os.open(directory, os.O_PATH)
    os.fchdir(place)
    os.chmod(path, 0o666)  # noqa: PTH101
    os.chmod(directory, 0o711)  # noqa: PTH101
    try:
        os.seteuid(uid)
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            channel.connect(path)
            request = {"socket": "/tmp/none", "token": "x", "debugpy": "/tmp", "uid": uid}
            with contextlib.suppress(BrokenPipeError):
                channel.sendall(json.dumps(request).encode() + b"\n")
            try:
                return len(channel.recv(10))
            except ConnectionResetError:
                return 0
    finally:
        os.seteuid(0)
        os.chmod(directory, 0o700)  # noqa: PTH101


GARBAGE = [
    b"",
    b"\n",
    b"\xff\xfe\xfd\n",
    b"5\n",
    b"[]\n",
    b"{}\n",
    b'{"socket": 1}\n',
    b"[" * 60000 + b"\n",
    b"x" * 70000,
]


def test_the_agent_survives_garbage() -> None:
    with running_worker("idle", "--agent", str(ROOT), stderr=subprocess.PIPE) as worker:
        before = worker.ask()
        for garbage in GARBAGE:
            with socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(10)
                channel.connect(str(agent_socket(worker)))
                with contextlib.suppress(BrokenPipeError):
                    channel.sendall(garbage)
                    channel.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    assert channel.recv(4096).startswith(b'{"failed": "')
        with attached("--pid", worker.pid, "--method", "agent") as session:
            assert stop_and_look(session.port, worker, WORKER, "doubled") == "40"
            assert session.stop() == 0
        assert worker.ask()["threads"] <= before["threads"]
        worker.process.kill()
        assert worker.process.stderr is not None
        assert worker.process.stderr.read() == ""


def test_a_program_that_may_have_no_thread_starts_without_its_agent(public: Path) -> None:
    """The agent never stands in the plugin's way, and leaves no socket that nobody serves."""
    alone = 65531  # nothing else of this user runs: the limit counts all threads of a user
    start = (
        "import sys; sys.path.insert(0, sys.argv[1]); from debugtool.plugin import agent; agent.start('/x'); print(1)"
    )
    done = subprocess.run(
        [
            *("setpriv", f"--reuid={alone}", "--clear-groups", "prlimit", "--nproc=1:1"),
            *(public / "venv/bin/python3", "-c", start, public),
        ],
        env={"LD_LIBRARY_PATH": str(public / "python/lib"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    directory = Path(paths.runtime_dir(alone))
    left = [path.name for path in directory.iterdir()]
    shutil.rmtree(directory)
    assert (done.stdout, done.stderr, left) == ("1\n", "", [])


def test_a_client_that_says_nothing_does_not_keep_others_out() -> None:
    with running_worker("idle", "--agent", str(ROOT)) as worker, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(agent_socket(worker)))
        with attached("--pid", worker.pid, "--method", "agent") as session:
            session.wait_for("ready")


def test_the_socket_of_an_agent_that_was_killed() -> None:
    """GIVEN a stale socket under a process's number WHEN attached to THEN another way is taken, or its reason told."""
    with running_worker("idle") as worker:
        path = agent_socket(worker)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        try:
            with attached("--pid", worker.pid) as session:
                assert session.wait_for("ready")["method"] == "ptrace"
            result = run_debugtool("attach", "--pid", worker.pid, "--port", 0, "--method", "agent")
            assert result.stderr.splitlines()[1:] == [
                f"Error: Could not reach the debug agent of pid {worker.pid} (worker).",
                "  why:  [Errno 111] Connection refused",
                "  next: use --method ptrace",
            ]
            assert result.returncode == 7
        finally:
            path.unlink()


def test_an_agent_takes_the_place_of_a_stale_socket() -> None:
    program = (
        "import os, socket, sys; sys.path.insert(0, sys.argv[1])\n"
        "from debugtool.plugin import agent\n"
        "from debugtool.plugin.agent import paths\n"
        "path = paths.agent_socket(os.geteuid(), os.getpid())\n"
        "paths.make_runtime_dir(os.geteuid())\n"
        "socket.socket(socket.AF_UNIX).bind(path)\n"
        "agent.start(__file__ if '__file__' in globals() else 'x')\n"
        "with socket.socket(socket.AF_UNIX) as channel: channel.connect(path)\n"
        "print(path)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, ROOT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert not Path(result.stdout.strip()).exists()  # removed at its end
