"""What decides whether we may trace a process: read from /proc, not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from debugtool.errors import ProcessGone
from debugtool.system.words import printable

PROC = Path("/proc")

# Source: CAP_SYS_PTRACE in include/uapi/linux/capability.h.
_CAP_SYS_PTRACE = 1 << 19

# Where the initial user namespace maps every uid to itself. Source: user_namespaces(7).
_INITIAL_UID_MAP = ["0", "0", "4294967295"]

# The first pid namespace's number. Source: PROC_PID_INIT_INO in include/linux/proc_ns.h.
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"

_NAMESPACES = ("user", "pid", "mnt", "net")


@dataclass(frozen=True)
class Credentials:
    """What /proc/PID/status says about one process.

    Attributes:
        pid: Process id; `name` the kernel's name for it; `state` its one-letter state; `ppid` its parent.
        uids: Real, effective, saved and file system uid; `gids` likewise.
        tracer_pid: Who traces it, 0 when nobody does.
        cap_effective: Effective capabilities as a bit mask; `cap_permitted` those permitted.
        no_new_privs: It can gain no privileges by exec; None on a kernel that does not say.
        seccomp: 0 off, 1 strict, 2 filter; None on a kernel that does not say. `seccomp_filters` is their number.
    """

    pid: int
    name: str
    state: str
    ppid: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    tracer_pid: int = 0
    cap_effective: int = 0
    cap_permitted: int = 0
    no_new_privs: bool | None = None
    seccomp: int | None = None
    seccomp_filters: int | None = None

    @property
    def has_ptrace_capability(self) -> bool:
        """Whether CAP_SYS_PTRACE is effective."""
        return bool(self.cap_effective & _CAP_SYS_PTRACE)


@dataclass(frozen=True)
class Permission:
    """Everything that was read about our right to trace one process.

    Attributes:
        target: The process; `ours` is debugtool itself.
        scope: Yama's ptrace_scope, 0 to 3; None without Yama.
        tracer: Name of the process that traces the target, None when nobody does.
        dumpable: False when the kernel hides the target from its own user (PR_SET_DUMPABLE, or a program file that may
            not be read); None when that does not show.
        same_namespaces: For "user", "pid", "mnt" and "net" whether both are in the same one; without those that cannot
            be read.
        in_initial_user_namespace: Our capabilities count everywhere on this machine.
        is_descendant: The target is a child of ours, or a child of one.
    """

    target: Credentials
    ours: Credentials
    scope: int | None
    tracer: str | None
    dumpable: bool | None
    same_namespaces: Mapping[str, bool]
    in_initial_user_namespace: bool
    is_descendant: bool

    @property
    def has_capability_over_target(self) -> bool:
        """Whether our CAP_SYS_PTRACE counts in the target's user namespace.

        A namespace that differs and is not below ours cannot be told from one that is, unless ours is the initial one.
        """
        same = self.in_initial_user_namespace or self.same_namespaces.get("user", True)
        return self.ours.has_ptrace_capability and same

    @property
    def is_same_user(self) -> bool:
        """Whether all the target's user and group ids (real, effective, saved) are our real ones.

        Source:
            __ptrace_may_access with PTRACE_MODE_REALCREDS, kernel/ptrace.c: our effective ids do not count.
        """
        uid, gid = self.ours.uids[0], self.ours.gids[0]
        return set(self.target.uids[:3]) == {uid} and set(self.target.gids[:3]) == {gid}


def parse_status(text: str) -> Credentials:
    """Read the text of /proc/PID/status.

    Source:
        proc(5). Lines that older kernels lack (NoNewPrivs, Seccomp, Seccomp_filters) are None.
    """
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    no_new_privs = number("NoNewPrivs")
    return Credentials(
        pid=int(fields["Pid"]),
        name=printable(fields["Name"]),
        state=fields["State"][:1],
        ppid=int(fields["PPid"]),
        uids=tuple(int(word) for word in fields["Uid"].split()),
        gids=tuple(int(word) for word in fields["Gid"].split()),
        tracer_pid=number("TracerPid") or 0,
        cap_effective=int(fields.get("CapEff", "0"), 16),
        cap_permitted=int(fields.get("CapPrm", "0"), 16),
        no_new_privs=None if no_new_privs is None else bool(no_new_privs),
        seccomp=number("Seccomp"),
        seccomp_filters=number("Seccomp_filters"),
    )


def read_scope(proc: Path = PROC) -> int | None:
    """Read Yama's ptrace_scope; None when this kernel has no Yama, or hides it."""
    try:
        return int(scope_file(proc).read_text())
    except (OSError, ValueError):
        return None


def scope_file(proc: Path = PROC) -> Path:
    """Name the file of Yama's ptrace_scope."""
    return proc / "sys/kernel/yama/ptrace_scope"


def examine(pid: int, *, name: str | None = None, proc: Path = PROC) -> Permission:
    """Read everything that decides whether we may trace a process. Changes nothing and touches nothing in it.

    Args:
        pid: Process id as seen from our own pid namespace.
        name: What its author calls it, for the messages; what the kernel calls it by default.
        proc: Where procfs is mounted.

    Raises:
        ProcessGone: There is no such process.
    """
    target = _credentials(str(pid), proc)
    if target is None:
        raise ProcessGone(
            f"Process {pid} is gone.",
            why="There is no process of that number.",
            next_step="List the running plugins: debugtool ps",
        )
    ours = _credentials("self", proc)
    assert ours is not None  # whoever reads this is alive
    tracer = _credentials(str(target.tracer_pid), proc) if target.tracer_pid else None
    return Permission(
        target=replace(target, name=name or target.name),
        ours=ours,
        scope=read_scope(proc),
        tracer=tracer.name if tracer else None,
        dumpable=_is_dumpable(pid, target, proc),
        same_namespaces=_same_namespaces(pid, proc),
        in_initial_user_namespace=_in_initial_user_namespace(proc),
        is_descendant=_is_descendant(target, ours.pid, proc),
    )


def _credentials(name: str, proc: Path) -> Credentials | None:
    try:
        return parse_status((proc / name / "status").read_text(errors="replace"))
    except OSError:
        return None


def _is_dumpable(pid: int, target: Credentials, proc: Path) -> bool | None:
    """Look at the owner of its /proc files: root instead of its user when it is not dumpable.

    Source:
        task_dump_owner in fs/proc/base.c; the directory /proc/PID itself keeps its owner.
    """
    try:
        owner = (proc / str(pid) / "status").stat().st_uid
    except OSError:
        return None
    if target.uids[1] == 0:
        return None  # root owns it either way
    return owner == target.uids[1]


def _same_namespaces(pid: int, proc: Path) -> dict[str, bool]:
    same = {}
    for kind in _NAMESPACES:
        try:
            theirs, ours = (proc / str(pid) / "ns" / kind).readlink(), (proc / "self/ns" / kind).readlink()
        except OSError:  # another user's
            continue
        same[kind] = theirs == ours
    return same


def _in_initial_user_namespace(proc: Path) -> bool:
    try:
        return (proc / "self/uid_map").read_text().split() == _INITIAL_UID_MAP
    except OSError:  # a kernel without user namespaces
        return True


def in_initial_pid_namespace(proc: Path = PROC) -> bool:
    """Say whether we see every process of the machine, as nobody does in a container."""
    try:
        return str((proc / "self/ns/pid").readlink()) == _INITIAL_PID_NAMESPACE
    except OSError:  # a kernel without pid namespaces
        return True


def _is_descendant(target: Credentials, our_pid: int, proc: Path) -> bool:
    ppid, passed = target.ppid, set[int]()
    while ppid > 1 and ppid not in passed:
        if ppid == our_pid:
            return True
        passed.add(ppid)
        parent = _credentials(str(ppid), proc)
        ppid = parent.ppid if parent else 0
    return False
