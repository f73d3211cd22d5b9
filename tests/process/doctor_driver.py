"""Runs `debugtool doctor` under the conditions that it is to notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attach_driver import ROOT

DEBUGTOOL = Path(sys.executable).with_name("debugtool")
WITHOUT_PTRACE = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")


@dataclass
class Report:
    """What `debugtool doctor --json` said."""

    code: int
    document: dict[str, Any]

    def __getitem__(self, check: str) -> tuple[str, str]:
        """Give status and first sentence of a check."""
        found = self.finding(check)
        return found["status"], found["what"]

    def finding(self, check: str) -> dict[str, str]:
        (found,) = [one for one in self.document["checks"] if one["check"] == check]
        return dict(found)

    def has(self, check: str) -> bool:
        return any(one["check"] == check for one in self.document["checks"])

    @property
    def problems(self) -> list[str]:
        """The checks that found a problem: these alone decide the exit code."""
        names = [one["check"] for one in self.document["checks"] if one["status"] == "problem"]
        assert (self.code, self.document["ok"]) == ((1, False) if names else (0, True))
        for one in self.document["checks"]:
            if one["status"] == "problem":
                assert one["why"] and one["next"], one
        return names


def doctor(
    *arguments: str | int | Path,
    cwd: Path,
    through: Sequence[str | Path] = (),
    program: Sequence[str | Path] = (DEBUGTOOL,),
    environment: Mapping[str, str] | None = None,
) -> Report:
    """Run it on a free port of its own, unless told otherwise.

    Args:
        arguments: For the command.
        cwd: Working directory: where the project is.
        through: What stands before it: setpriv, or a shell in a namespace of its own (`prepared`).
        program: Another installation.
        environment: Variables to add.
    """
    port = () if "--port" in arguments else ("--port", "0")
    clean = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [*map(str, [*through, *program]), "doctor", *port, *map(str, arguments), "--json"],
        cwd=cwd,
        env={**clean, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return Report(done.returncode, json.loads(done.stdout))


def prepared(script: str) -> list[str]:
    """Give what runs a command in a mount namespace of its own, after a shell script that changes it."""
    return ["unshare", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh"]


def own_tmp(options: str = "") -> str:
    """Give the shell script that mounts a /tmp of one's own; a checkout below /tmp stays where it is."""
    mount = f"mount -t tmpfs {options} none /tmp"
    if not ROOT.is_relative_to("/tmp"):
        return mount
    bind = f"mkdir -p {ROOT}; mount --no-canonicalize --bind /proc/self/fd/9 {ROOT}"
    return f"exec 9<{ROOT}; {mount}; {bind}; exec 9<&-"


def with_scope(scope: int) -> list[str]:
    """Give what runs a command where Yama's ptrace_scope seems to be this, without CAP_SYS_PTRACE."""
    yama = "/proc/sys/kernel/yama"
    script = f"mount -t tmpfs none /proc/sys/kernel && mkdir {yama} && echo {scope} > {yama}/ptrace_scope"
    return [*prepared(script), *WITHOUT_PTRACE]
