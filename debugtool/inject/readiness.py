"""Proof that an interpreter is up: injecting while it starts or ends kills the target."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from debugtool.errors import ProcessGone, Refused, TimedOut, Unsupported
from debugtool.model import Target
from debugtool.system import explain_refusal, start_ticks, tracer_of

_POLL_S = 0.05
_DESCRIPTORS = 10  # in the target: the payload, its two connections, what debugpy opens while it is imported


def wait_until_ready(target: Target, timeout_s: float, proc: Path = Path("/proc")) -> None:
    """Wait until the target's main thread runs Python code of its program.

    Does not stop the target: py-spy reads its memory.

    Args:
        target: A CPython process.
        timeout_s: How long to wait.
        proc: Where procfs is mounted.

    Raises:
        ProcessGone: It ended, or is a zombie.
        Refused: It is stopped, or its memory may not be read.
        TimedOut: It was not ready in time.
        Unsupported: py-spy cannot read this interpreter.
    """
    deadline = time.monotonic() + timeout_s
    why = ""
    while True:
        check_state(target, proc)
        try:
            if runs_python(python_threads(target, deadline), target.pid):
                return
            why = "its main thread runs no Python code: it is starting or ending"
        except NotReadable as error:
            why = str(error)
        if time.monotonic() > deadline:
            raise TimedOut(
                f"Pid {target.pid} ({target.name}) was not ready for a debugger within {timeout_s:.0f} s.",
                why=why,
                next_step="wait until the plugin has started, then try again",
            )
        time.sleep(_POLL_S)


class NotReadable(Exception):
    """py-spy could not read the interpreter's threads this time; its words are the message."""


def check_state(target: Target, proc: Path = Path("/proc")) -> None:
    """Refuse a process that cannot run our code: a zombie, or one that is stopped.

    Raises:
        ProcessGone: It ended or is a zombie, or its pid is another process's by now.
        Refused: It is stopped by a signal or by another tracer, or has no file descriptors left.

    Source:
        The `State` line of /proc/PID/status, proc(5).
    """
    try:
        status = (proc / str(target.pid) / "status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGone(f"Pid {target.pid} ({target.name}) ended.", why="/proc has no such process") from error
    if target.started_ticks and start_ticks(target.pid, proc) != target.started_ticks:
        raise ProcessGone(f"Pid {target.pid} ({target.name}) ended.", why="another process has its number now")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    state = fields.get("State", "?")[0]
    if state in "ZX":
        raise ProcessGone(
            f"Pid {target.pid} ({target.name}) has ended.",
            why="it is a zombie: its parent has not collected it yet",
            next_step="attach to the process that its host starts next",
        )
    tracer = tracer_of(target.pid, proc=proc)
    if tracer:
        try:
            name = (proc / str(tracer) / "comm").read_text(errors="replace").strip()
        except OSError:
            name = "which has just ended"
        raise Refused(
            f"Could not attach to pid {target.pid} ({target.name}).",
            why=f"pid {tracer} ({name}) traces it already, and Linux allows one tracer",
            next_step=f"end that debugger (pid {tracer}), then try again",
        )
    if state in "Tt":
        raise Refused(
            f"Could not attach to pid {target.pid} ({target.name}).",
            why="it is stopped (SIGSTOP or Ctrl-Z), so it cannot run the debugger",
            next_step=f"let it continue with `kill -CONT {target.pid}`, then try again",
        )
    _require_descriptors(target, proc)


def _require_descriptors(target: Target, proc: Path) -> None:
    """Refuse a process that cannot open the payload, its connections and what it imports."""
    try:
        limits = (proc / str(target.pid) / "limits").read_text()
        opened = [int(path.name) for path in (proc / str(target.pid) / "fd").iterdir()]
    except OSError:
        return  # another user's, or ended: others say so
    limit = next((line.split()[3] for line in limits.splitlines() if line.startswith("Max open files")), "unlimited")
    if not limit.isdigit() or int(limit) - sum(number < int(limit) for number in opened) >= _DESCRIPTORS:
        return
    raise Refused(
        f"Could not attach to pid {target.pid} ({target.name}).",
        why=f"it has {len(opened)} of {limit} file descriptors open; the debugger needs {_DESCRIPTORS}",
        next_step=f"permit it more: prlimit --pid {target.pid} --nofile={int(limit) + 1024}",
    )


def python_threads(target: Target, deadline: float) -> list[dict[str, Any]]:
    """List the target's Python threads with their frames, innermost first.

    Raises:
        NotReadable: Not this time: the interpreter is starting, ending, or changed under py-spy's eyes.
        Refused: Its memory may not be read.
        Unsupported: py-spy is not installed, or does not know this interpreter.

    Source:
        `py-spy dump --json`.
    """
    program = find_py_spy()
    if program is None:
        raise Unsupported("py-spy is missing.", why="it proves that a target is ready", next_step="pip install py-spy")
    command = [program, "dump", "--nonblocking", "--json", "--pid", str(target.pid)]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=max(1.0, deadline - time.monotonic()), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotReadable("py-spy did not answer") from error
    if answer.returncode:
        if is_permission_error(answer.stderr):
            raise explain_refusal(
                target.pid, PermissionError(errno.EPERM, "py-spy may not read its memory"), name=target.name
            )
        first = answer.stderr.strip().splitlines()[:1]
        raise NotReadable(f"py-spy: {first[0] if first else f'exit code {answer.returncode}'}")
    threads: list[dict[str, Any]] = json.loads(answer.stdout)
    return threads


def find_py_spy() -> str | None:
    """Find py-spy: the one installed beside debugtool, else the one on the PATH."""
    beside = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if beside:
        return beside  # as in every virtual environment; sysconfig takes longer to import than all the rest here
    import sysconfig

    return shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")


def is_permission_error(text: str) -> bool:
    """Recognise py-spy's refusal; it has no other form than text (a recorded sample is in the tests)."""
    return "Permission Denied" in text or "Operation not permitted" in text or "os error 13" in text


def runs_python(threads: list[dict[str, Any]], pid: int) -> bool:
    """Say whether the main thread is inside the program, past the interpreter's and PyInstaller's own start-up code.

    Args:
        threads: As `python_threads` gives them.
        pid: Process id, which is the main thread's id too.
    """
    for thread in threads:
        is_main = thread.get("os_thread_id") == pid or thread.get("thread_name") == "MainThread" or len(threads) == 1
        if is_main and thread["frames"]:
            outermost = thread["frames"][-1]["filename"]
            if outermost == "<frozen runpy>":
                return True  # python -m PROGRAM
            return not (outermost.startswith("<frozen") or outermost.endswith("/site.py") or _is_pyinstaller(outermost))
    return False


def _is_pyinstaller(path: str) -> bool:
    """Recognise the scripts that PyInstaller runs before the program's own: its bootstrap and its run-time hooks."""
    return path.rpartition("/")[2].startswith(("pyiboot", "pyi_rth_"))
