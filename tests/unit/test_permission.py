"""Recorded /proc trees: what is read from them, and what is said about it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from debugtool.errors import ProcessGone
from debugtool.output import error_text
from debugtool.system import Cause, Permission, examine, explain_refusal, in_initial_pid_namespace, why_not
from debugtool.system.permission import parse_status
from debugtool.system.refusal import DOCS

# Recorded on Linux 6.18; the lines that nothing here reads are left out.
STATUS = """\
Name:	{name}
Umask:	0022
State:	{state}
Tgid:	{pid}
Pid:	{pid}
PPid:	{ppid}
TracerPid:	{tracer}
Uid:	{uids}
Gid:	{gids}
FDSize:	64
Groups:	 
CapInh:	0000000000000000
CapPrm:	{cap}
CapEff:	{cap}
CapBnd:	000001fffeffffff
NoNewPrivs:	0
Seccomp:	{seccomp}
Seccomp_filters:	{filters}
voluntary_ctxt_switches:	1
"""  # noqa: W291 - as the kernel prints it

ROOT_CAPABILITIES = "000001fffeffffff"
WITHOUT_PTRACE = "000001fffef7ffff"
NONE = "0000000000000000"
OURS, TARGET = 100, 4711


def write_process(
    proc: Path,
    pid: int,
    *,
    name: str = "my-datasource",
    ppid: int = 1,
    state: str = "S (sleeping)",
    tracer: int = 0,
    uid: int = 1000,
    gid: int = 1000,
    cap: str = NONE,
    seccomp: int = 0,
    namespaces: dict[str, int] | None = None,
) -> None:
    directory = proc / str(pid)
    (directory / "ns").mkdir(parents=True)
    fields = {"name": name, "state": state, "pid": pid, "ppid": ppid, "tracer": tracer, "cap": cap}
    uids, gids = "\t".join([str(uid)] * 4), "\t".join([str(gid)] * 4)
    text = STATUS.format(**fields, uids=uids, gids=gids, seccomp=seccomp, filters=int(seccomp == 2))
    (directory / "status").write_text(text)
    (directory / "uid_map").write_text("         0          0 4294967295\n")
    for kind, inode in ({"user": 1, "pid": 2, "mnt": 3, "net": 4} | (namespaces or {})).items():
        (directory / "ns" / kind).symlink_to(f"{kind}:[{inode}]")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine where user 1000 runs debugtool (pid 100) and, from init, the plugin (pid 4711); no Yama."""
    write_process(tmp_path, OURS, name="debugtool")
    write_process(tmp_path, TARGET)
    (tmp_path / "self").symlink_to(str(OURS))
    return tmp_path


def set_scope(proc: Path, value: str) -> None:
    file = proc / "sys/kernel/yama/ptrace_scope"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def change(proc: Path, pid: int, old: str, new: str) -> None:
    status = proc / str(pid) / "status"
    text = status.read_text()
    assert old in text
    status.write_text(text.replace(old, new))


def read(proc: Path) -> Permission:
    """Examine the target; who owns the files of a recorded tree says nothing about a process."""
    return replace(examine(TARGET, proc=proc), dumpable=None)


def test_everything_is_read(proc: Path) -> None:
    set_scope(proc, "1")
    permission = examine(TARGET, proc=proc)
    assert (permission.scope, permission.tracer, permission.is_descendant) == (1, None, False)
    assert permission.same_namespaces == {"user": True, "pid": True, "mnt": True, "net": True}
    assert permission.in_initial_user_namespace
    assert permission.is_same_user
    target = permission.target
    assert (target.pid, target.name, target.uids, target.state) == (TARGET, "my-datasource", (1000,) * 4, "S")
    assert (target.no_new_privs, target.seccomp, target.seccomp_filters) == (False, 0, 0)


def test_a_kernel_that_says_nothing_of_seccomp() -> None:
    status = parse_status("Name:\ta\nState:\tR (running)\nPid:\t1\nPPid:\t0\nUid:\t0 0 0 0\nGid:\t0 0 0 0\n")
    assert (status.seccomp, status.seccomp_filters, status.no_new_privs, status.tracer_pid) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("scope", "cause"), [(None, None), ("0", None), ("1", "scope-1"), ("2", "scope-2"), ("3", "scope-3")]
)
def test_each_scope_without_the_capability(proc: Path, scope: str | None, cause: str | None) -> None:
    if scope:
        set_scope(proc, scope)
    refusal = why_not(read(proc))
    assert (refusal and str(refusal.cause)) == cause


@pytest.mark.parametrize(("scope", "cause"), [("1", None), ("2", None), ("3", "scope-3")])
def test_the_capability_overrides_all_scopes_but_3(proc: Path, scope: str, cause: str | None) -> None:
    set_scope(proc, scope)
    change(proc, OURS, f"CapEff:\t{NONE}", f"CapEff:\t{ROOT_CAPABILITIES}")
    refusal = why_not(read(proc))
    assert (refusal and str(refusal.cause)) == cause


def test_scope_1_lets_us_trace_a_descendant(proc: Path) -> None:
    set_scope(proc, "1")
    write_process(proc, 300, name="sh", ppid=OURS)
    change(proc, TARGET, "PPid:\t1", "PPid:\t300")
    assert read(proc).is_descendant
    assert why_not(read(proc)) is None
    set_scope(proc, "2")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.ADMIN_ONLY


def test_scope_1_in_full(proc: Path) -> None:
    set_scope(proc, "1")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert error_text(refusal.as_error()) == (
        "Error: May not trace pid 4711 (my-datasource).\n"
        "  why:  /proc/sys/kernel/yama/ptrace_scope is 1: only a descendant of the tracer may be traced, or a process "
        "that named its tracer with PR_SET_PTRACER; this one is no descendant of ours, and we have no CAP_SYS_PTRACE.\n"
        "  next: Use a debug build of the plugin, whose own agent needs no ptrace: debugtool build --debug --editable "
        "(more: docs/permissions.md#scope-1)"
    )
    assert refusal.as_error().exit_code == 4
    assert [fix for fix in refusal.fixes if "ptrace_scope=0" in fix] == [refusal.fixes[-1]], "the global one is last"


def test_scope_3_offers_neither_sudo_nor_a_lower_value(proc: Path) -> None:
    set_scope(proc, "3")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert "not even by root" in refusal.why
    assert not any("sudo" in fix for fix in refusal.fixes)


def test_another_users_process_comes_before_the_scope(proc: Path) -> None:
    set_scope(proc, "1")
    change(proc, TARGET, "1000\t1000\t1000\t1000", "33\t33\t33\t33")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.OTHER_USER
    assert refusal.why == ("It runs as uid 33, gid 33; we run as uid 1000, gid 1000, and we have no CAP_SYS_PTRACE.")
    assert refusal.fixes[0] == "Run debugtool as that user: sudo -u '#33' debugtool attach --pid 4711"


def test_a_process_that_changed_its_user_is_not_ours(proc: Path) -> None:
    change(proc, TARGET, "Uid:\t1000\t1000\t1000\t1000", "Uid:\t1000\t0\t0\t0")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert "uid 1000/0/0, gid 1000" in refusal.why


def test_root_without_the_capability_is_refused_like_anybody(proc: Path) -> None:
    for pid in (OURS, TARGET):
        change(proc, pid, "1000\t1000\t1000\t1000", "0\t0\t0\t0")
    change(proc, OURS, NONE, WITHOUT_PTRACE)
    assert why_not(read(proc)) is None
    change(proc, TARGET, f"CapPrm:\t{NONE}", f"CapPrm:\t{ROOT_CAPABILITIES}")
    set_scope(proc, "1")  # lowering it would not help, so it is not the reason that is given
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.CAPABILITIES
    assert "--cap-add=SYS_PTRACE" in refusal.fixes[0], "sudo gives nothing to who is root already"


def test_where_sudo_cannot_work_it_is_said_so(proc: Path) -> None:
    set_scope(proc, "2")
    change(proc, OURS, "NoNewPrivs:\t0", "NoNewPrivs:\t1")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.fixes[1] == (
        "Run this one command as root, from a terminal without NoNewPrivs: sudo debugtool attach --pid 4711"
    )


def test_each_cause_has_its_section_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / DOCS).read_text()
    sections = [line.removeprefix("## ").strip() for line in text.splitlines() if line.startswith("## ")]
    assert sections == [str(cause) for cause in Cause]


def test_a_tracer_comes_first_and_is_named(proc: Path) -> None:
    set_scope(proc, "1")
    write_process(proc, 555, name="gdb")
    change(proc, TARGET, "TracerPid:\t0", "TracerPid:\t555")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.TRACED
    assert refusal.why == "gdb (pid 555) traces it already (TracerPid), and a process can have one tracer only."
    assert refusal.fixes[0] == "Detach gdb (pid 555) first"


def test_a_tracer_that_cannot_be_seen_is_named_by_its_pid(proc: Path) -> None:
    change(proc, TARGET, "TracerPid:\t0", "TracerPid:\t555")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.why.startswith("pid 555 traces it already")


def test_a_process_that_hides_from_its_own_user(proc: Path) -> None:
    refusal = why_not(replace(read(proc), dumpable=False))
    assert refusal is not None
    assert refusal.cause is Cause.UNDUMPABLE


def test_a_capability_of_another_user_namespace_does_not_count(proc: Path) -> None:
    set_scope(proc, "1")
    change(proc, OURS, f"CapEff:\t{NONE}", f"CapEff:\t{ROOT_CAPABILITIES}")
    (proc / str(TARGET) / "ns/user").unlink()
    (proc / str(TARGET) / "ns/user").symlink_to("user:[99]")
    assert not read(proc).same_namespaces["user"]
    assert why_not(read(proc)) is None, "from the initial namespace it counts everywhere"
    (proc / str(OURS) / "uid_map").write_text("         0       1000          1\n")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.RESTRICTED
    assert "no CAP_SYS_PTRACE in its user namespace" in refusal.why


def test_the_first_pid_namespace_is_known_by_its_number(proc: Path) -> None:
    assert not in_initial_pid_namespace(proc)
    link = proc / str(OURS) / "ns" / "pid"
    link.unlink()
    link.symlink_to("pid:[4026531836]")
    assert in_initial_pid_namespace(proc)


def test_namespaces_of_another_user_are_unknown(proc: Path) -> None:
    for kind in ("user", "pid", "mnt", "net"):
        (proc / str(TARGET) / "ns" / kind).unlink()
    assert read(proc).same_namespaces == {}


def test_after_eperm_seccomp_is_named_only_when_nothing_else_explains_it(tmp_path: Path) -> None:
    refused = PermissionError(errno.EPERM, "Operation not permitted")
    write_process(
        tmp_path, OURS, uid=os.geteuid(), seccomp=2
    )  # owner of the tree's files, so that it shows as dumpable
    write_process(tmp_path, TARGET, uid=os.geteuid())
    (tmp_path / "self").symlink_to(str(OURS))
    error = explain_refusal(TARGET, refused, proc=tmp_path)
    assert error.details["cause"] == "seccomp"
    assert "The kernel answered EPERM, and debugtool runs under a seccomp filter (Seccomp: 2)" in error.why
    change(tmp_path, OURS, "Seccomp:\t2", "Seccomp:\t0")
    assert explain_refusal(TARGET, refused, proc=tmp_path).details["cause"] == "unknown"
    set_scope(tmp_path, "1")
    assert explain_refusal(TARGET, refused, proc=tmp_path).details["cause"] == "scope-1"


def test_a_zombie_and_a_missing_process_are_gone(proc: Path) -> None:
    change(proc, TARGET, "S (sleeping)", "Z (zombie)")
    refusal = why_not(read(proc))
    assert refusal is not None
    assert refusal.cause is Cause.ENDED
    with pytest.raises(ProcessGone) as gone:
        explain_refusal(TARGET, PermissionError(errno.EPERM, "no"), proc=proc)
    assert gone.value.exit_code == 3
    with pytest.raises(ProcessGone):
        examine(1234, proc=proc)
