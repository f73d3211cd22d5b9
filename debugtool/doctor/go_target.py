"""The running plugin, where that is a Go program: whether delve can debug it, and what it will find there."""

from __future__ import annotations

from debugtool import debuggers, processes, system
from debugtool.doctor.finding import Finding, Status, of_error
from debugtool.errors import DebugtoolError
from debugtool.model import Build, Target


def check_runtime(target: Target) -> Finding:
    """See that breakpoints can be set in it, and that there is a delve that knows its Go."""
    try:
        debuggers.refuse_undebuggable(target)
    except DebugtoolError as error:
        return of_error("runtime", error)
    return Finding("runtime", Status.OK, f"{processes.runtime_words(target)}.")


def check_ways_in(target: Target) -> Finding:
    """Name the delve that gets in."""
    try:
        return Finding("ways-in", Status.OK, f"By delve, {debuggers.require_delve(target)}.")
    except DebugtoolError as error:
        return of_error("ways-in", error)


def check_permission(target: Target) -> Finding:
    """Ask what delve would: whether we may trace it."""
    try:
        refusal = system.why_not(system.examine(target.pid, name=target.name))
    except DebugtoolError as error:
        return of_error("permission", error)
    if refusal is not None:
        return of_error("permission", refusal.without_agent().as_error())
    return Finding("permission", Status.OK, f"{target} of {target.user} may be traced.")


def check_build(target: Target) -> Finding:
    """Say what an optimised build keeps from a debugger."""
    if target.build is not Build.RELEASE:
        return Finding("build", Status.OK, "Built without optimisation.")
    return Finding(
        "build",
        Status.WARNING,
        f"{target} was optimised by the compiler.",
        "functions are inlined and variables are gone: a breakpoint may be shown as set and never stop",
        "debugtool build --debug makes one to debug",
    )
