"""The running plugin: whether the debugger can get in, and what it will find there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from debugtool import inject, processes, system
from debugtool.doctor.finding import Finding, Status, of_error
from debugtool.errors import DebugtoolError
from debugtool.model import Build, Runtime, Target
from debugtool.plugin.agent import paths

# Source: Requires-Python and the classifiers of debugpy 1.8.22.
_OLDEST, _NEWEST = (3, 8), (3, 14)
_FROZEN_MODULES_SINCE = (3, 11)

_DEBUG_BUILD = "debugtool build --debug makes one to debug"


def check_state(target: Target) -> Finding:
    """See that it runs: not ended, not stopped, not traced by another debugger."""
    if target.debugger and target.debugger.startswith("debugtool "):
        return Finding("state", Status.OK, f"{target} is attached already: {target.debugger}.")
    try:
        inject.check_state(target)
    except DebugtoolError as error:
        return of_error("state", error)
    if target.debugger:
        return Finding(
            "state",
            Status.PROBLEM,
            f"Another debugger is in {target}: {target.debugger}.",
            "two debuggers in one process take each other's stops away",
            "end that one first",
        )
    return Finding("state", Status.OK, f"{target} runs.")


def check_runtime(target: Target) -> Finding:
    """See that debugpy knows its interpreter."""
    words = processes.runtime_words(target)
    if target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
        return Finding(
            "runtime",
            Status.PROBLEM,
            f"{target} is no program that can be debugged: {words}.",
            "debugtool debugs CPython and Go",
            "name a Python or Go process; debugtool ps --all lists them",
        )
    version = _version(target)
    if version and not _OLDEST <= version[:2] <= _NEWEST:
        return Finding(
            "runtime",
            Status.PROBLEM,
            f"{target} runs {words}.",
            f"debugpy knows CPython {'.'.join(map(str, _OLDEST))} to {'.'.join(map(str, _NEWEST))}",
            "run the plugin with one of these",
        )
    return Finding("runtime", Status.OK, f"{words}.")


def _version(target: Target) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", target.runtime_version or "")[:3])


def check_ways_in(target: Target) -> Finding:
    """Say which ways in can serve, and why the others cannot."""
    reasons = {injector.name: injector.why_not(target) for injector in inject.all_injectors()}
    serving = [name for name, reason in reasons.items() if reason is None]
    others = "\n".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
    if not serving:
        return Finding("ways-in", Status.PROBLEM, f"No way into {target}.", others, f"a debug build: {_DEBUG_BUILD}")
    return Finding("ways-in", Status.OK, f"By {', else '.join(serving)}.", others)


def needs_ptrace(target: Target) -> bool:
    """Say whether the first way in that can serve needs the kernel's permission to trace; True where none serves."""
    return next((one.needs_ptrace for one in inject.all_injectors() if one.why_not(target) is None), True)


def check_permission(target: Target) -> Finding:
    """Ask what an attach would: whether we may trace it."""
    if not needs_ptrace(target):
        return Finding("permission", Status.OK, "Its debug agent lets us in; no permission to trace is needed.")
    try:
        refusal = system.why_not(system.examine(target.pid, name=target.name))
    except DebugtoolError as error:
        return of_error("permission", error)
    if refusal is not None:
        return Finding("permission", Status.PROBLEM, refusal.what, refusal.why, refusal.next_step)
    return Finding("permission", Status.OK, f"{target} of {target.user} may be traced.")


def check_surroundings(target: Target) -> Finding:
    """See that it finds our meeting place and our port under the names that we have for them."""
    same = system.examine(target.pid).same_namespaces
    apart = []
    if not same.get("pid", True):
        apart.append("another pid namespace, so its pid is another one there")
    if not same.get("net", True):
        apart.append("another network namespace, so it cannot reach our port")
    if apart:
        return Finding(
            "surroundings",
            Status.PROBLEM,
            f"{target} runs in a container, and debugtool outside of it.",
            f"it has {'; '.join(apart)}",
            "run debugtool in that container, for example: docker exec -it CONTAINER debugtool attach NAME",
        )
    meeting = Path(paths.runtime_dir(target.uid)).parent
    if not _sees(target.pid, meeting):
        return Finding(
            "surroundings",
            Status.PROBLEM,
            f"{target} has another {meeting} than debugtool.",
            "they meet there; systemd's PrivateTmp, a container or a chroot gives a process a directory of its own",
            f"run debugtool where it sees the same: sudo nsenter -t {target.pid} --mount "
            f"debugtool attach --pid {target.pid}",
        )
    return Finding("surroundings", Status.OK, "It shares our namespaces, or what an attach needs of them.")


def _sees(pid: int, directory: Path) -> bool:
    """Say whether a process has the same directory under this name; True where we may not look."""
    try:
        return os.path.samestat(directory.stat(), Path(f"/proc/{pid}/root{directory}").stat())
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's: what stands in the way there is found elsewhere


def check_agent(target: Target) -> Finding | None:
    """See that a debug build's agent listens; nothing is said to it. None where there is no agent's socket.

    Source:
        /proc/net/unix: a listening socket has the flag __SO_ACCEPTCON, 0x10000 (include/uapi/linux/net.h).
    """
    path = paths.agent_socket(target.uid, target.pid)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises when a directory above is closed to us
        return None
    inodes = system.socket_inodes(target.pid)
    try:
        lines = Path(f"/proc/{target.pid}/net/unix").read_text(errors="replace").splitlines()[1:]
    except OSError:  # it has ended
        return None
    for line in lines:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & 0x10000 and int(fields[6]) in inodes:
            return Finding("agent", Status.OK, f"Its debug agent listens on {path}.")
    return Finding(
        "agent",
        Status.PROBLEM,
        f"The debug agent of {target} does not listen.",
        f"{path} is there, and no socket of the process listens on it",
        f"attach without it, by --method ptrace, or remove {path}",
    )


def check_build(target: Target) -> Finding:
    """Say what a release build keeps from a debugger."""
    if target.build is not Build.RELEASE:
        return Finding(
            "build", Status.OK, f"A {target.build} build." if target.build is Build.DEBUG else "From source."
        )
    return Finding(
        "build",
        Status.WARNING,
        f"{target} is a release build.",
        "asserts are off, its code is optimised, and no debug agent is in it",
        _DEBUG_BUILD,
    )


def check_standard_library(target: Target) -> Finding | None:
    """See that a release build's standard library can be completed; None for what has all of it."""
    if target.runtime is not Runtime.FROZEN or target.build is Build.DEBUG:
        return None
    from debugtool import debuggers  # brings asyncio along, for release builds only

    found = debuggers.find_standard_library(target)
    if found is None:
        return of_error("standard-library", debuggers.explain_no_standard_library(target))
    return Finding("standard-library", Status.OK, f"The debugger's own imports are completed from {found.directory}.")


def check_optimised(target: Target) -> Finding | None:
    """Say that asserts are off; None for what is no plain Python."""
    if target.runtime is not Runtime.CPYTHON:
        return None
    flags, _ = interpreter_options(target.command_line)
    variable = _environment(target.pid).get("PYTHONOPTIMIZE")
    if "O" not in flags and not variable:
        return Finding("optimised", Status.OK, "Python runs without -O.")
    how = "-O on its command line" if "O" in flags else f"PYTHONOPTIMIZE={variable} in its environment"
    return Finding("optimised", Status.INFO, "Its asserts are off.", how, "start it without, to have them")


def check_frozen_modules(target: Target) -> Finding | None:
    """Say that breakpoints in the standard library's frozen modules do not bind; None before 3.11.

    Source:
        `-X frozen_modules`, since CPython 3.11: os, codecs, io, site, importlib and some more come out of the
        interpreter itself, and their code objects name no file.
    """
    if target.runtime is not Runtime.CPYTHON or _version(target) < _FROZEN_MODULES_SINCE:
        return None
    _, extras = interpreter_options(target.command_line)
    if "frozen_modules=off" in extras or _environment(target.pid).get("PYTHON_FROZEN_MODULES") == "off":
        return Finding("frozen-modules", Status.OK, "All modules come from files.")
    return Finding(
        "frozen-modules",
        Status.INFO,
        "Breakpoints in os, codecs, importlib and other modules inside the interpreter do not bind.",
        "they are frozen into CPython 3.11 and later; the plugin's own modules are not",
        "to stop in them start Python with -X frozen_modules=off",
    )


def interpreter_options(command_line: tuple[str, ...]) -> tuple[str, list[str]]:
    """Give the one-letter options of a Python's command line, and the values of its -X options."""
    flags, extras = "", []
    words = iter(command_line[1:])
    for word in words:
        if not word.startswith("-") or word in ("-", "--") or word.startswith("--"):
            break
        for at, letter in enumerate(word[1:], start=2):
            if letter in "cmXW":  # these take the rest of the word, or the next one
                value = word[at:] or next(words, "")
                if letter == "X":
                    extras.append(value)
                break
            flags += letter
        if letter in "cm":
            break
    return flags, extras


def _environment(pid: int) -> dict[str, str]:
    """Read the environment it was started with; empty when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return {}
    return dict(entry.partition("=")[::2] for entry in text.split("\0") if "=" in entry)


def check_children(target: Target) -> Finding | None:
    """Name the child processes, which an attach does not reach by itself; None without any."""
    try:
        tasks = list(Path(f"/proc/{target.pid}/task").iterdir())
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:
        return None
    if not children:
        return None
    return Finding(
        "children",
        Status.INFO,
        f"It has {len(children)} child process{'es' if len(children) > 1 else ''}: pid {', '.join(children)}.",
        "an attach reaches the plugin itself, and the children it starts while an editor is connected",
        f"to debug one that runs already: debugtool attach --pid {children[0]}",
    )
