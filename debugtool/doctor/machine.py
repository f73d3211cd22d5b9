"""What holds for every process of this machine: platform, ptrace, users, seccomp, namespaces."""

from __future__ import annotations

import platform
from dataclasses import replace

from debugtool import system
from debugtool.doctor.finding import Finding, Status, of_error
from debugtool.system import Cause, Permission


def read_permission(pid: int) -> Permission:
    """Read what would decide whether we may trace a process of our own user that is no child of ours.

    Args:
        pid: Our own pid: there need not be such a process.
    """
    permission = system.examine(pid)
    return replace(permission, target=replace(permission.target, tracer_pid=0), tracer=None, is_descendant=False)


def check_platform(name: str = system.PLATFORM, machine: str | None = None) -> Finding:
    """Look at the operating system and the processor."""
    machine = machine or platform.machine()
    if name != "linux":
        return Finding(
            "platform",
            Status.PROBLEM,
            f"debugtool attaches on Linux; this is {name}.",
            "it reads /proc and uses ptrace",
            "run the plugin and debugtool in WSL or a Linux virtual machine",
        )
    if machine != "x86_64":
        return Finding(
            "platform",
            Status.WARNING,
            f"Linux on {machine}: without a debug build only gdb gets in.",
            "the ptrace way knows x86_64 only",
            "use a debug build: debugtool build --debug --editable",
        )
    return Finding("platform", Status.OK, f"Linux on {machine}.")


def check_ptrace(permission: Permission) -> Finding:
    """Look at Yama's scope and our capabilities, as `read_permission` gives them."""
    scope = "There is no Yama" if permission.scope is None else f"ptrace_scope is {permission.scope}"
    refusal = system.why_not(permission)
    if refusal is None or refusal.cause not in (Cause.NO_ATTACH, Cause.ADMIN_ONLY, Cause.RESTRICTED):
        capability = ", and CAP_SYS_PTRACE is held" if permission.ours.has_ptrace_capability else ""
        return Finding("ptrace", Status.OK, f"{scope}{capability}.")
    what = "A plugin that is not debugtool's child may not be traced."
    return Finding("ptrace", Status.PROBLEM, what, refusal.why, refusal.next_step)


def check_users(permission: Permission) -> Finding:
    """Say whose processes can be attached to."""
    uid = permission.ours.uids[0]
    if not permission.ours.has_ptrace_capability:
        return Finding(
            "users",
            Status.INFO,
            f"Only processes of uid {uid} can be attached to.",
            "we have no CAP_SYS_PTRACE",
            "for a plugin of another user run that one command as its user: sudo -u USER debugtool attach NAME",
        )
    where = "" if permission.in_initial_user_namespace else " of this user namespace"
    return Finding("users", Status.OK, f"uid {uid} with CAP_SYS_PTRACE: processes of every user{where}.")


def check_seccomp(permission: Permission) -> Finding | None:
    """Trace a child for real: whether a filter forbids it can be known in no other way.

    None where `check_ptrace` has found that even a child may not be traced.
    """
    if (not permission.ours.has_ptrace_capability and (permission.scope or 0) >= 2) or permission.scope == 3:
        return None
    refused = system.try_tracing_a_child()
    if refused is not None:
        return of_error("seccomp", refused)
    has_filter = "the seccomp filter permits ptrace" if permission.ours.seccomp else "there is no seccomp filter"
    return Finding("seccomp", Status.OK, f"A child could be traced: {has_filter}.")


def check_namespaces(permission: Permission) -> Finding:
    """Say whether we see the whole machine."""
    inside = [
        name
        for name, initial in (
            ("pid", system.in_initial_pid_namespace()),
            ("user", permission.in_initial_user_namespace),
        )
        if not initial
    ]
    if inside:
        return Finding(
            "namespaces",
            Status.INFO,
            "debugtool runs in a container: it sees the plugins of this container only.",
            f"not the machine's own namespace: {', '.join(inside)}",
            "for a plugin outside of it run debugtool there",
        )
    return Finding("namespaces", Status.OK, "The machine's own pid and user namespace.")
