"""Injection by ptrace: a parked thread of the target runs the bootstrap, within milliseconds and without gdb."""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from debugtool.errors import DebugtoolError, ProcessGone, Refused, TimedOut, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.inject.readiness import wait_until_ready
from debugtool.inject.symbols import find_interpreter
from debugtool.model import Runtime, Target
from debugtool.system import PLATFORM, explain_refusal, fault_point

_TRACER = Path(__file__).with_name("tracer.py")
_PARKED_S = 3.0  # how long to wait for a parked thread; a gRPC server always has one


class PtraceInjector:
    """Stops one parked thread, lets it call the interpreter, and puts it back (`tracer.py` has the how and why)."""

    name = "ptrace"
    needs_ptrace = True

    def why_not(self, target: Target) -> str | None:
        """Needs Linux on x86_64 and a CPython target."""
        if PLATFORM != "linux" or os.uname().machine != "x86_64":
            return f"it knows Linux on x86_64 only, this is {PLATFORM} on {os.uname().machine}"
        if target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
            return f"the target's runtime is {target.runtime}, not CPython"
        return None

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        """See Injector.inject.

        Raises:
            ProcessGone: The target ended.
            Refused: The kernel does not permit it.
            TimedOut: Not ready in time, no parked thread, or the interpreter did not answer in time.
            Unsupported: No interpreter that can be called.
        """
        # Its start-up time is spent while the target is being looked at.
        tracer = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_TRACER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_ready(target, timeout_s)
            interpreter = find_interpreter(target.pid)
            request = {
                "pid": target.pid,
                "functions": interpreter.functions,
                "interpreter": interpreter.data,
                "text": bootstrap.text,
                "deadline_s": min(timeout_s, _PARKED_S),
            }
            answer = _ask(tracer, request, timeout_s)
        finally:
            _leave(tracer)
        if answer is None:
            raise TimedOut(
                f"Pid {target.pid} ({target.name}) did not let us in within {timeout_s:g} s.",
                why="its interpreter does not hand over the GIL: an extension module computes without releasing it",
                next_step="try again when that computation has ended; nothing is lost if it ends by itself",
            )
        if not answer["ok"]:
            raise _failure(target, answer)
        return float(answer["stall_ms"])


def _ask(tracer: subprocess.Popen[bytes], request: dict[str, object], timeout_s: float) -> dict[str, Any] | None:
    assert tracer.stdin is not None
    assert tracer.stdout is not None
    tracer.stdin.write(json.dumps(request).encode() + b"\n")
    tracer.stdin.flush()
    fault_point("injecting")
    readable, _, _ = select.select([tracer.stdout], [], [], timeout_s)
    line = tracer.stdout.readline() if readable else b""
    return json.loads(line) if line else None


def _leave(tracer: subprocess.Popen[bytes]) -> None:
    """Part from the tracer without ever ending it: killed in the middle of a call it would take the target along."""
    assert tracer.stdin is not None
    assert tracer.stdout is not None
    tracer.stdin.close()
    tracer.stdout.close()
    if tracer.poll() is None:
        try:
            tracer.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            # It ends by itself when the target's interpreter answers; init collects it once we are gone.
            tracer.returncode = 0


def _failure(target: Target, answer: dict[str, Any]) -> DebugtoolError:
    name = f"pid {target.pid} ({target.name})"
    number = answer["errno"]
    if number in (errno.EPERM, errno.EACCES):
        return explain_refusal(target.pid, PermissionError(number, os.strerror(number)), name=target.name)
    if number == errno.ESRCH:
        return ProcessGone(f"{name.capitalize()} ended while we attached.", why=answer["why"])
    if number is None:
        return TimedOut(
            f"Could not attach to {name}.",
            why=f"{answer['why']} within {_PARKED_S:g} s, and stopping a busy thread could deadlock the process",
            next_step="try again when it is less busy, or use --method gdb",
        )
    if number == errno.EIO:
        return Refused(f"Could not attach to {name}.", why=answer["why"], next_step="try --method gdb")
    return Unsupported(f"Could not attach to {name}.", why=answer["why"], next_step="try --method gdb")
