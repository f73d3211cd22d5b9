"""Injection by gdb: slow, and all threads stand still, but it knows every architecture."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from debugtool.errors import Refused, TimedOut, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.inject.readiness import wait_until_ready
from debugtool.inject.symbols import find_interpreter
from debugtool.model import Runtime, Target
from debugtool.system import fault_point

_SCRIPT = Path(__file__).with_name("gdb_script.py")


class GdbInjector:
    """Lets gdb make the same three calls as the ptrace injector, in a parked thread too."""

    name = "gdb"
    needs_ptrace = True

    def why_not(self, target: Target) -> str | None:
        """Needs gdb and a CPython target."""
        if target.runtime not in (Runtime.CPYTHON, Runtime.FROZEN):
            return f"the target's runtime is {target.runtime}, not CPython"
        if shutil.which("gdb") is None:
            return "gdb is not installed (apt-get install gdb)"
        return None

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        """See Injector.inject. gdb is never ended by us: in the middle of a call it would take the target along.

        Raises:
            ProcessGone: The target ended.
            Refused: The kernel does not permit it.
            TimedOut: gdb was not done in time.
            Unsupported: gdb has no Python, or its call failed.
        """
        wait_until_ready(target, timeout_s)
        interpreter = find_interpreter(target.pid)
        request = {
            "functions": interpreter.functions,
            "interpreter": interpreter.data,
            "text": bootstrap.text,
        }
        with tempfile.TemporaryFile("w+") as log, _pipe_with(json.dumps(request)) as pipe:
            # No symbols: the addresses are known, and reading them is most of what makes gdb slow.
            gdb = subprocess.Popen(
                [
                    *("gdb", "-nx", "--batch", "-iex", "set auto-solib-add off", "-iex", "set debuginfod enabled off"),
                    *("-iex", f"python request = open({pipe}).read()"),
                    *("-p", str(target.pid), "-x", str(_SCRIPT)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[pipe],
                start_new_session=True,
            )
            fault_point("injecting")
            try:
                gdb.wait(timeout_s)
            except subprocess.TimeoutExpired as error:
                raise TimedOut(
                    f"gdb was not done with pid {target.pid} ({target.name}) within {timeout_s:g} s.",
                    why="it goes on in the background and lets the plugin go when it is done",
                    next_step="try again with --method ptrace",
                ) from error
            log.seek(0)
            return _read_answer(target, log.read())


@contextlib.contextmanager
def _pipe_with(text: str) -> Iterator[int]:
    """Give the reading end of a pipe that holds a text of 64 KiB at most: everybody can read a command line."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(text)
        yield reading
    finally:
        os.close(reading)


def _read_answer(target: Target, text: str) -> float:
    for line in text.splitlines():
        if line.startswith("debugtool: "):
            answer: dict[str, Any] = json.loads(line.removeprefix("debugtool: "))
            if answer["ok"]:
                return float(answer["stall_ms"])
            raise Unsupported(
                f"gdb could not call into pid {target.pid} ({target.name}).",
                why=answer["why"],
                next_step="try again when it is less busy, or use --method ptrace",
            )
    what = f"gdb could not attach to pid {target.pid} ({target.name})."
    reason = next((line for line in text.splitlines() if "ptrace" in line or "Python" in line), text[-300:])
    if "ptrace" in reason:
        raise Refused(what, why=reason, next_step="run it as that user or as root; debugtool ps shows who owns it")
    raise Unsupported(what, why=reason, next_step="use --method ptrace")
