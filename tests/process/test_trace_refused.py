"""What the kernel really answers, and whether debugtool says the right reason for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from process_targets import NOBODY, WAITING, Running, running

from debugtool.errors import ExitCode
from debugtool.system import try_tracing_a_child

PROBE = WAITING.with_name("trace_probe.py")
WITHOUT_PTRACE = ("capsh", "--drop=cap_sys_ptrace", "--", "-c", 'exec "$0" "$@"')

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be refused as somebody else"),
    pytest.mark.skipif(
        Path("/proc/sys/kernel/yama/ptrace_scope").exists(), reason="Yama would answer first: recorded trees show it"
    ),
]


def probe(pid: int, *options: str, through: tuple[str, ...] = ()) -> dict[str, Any]:
    """Try to trace a process with a program of its own, and give its report."""
    command = [*through, sys.executable, str(PROBE), str(pid), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@contextmanager
def target(*options: str) -> Iterator[Running]:
    with running([sys.executable, WAITING, *options]) as process:
        yield process


def test_root_with_the_capability_is_permitted_whoever_owns_the_process() -> None:
    for options in ((), ("--uid", str(NOBODY)), ("--uid", str(NOBODY), "--undumpable")):
        with target(*options) as process:
            assert probe(process.pid) == {"predicted": None, "errno": None}


def test_a_user_may_trace_its_own_process() -> None:
    with target("--uid", str(NOBODY)) as process:
        assert probe(process.pid, "--uid", str(NOBODY)) == {"predicted": None, "errno": None}


def test_another_users_process_in_full() -> None:
    with target() as process:
        report = probe(process.pid, "--uid", str(NOBODY))
    assert (report["errno"], report["predicted"], report["code"]) == ("EPERM", "other-user", ExitCode.REFUSED)
    assert report["text"] == (
        f"Error: May not trace pid {process.pid} ({Path(sys.executable).name}).\n"
        f"  why:  It runs as uid 0, gid 0; we run as uid {NOBODY}, gid {NOBODY}, and we have no CAP_SYS_PTRACE.\n"
        f"  next: Run debugtool as that user: sudo -u '#0' debugtool attach --pid {process.pid} "
        "(more: docs/permissions.md#other-user)"
    )


def test_a_process_that_hides_from_its_own_user() -> None:
    with target("--uid", str(NOBODY), "--undumpable") as process:
        report = probe(process.pid, "--uid", str(NOBODY))
    assert (report["errno"], report["cause"]) == ("EPERM", "undumpable")


@pytest.mark.skipif(not shutil.which("capsh"), reason="no capsh (Debian: libcap2-bin)")
def test_root_without_the_capability_and_a_target_with_it() -> None:
    with target() as process:
        report = probe(process.pid, through=WITHOUT_PTRACE)
    assert (report["errno"], report["predicted"], report["cause"]) == ("EPERM", "capabilities", "capabilities")


@pytest.mark.skipif(not shutil.which("capsh"), reason="no capsh (Debian: libcap2-bin)")
def test_root_without_the_capability_and_another_users_process() -> None:
    with target("--uid", str(NOBODY)) as process:
        report = probe(process.pid, through=WITHOUT_PTRACE)
    assert (report["errno"], report["cause"]) == ("EPERM", "other-user")


def test_a_process_that_is_traced_already_names_its_tracer() -> None:
    with target() as process, running([sys.executable, WAITING.with_name("tracing.py"), str(process.pid)]) as tracer:
        report = probe(process.pid)
    assert (report["errno"], report["cause"]) == ("EPERM", "traced")
    assert f"(pid {tracer.pid}) traces it already" in report["why"]


def test_a_seccomp_filter_that_forbids_ptrace() -> None:
    with target() as process:
        report = probe(process.pid, "--seccomp")
    assert (report["errno"], report["predicted"], report["cause"]) == ("EPERM", None, "seccomp")
    assert report["next"].startswith("Run debugtool outside the container")


def test_a_child_is_traced_to_see_whether_a_filter_forbids_it() -> None:
    assert try_tracing_a_child() is None
    code = "from debugtool.system import try_tracing_a_child; print(try_tracing_a_child().details['cause'])"
    command = [sys.executable, str(PROBE.with_name("forbid_ptrace.py")), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("seccomp\n", "")


def test_a_zombie_has_ended() -> None:
    with target() as process:
        process.process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        report = probe(process.pid)
    assert (report["errno"], report["predicted"], report["code"]) == ("EPERM", "ended", ExitCode.NOT_FOUND)
    assert "has ended" in report["what"]
