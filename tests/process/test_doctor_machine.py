"""`debugtool doctor` without a plugin: each thing on this machine that stops an attach or a build, brought about."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import ROOT, attached, running_worker
from doctor_driver import DEBUGTOOL, Report, doctor, own_tmp, prepared, with_scope

from debugtool.system import namespace_mark

FORBID_PTRACE = ROOT / "tests" / "targets" / "forbid_ptrace.py"
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# debugtool itself may be installed where only root can look; reading is all that this capability adds
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
OWN_TMP = own_tmp("-o size={size},mode=1777") + "; mount -t tmpfs none /run"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make a mount namespace or be another user")
runtime_directory = f"/tmp/debugtool-{os.geteuid()}"


def test_nothing_stands_in_the_way_here(tmp_path: Path) -> None:
    report = doctor(cwd=tmp_path)
    assert report.problems == []
    assert report.document["target"] is None
    assert [report[check][0] for check in ("platform", "ptrace", "seccomp", "debugpy", "py-spy", "port")] == ["ok"] * 6


def test_people_get_a_line_for_each_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [DEBUGTOOL, "doctor", "--port", "0"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "No problems.\n")
    assert "ok       port              Any free one.\n" in done.stdout
    assert "\x1b" not in done.stdout


@as_root
@pytest.mark.parametrize("scope", [0, 1, 2, 3])
def test_ptrace_scope(tmp_path: Path, scope: int) -> None:
    report = doctor(cwd=tmp_path, through=with_scope(scope))
    assert report.problems == ([] if scope == 0 else ["ptrace"])
    if scope:
        finding = report.finding("ptrace")
        assert finding["why"].startswith(f"/proc/sys/kernel/yama/ptrace_scope is {scope}")
        assert finding["next"].startswith("Use a debug build") and f"#scope-{scope}" in finding["next"]
    assert report.has("seccomp") == (scope < 2), "whether a child may be traced is Yama's word from 2 on"


@as_root
def test_a_seccomp_filter_that_forbids_ptrace(tmp_path: Path) -> None:
    report = doctor(cwd=tmp_path, through=[sys.executable, FORBID_PTRACE])
    assert report.problems == ["seccomp"]
    finding = report.finding("seccomp")
    assert finding["what"].startswith("May not trace pid ") and "EPERM" in finding["why"]
    assert finding["next"].startswith("Run debugtool outside the container")


@as_root
def test_who_is_not_root_is_told_whose_processes_it_reaches(tmp_path: Path) -> None:
    report = doctor(cwd=Path("/"), through=[*AS_NOBODY, *MAY_READ])
    assert report["users"] == ("info", "Only processes of uid 65534 can be attached to.")
    assert report.problems == []


@as_root
def test_inside_a_container(tmp_path: Path) -> None:
    report = doctor(cwd=tmp_path, through=["unshare", "--pid", "--fork", "--mount-proc", "--user", "--map-root-user"])
    finding = report.finding("namespaces")
    assert (finding["status"], finding["why"]) == ("info", "not the machine's own namespace: pid, user")


def test_missing_programs(tmp_path: Path) -> None:
    report = doctor(cwd=tmp_path, environment={"PATH": str(tmp_path)})
    assert [report[check][0] for check in ("gdb", "compiler", "go", "delve")] == ["info"] * 4
    assert report["build-programs"] == ("warning", "objdump and objcopy and ldd are missing.")
    assert report.finding("build-programs")["next"] == "apt-get install binutils libc-bin"
    assert report.problems == [], "no project is here to be built, and an attach takes none of them"


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """An installation of debugtool beside which debugpy and py-spy are missing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=60)
    ours = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    theirs = next((tmp_path / "bare").glob("lib/python*/site-packages"))
    for entry in ours.iterdir():
        if not entry.name.startswith(("debugpy", "py_spy")) and entry.suffix != ".pth":
            (theirs / entry.name).symlink_to(entry)
    (theirs / "source.pth").write_text(f"{ROOT}\n")
    yield theirs


def in_environment(site_packages: Path) -> Report:
    root = site_packages.parents[2]
    path = {"PATH": f"{root / 'bin'}:/usr/bin:/bin"}
    return doctor(cwd=root, program=[root / "bin" / "python", "-m", "debugtool"], environment=path)


def test_debugpy_and_py_spy_are_missing(bare: Path) -> None:
    report = in_environment(bare)
    assert report.problems == ["debugpy", "py-spy"]
    assert report.finding("debugpy")["next"].startswith("install it beside debugtool: pip install 'debugpy<1.9,>=1.8")


def test_a_debugpy_that_this_debugtool_does_not_know_and_a_py_spy_that_does_not_run(bare: Path) -> None:
    (bare / "debugpy").mkdir()
    (bare / "debugpy" / "__init__.py").touch()
    (bare / "debugpy-1.9.0.dist-info").mkdir()
    (bare / "debugpy-1.9.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: debugpy\nVersion: 1.9.0\n")
    py_spy = bare.parents[2] / "bin" / "py-spy"
    py_spy.write_text("#!/bin/sh\necho 'version GLIBC_2.99 not found' >&2; exit 1\n")
    py_spy.chmod(0o755)
    report = in_environment(bare)
    assert report["debugpy"] == ("problem", "debugpy is 1.9.0.")
    assert report.finding("py-spy")["why"] == "version GLIBC_2.99 not found"
    assert report.problems == ["debugpy", "py-spy"]


def test_the_port_is_somebody_elses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        report = doctor("--port", port, cwd=tmp_path)
        assert report.problems == ["port"]
        finding = report.finding("port")
        assert finding["what"] == f"Could not listen on 127.0.0.1:{port}: the address is in use."
        assert f"pid {os.getpid()} (" in finding["why"] and "choose another --port" in finding["next"]
        taken.settimeout(0)
        with pytest.raises(BlockingIOError):
            taken.accept()  # nobody has connected only to look
    assert doctor("--port", port, cwd=tmp_path)["port"] == ("ok", f"{port} is free.")


def test_the_port_is_a_sessions_own(tmp_path: Path) -> None:
    with running_worker("idle") as worker, running_worker("idle") as other, attached("--pid", worker.pid) as session:
        port = session.wait_for("ready")["port"]
        own = doctor("--port", port, "--pid", worker.pid, cwd=tmp_path)
        assert own["port"] == (
            "ok",
            f"{port} is debugtool's own: a session on worker (pid {worker.pid}) listens there.",
        )
        assert own["state"][1].startswith(f"pid {worker.pid} (worker) is attached already: debugtool on 127.0.0.1:")
        assert f"worker (pid {worker.pid}) on 127.0.0.1:{port}" in own["sessions"][1]
        finding = doctor("--port", port, "--pid", other.pid, cwd=tmp_path).finding("port")
        assert (finding["status"], finding["next"].split(",")[0]) == (
            "problem",
            f"end it with debugtool detach {worker.pid}",
        )


@as_root
def test_the_record_of_a_session_that_was_killed() -> None:
    """In a /tmp of its own: whichever command reads the records first removes it."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    times = {"relay_started": 1, "target_pid": 1, "target_started": 1}
    place = {"target_name": "my-ds", "host": "127.0.0.1", "port": 3222, "method": "ptrace"}
    place["namespace"] = namespace_mark()
    record = json.dumps({"relay_pid": ended.pid, **times, **place})
    leave = f"mkdir -m 700 {runtime_directory}; echo '{record}' > {runtime_directory}/session-{ended.pid}.json"
    report = doctor(cwd=Path("/"), through=prepared(f"{OWN_TMP.format(size='64m')}; {leave}"))
    assert report["sessions"] == ("info", "Running: none. Stale records removed: 1.")
    assert report.problems == []


@as_root
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("mkdir -m 755 {}", "is open to others (mode 0755)"),
        ("mkdir -m 700 {0}; chown 65534 {0}", "belongs to user 65534, not to 0"),
        ("ln -s /root {}", "is not a directory"),
        ("mount -o remount,ro /tmp", "or its file system is read-only"),
        ("head -c 15500k /dev/zero > /tmp/full", "are free in /tmp"),
    ],
    ids=["open", "another user's", "link", "read-only", "full"],
)
def test_the_runtime_directory_cannot_be_used(spoil: str, why: str) -> None:
    script = f"{OWN_TMP.format(size='16m')}; {spoil.format(runtime_directory)}"
    report = doctor(cwd=Path("/"), through=prepared(script))
    assert report.problems == ["runtime-directory"]
    assert why in report.finding("runtime-directory")["why"]


@as_root
def test_little_room_is_no_problem_yet() -> None:
    report = doctor(cwd=Path("/"), through=prepared(OWN_TMP.format(size="16m")))
    assert report["runtime-directory"] == ("warning", f"There is little room for {runtime_directory}.")
    assert report.problems == []


def test_a_name_that_nothing_has_is_an_error(tmp_path: Path) -> None:
    report = doctor("no-such-plugin-anywhere", cwd=tmp_path)
    assert (report.code, report.document["error"]["code"]) == (3, 3)


def test_a_name_that_several_have_is_ambiguous(tmp_path: Path) -> None:
    script = tmp_path / "doctor_twins.py"
    shutil.copy(ROOT / "tests" / "targets" / "worker.py", script)
    with running_worker("idle", script=script), running_worker("idle", script=script):
        assert doctor("doctor_twins", cwd=tmp_path).code == 6
