"""Why the kernel does not let us trace a process, and the narrowest thing to do about it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from debugtool.errors import ProcessGone, Refused
from debugtool.system.permission import PROC, Permission, examine

DOCS = "docs/permissions.md"

_DEBUG_BUILD = "Use a debug build of the plugin, whose own agent needs no ptrace: debugtool build --debug --editable"
_AGENT_INSTEAD = "Or attach through a debug build's own agent, which does not trace: debugtool build --debug --editable"
_OUTSIDE = "Ask who runs this machine which rule forbids ptrace here: journalctl -k names AppArmor's and SELinux's"
_FOR_ALL = "Or, for every process of this machine: sudo sysctl kernel.yama.ptrace_scope=0"


class Cause(StrEnum):
    """Why tracing is refused. The value is the section of docs/permissions.md."""

    ENDED = "ended"
    TRACED = "traced"
    NO_ATTACH = "scope-3"
    OTHER_USER = "other-user"
    UNDUMPABLE = "undumpable"
    CAPABILITIES = "capabilities"
    ADMIN_ONLY = "scope-2"
    RESTRICTED = "scope-1"
    SECCOMP = "seccomp"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Refusal:
    """A refusal in the three parts of an error.

    Attributes:
        cause: Which rule it is.
        what: One sentence that names the process.
        why: What was read.
        fixes: What can be done, the narrowest first; a change for the whole machine is always last.
    """

    cause: Cause
    what: str
    why: str
    fixes: tuple[str, ...]

    @property
    def next_step(self) -> str:
        """The narrowest fix, and where the others are written."""
        return f"{self.fixes[0]} (more: {DOCS}#{self.cause})"

    def without_agent(self) -> Refusal:
        """Give it as it is for a program that can have no agent of ours, such as one in Go."""
        fixes = [fix for fix in self.fixes if fix not in (_DEBUG_BUILD, _AGENT_INSTEAD)] or [_OUTSIDE]
        first = fixes[0].removeprefix("Or ")
        return replace(self, fixes=(first[0].upper() + first[1:], *fixes[1:]))

    def as_error(self) -> Refused:
        """Give it as the error that a command raises."""
        return Refused(
            self.what,
            why=self.why,
            next_step=self.next_step,
            details={"cause": str(self.cause), "fixes": list(self.fixes)},
        )


def why_not(permission: Permission) -> Refusal | None:
    """Say why the kernel would refuse to let us trace a process.

    This predicts, from what can be read. It is wrong about a target that has named us with prctl(PR_SET_PTRACER) under
    scope 1, and it does not see what a security module or a seccomp filter decides: only the refused call knows.

    Args:
        permission: What `examine` read.

    Returns:
        The first cause that holds, ordered so that its fix is of use: as long as an earlier cause holds, the fix of a
        later one changes nothing. None when nothing that can be read forbids it.

    Source:
        Order and rules: ptrace_attach and __ptrace_may_access in kernel/ptrace.c, cap_ptrace_access_check in
        security/commoncap.c. Scopes 0 to 3: kernel Documentation/admin-guide/LSM/Yama.rst.
    """
    target = permission.target
    if target.state in "ZX":
        return _refusal(
            Cause.ENDED,
            permission,
            f"Its state is {target.state} (zombie): it has ended, and its parent has not collected it yet.",
            "Wait until its host has started it again: debugtool attach --wait",
        )
    if target.tracer_pid:
        tracer = f"{permission.tracer} (pid {target.tracer_pid})" if permission.tracer else f"pid {target.tracer_pid}"
        return _refusal(
            Cause.TRACED,
            permission,
            f"{tracer} traces it already (TracerPid), and a process can have one tracer only.",
            f"Detach {tracer} first",
            _AGENT_INSTEAD,
        )
    if permission.scope is not None and permission.scope >= 3:
        return _no_attach(permission)
    if permission.has_capability_over_target:
        return None
    return _without_capability(permission)


def _no_attach(permission: Permission) -> Refusal:
    return _refusal(
        Cause.NO_ATTACH,
        permission,
        f"{_scope(permission)}: no process may be traced, not even by root, and the value cannot be lowered before "
        "the next start of this machine.",
        _DEBUG_BUILD,
        "Or set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and restart the machine",
    )


def _without_capability(permission: Permission) -> Refusal | None:
    """Apply the rules that hold for everybody who has no CAP_SYS_PTRACE over the target."""
    target, ours = permission.target, permission.ours
    lacks = "and we have no CAP_SYS_PTRACE" + (" in its user namespace" if ours.has_ptrace_capability else "")
    if not permission.is_same_user:
        return _refusal(
            Cause.OTHER_USER,
            permission,
            f"It runs as uid {_ids(target.uids)}, gid {_ids(target.gids)}; we run as uid {ours.uids[0]}, "
            f"gid {ours.gids[0]}, {lacks}.",
            f"Run debugtool as that user: sudo -u '#{target.uids[1]}' debugtool attach --pid {target.pid}",
            _as_root(permission),
        )
    if permission.dumpable is False:
        why = f"It hides from its own user (its /proc files belong to root: PR_SET_DUMPABLE is 0), {lacks}."
        return _refusal(Cause.UNDUMPABLE, permission, why, _DEBUG_BUILD, _as_root(permission))
    if target.cap_permitted & ~ours.cap_permitted:
        why = (
            f"It has capabilities (CapPrm {target.cap_permitted:#x}) that we do not have ({ours.cap_permitted:#x}), "
            f"{lacks}."
        )
        return _refusal(Cause.CAPABILITIES, permission, why, _as_root(permission))
    if permission.scope == 2:
        why = f"{_scope(permission)}: only a process with CAP_SYS_PTRACE may trace, {lacks}."
        return _refusal(Cause.ADMIN_ONLY, permission, why, _DEBUG_BUILD, _as_root(permission), _FOR_ALL)
    if permission.scope == 1 and not permission.is_descendant:
        why = (
            f"{_scope(permission)}: only a descendant of the tracer may be traced, or a process that named its tracer "
            f"with PR_SET_PTRACER; this one is no descendant of ours, {lacks}."
        )
        return _refusal(Cause.RESTRICTED, permission, why, _DEBUG_BUILD, _as_root(permission), _FOR_ALL)
    return None


def _as_root(permission: Permission) -> str:
    """Say how one command gets CAP_SYS_PTRACE here."""
    if permission.ours.uids[1] == 0:
        return "Give debugtool CAP_SYS_PTRACE, which this root does not have; to a container: --cap-add=SYS_PTRACE"
    command = f"sudo debugtool attach --pid {permission.target.pid}"
    if permission.ours.no_new_privs:  # sudo cannot gain anything here
        return f"Run this one command as root, from a terminal without NoNewPrivs: {command}"
    return f"Run this one command as root: {command}"


def explain_refusal(
    pid: int, error: OSError, *, name: str | None = None, has_agent: bool = True, proc: Path = PROC
) -> Refused:
    """Say why the kernel refused to let us trace a process.

    Call it after an attach failed: it explains a refusal.

    Args:
        pid: Process id as seen from our own pid namespace.
        error: What the call failed with, EPERM or EACCES.
        name: What the process is called in the message; what the kernel calls it by default.
        has_agent: Whether the program could have a debug agent of ours, as Python can.
        proc: Where procfs is mounted.

    Returns:
        The error to raise, `from error`.

    Raises:
        ProcessGone: The process has ended; a zombie that its parent has not collected counts as ended.
    """
    permission = examine(pid, name=name, proc=proc)
    refusal = why_not(permission) or _unreadable_cause(permission, error)
    if refusal.cause is Cause.ENDED or error.errno == errno.ESRCH:
        raise ProcessGone(
            f"Process {pid} ({permission.target.name}) has ended.",
            why=refusal.why if refusal.cause is Cause.ENDED else "The kernel answered: no such process.",
            next_step="List the running plugins: debugtool ps",
        ) from error
    return (refusal if has_agent else refusal.without_agent()).as_error()


def _unreadable_cause(permission: Permission, error: OSError) -> Refusal:
    answer = f"The kernel answered {errno.errorcode.get(error.errno or 0, error)}"
    if permission.ours.seccomp == 2:
        return _refusal(
            Cause.SECCOMP,
            permission,
            f"{answer}, and debugtool runs under a seccomp filter (Seccomp: 2), as in a container, which may forbid "
            "ptrace; nothing else that can be read forbids it.",
            "Run debugtool outside the container, or give this container alone ptrace: --cap-add=SYS_PTRACE",
        )
    return _refusal(
        Cause.UNKNOWN,
        permission,
        f"{answer}; ptrace_scope, user, capabilities and tracer allow it. A security module (AppArmor, SELinux) or the "
        "process itself (PR_SET_DUMPABLE) may forbid it.",
        _DEBUG_BUILD,
    )


def _refusal(cause: Cause, permission: Permission, why: str, *fixes: str) -> Refusal:
    target = permission.target
    return Refusal(cause, f"May not trace pid {target.pid} ({target.name}).", why, fixes)


def _scope(permission: Permission) -> str:
    return f"/proc/sys/kernel/yama/ptrace_scope is {permission.scope}"


def _ids(ids: tuple[int, ...]) -> str:
    """Give one number when real, effective and saved are the same, else all three."""
    return str(ids[0]) if len(set(ids[:3])) == 1 else "/".join(map(str, ids[:3]))
