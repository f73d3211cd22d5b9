"""Is an interpreter up: recorded answers of py-spy and recorded states of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from debugtool.errors import ExitCode, ProcessGone, Refused
from debugtool.inject.readiness import check_state, is_permission_error, runs_python
from debugtool.model import Build, Runtime, Target

PID = 4711
TARGET = Target(PID, "my-datasource", None, Runtime.CPYTHON, "3.11.7", Build.SOURCE, None, "me", 1000, 0.0)


def thread(*filenames: str, tid: int | None = PID, name: str | None = "MainThread") -> dict[str, Any]:
    """Make a thread as `py-spy dump --json` gives it, frames innermost first."""
    return {"thread_name": name, "os_thread_id": tid, "frames": [{"filename": f, "name": "f"} for f in filenames]}


IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>")


@pytest.mark.parametrize(
    ("situation", "threads", "ready"),
    [
        ("a script", [thread("threading.py", "/app/main.py")], True),
        ("a script that imports", [thread(*IMPORTING, "/app/main.py")], True),
        ("python -c", [thread("<string>")], True),
        ("python -m, 3.8", [thread("/app/x.py", "/lib/python3.8/runpy.py")], True),
        ("python -m, 3.11", [thread("/app/x.py", "<frozen runpy>", "<frozen runpy>")], True),
        ("an exit handler", [thread("/app/main.py")], True),
        ("3.8 and 3.9 give no thread id and no name", [thread("/app/main.py", tid=None, name=None)], True),
        ("3.13 gives no name", [thread("/app/main.py", name=None)], True),
        ("others beside", [thread("/lib/threading.py", tid=PID + 1, name="pool"), thread("/app/main.py")], True),
        ("a program of its own called website.py", [thread("/app/website.py")], True),
        ("no thread", [], False),
        ("no frame yet, or none any more", [thread()], False),
        ("frozen start-up code", [thread("<frozen importlib._bootstrap_external>", "<frozen zipimport>")], False),
        ("site, 3.8", [thread("/app/sitecustomize.py", *IMPORTING, "/lib/python3.8/site.py")], False),
        ("site, 3.11", [thread("/app/sitecustomize.py", *IMPORTING, "<frozen site>")], False),
        ("PyInstaller's run-time hook", [thread("inspect.py", "pyi_rth_inspect.py")], False),
        ("PyInstaller's boot", [thread("pyimod02_importers.py", "pyiboot01_bootstrap.py")], False),
        ("only others run", [thread("/a.py", tid=PID + 1, name="a"), thread("/b.py", tid=PID + 2, name="b")], False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_main_thread_runs_its_program(situation: str, threads: list[dict[str, Any]], ready: bool) -> None:
    assert runs_python(threads, PID) is ready, situation


# Recorded from py-spy 0.4.1 as another user
DENIED = """\
Permission Denied: Try running again with elevated permissions by going 'sudo env "PATH=$PATH" !!'
Error: Failed to get process executable name. Check that the process is running.

Caused by:
    0: Permission denied (os error 13)
    1: Permission denied (os error 13)
"""
NOT_YET = "Error: Failed to find python version from target process\n"


def test_a_refusal_of_py_spy() -> None:
    assert is_permission_error(DENIED)
    assert is_permission_error("Error: Operation not permitted (os error 1)")


@pytest.mark.parametrize("text", ["", NOT_YET, "Error: No such file or directory (os error 2)\n"])
def test_other_failures_of_py_spy(text: str) -> None:
    assert not is_permission_error(text)


def record(proc: Path, state: str, tracer: int = 0) -> Path:
    (proc / str(PID)).mkdir()
    (proc / str(PID) / "status").write_text(f"Name:\tpython\nState:\t{state}\nTgid:\t{PID}\nTracerPid:\t{tracer}\n")
    return proc


@pytest.mark.parametrize("state", ["R (running)", "S (sleeping)", "D (disk sleep)"])
def test_a_process_that_runs(tmp_path: Path, state: str) -> None:
    check_state(TARGET, record(tmp_path, state))


def test_a_zombie(tmp_path: Path) -> None:
    with pytest.raises(ProcessGone) as caught:
        check_state(TARGET, record(tmp_path, "Z (zombie)"))
    assert caught.value.what == f"Pid {PID} (my-datasource) has ended."
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ProcessGone):
        check_state(TARGET, tmp_path)


def test_a_stopped_process(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        check_state(TARGET, record(tmp_path, "T (stopped)"))
    assert caught.value.next_step == f"let it continue with `kill -CONT {PID}`, then try again"


def test_a_traced_process_names_its_tracer(tmp_path: Path) -> None:
    record(tmp_path, "t (tracing stop)", tracer=99)
    (tmp_path / "99").mkdir()
    (tmp_path / "99" / "comm").write_text("strace\n")
    with pytest.raises(Refused) as caught:
        check_state(TARGET, tmp_path)
    assert caught.value.why == "pid 99 (strace) traces it already, and Linux allows one tracer"


def test_a_tracer_that_has_just_ended(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        check_state(TARGET, record(tmp_path, "t (tracing stop)", tracer=99))
    assert "pid 99 (which has just ended)" in caught.value.why
