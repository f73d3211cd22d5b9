"""Injection by `sys.remote_exec` (PEP 768): CPython 3.14 and later run a script themselves, at their next bytecode."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from debugtool.errors import Refused, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.inject.readiness import check_state
from debugtool.model import Runtime, Target
from debugtool.system import changeable_by_others, files_as

_SINCE = (3, 14)
_CODE = "import sys; sys.remote_exec(int(sys.argv[1]), sys.stdin.read())"  # what is in argv everybody can read


class RemoteExecInjector:
    """Asks the target's own interpreter file to send the request: both sides must be of one minor version."""

    name = "remote_exec"
    needs_ptrace = True

    def why_not(self, target: Target) -> str | None:
        """Needs a CPython 3.14 or later whose program file is the plain interpreter."""
        if target.runtime is not Runtime.CPYTHON:
            return f"needs a plain CPython, the target's runtime is {target.runtime}"
        version = tuple(int(part) for part in re.findall(r"\d+", target.runtime_version or "")[:2])
        if version < _SINCE:
            return f"needs CPython 3.14 or later, the target runs {target.runtime_version or 'an unknown version'}"
        return None if target.uid == os.geteuid() else _why_not_run(_interpreter_of(target))

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        """See Injector.inject.

        Raises:
            ProcessGone: The target ended.
            Refused: It is stopped, or the interpreter was not permitted to write into it.
            Unsupported: Remote debugging is switched off in it, or its interpreter cannot be run.
        """
        check_state(target)
        script = bootstrap.payload.with_name("bootstrap.py")
        with files_as(target.uid):  # in a directory of that user, who may have put a link there
            script.write_text(bootstrap.text + "\n")
        try:
            answer = subprocess.run(
                [str(_interpreter_of(target)), "-I", "-S", "-c", _CODE, str(target.pid)],
                input=str(script),
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unsupported(
                f"Could not ask pid {target.pid} ({target.name}) to run the debugger.",
                why=str(error),
                next_step="use --method ptrace",
            ) from error
        if answer.returncode:
            why = answer.stderr.strip().splitlines()[-1:] or [f"exit code {answer.returncode}"]
            kind = Refused if "PermissionError" in why[0] else Unsupported
            what = f"Could not ask pid {target.pid} ({target.name}) to run the debugger."
            raise kind(what, why=why[0], next_step="use --method ptrace")
        return 0.0


def _interpreter_of(target: Target) -> Path:
    return target.executable or Path(f"/proc/{target.pid}/exe")


def _why_not_run(interpreter: Path) -> str | None:
    """Say why we do not run the interpreter of another user's process: it may be what that user has made of it."""
    try:
        found = changeable_by_others(interpreter)
    except OSError as error:
        return f"its interpreter cannot be looked at: {error}"
    if found is None:
        return None
    path, uid = found
    return f"root does not run {interpreter}: user {uid} may change {path}"
