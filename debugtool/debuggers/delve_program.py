"""Which delve serves a Go program: found, and refused where its version cannot."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from debugtool.errors import Unsupported
from debugtool.model import Target
from debugtool.system import elf_sections

DELVE_INSTALL = "go install github.com/go-delve/delve/cmd/dlv@latest"
_VERSION_S = 10.0
_BUILD_INFO_BYTES = 1 << 16


def find_delve() -> str | None:
    """Find delve: on the PATH, or where `go install` puts it."""
    homes = [os.environ.get("GOBIN"), *(f"{path}/bin" for path in _go_paths())]
    return shutil.which("dlv") or shutil.which("dlv", path=os.pathsep.join(filter(None, homes)))


def _go_paths() -> list[str]:
    """List the directories of GOPATH; Go's own default without one."""
    given = os.environ.get("GOPATH")
    return given.split(os.pathsep) if given else [str(Path("~/go").expanduser())]


def refuse_undebuggable(target: Target) -> str:
    """Refuse a Go program that no breakpoint can be set in, before anything is done to it; give its delve.

    An optimised one is debugged; whoever asked is told what that means.

    Raises:
        Unsupported: It was linked without debug information, or there is no delve that knows its Go.
    """
    if target.go is not None and target.go.stripped:
        raise Unsupported(
            f"Cannot debug {target}.",
            why="it was linked without debug information (-ldflags -w or -s), so no line of it can be found",
            next_step="make one to debug: debugtool build --debug",
        )
    return require_delve(target)


def require_delve(target: Target) -> str:
    """Give the delve that debugs a Go process.

    delve itself checks no version when it attaches: one that is older than the Go of its target reads its memory by the
    rules of another Go.

    Raises:
        Unsupported: There is none, or it is too old for the target.
    """
    what = f"Cannot debug {target}."
    program = find_delve()
    if program is None:
        why = "it is a Go program, and delve (dlv), Go's debugger, is neither on the PATH nor in Go's bin directory"
        raise Unsupported(what, why=why, next_step=f"install it: {DELVE_INSTALL}")
    delve, go = delve_version(program), _minor(target.runtime_version or "")
    if delve is None:
        raise Unsupported(
            what, why=f"{program} does not say its version", next_step=f"install it anew: {DELVE_INSTALL}"
        )
    newest = _minor(delve)
    if go is not None and newest is not None and go > newest:
        raise Unsupported(
            what,
            why=f"{program} is delve {delve}, which knows Go up to {newest[0]}.{newest[1]}; "
            f"the program was built with {target.runtime_version}",
            next_step=f"install a newer one: {DELVE_INSTALL}",
        )
    return program


def delve_version(program: str) -> str | None:
    """Give the version of a delve, such as "1.27.2"; None when it does not say.

    It stands in the program of a release that Go's module proxy gave; others are asked, which takes longer than all
    else that is looked at before an attach.

    Source:
        `dlv version`. Version 1.N serves programs of Go up to 1.N: pkg/goversion/compat.go of each.
    """
    return _built_version(Path(program)) or _told_version(program)


def _built_version(program: Path) -> str | None:
    """Read the version that Go built a program at; None where that is no release of delve's.

    Source:
        Go's debug/buildinfo and runtime/debug.ParseBuildInfo: `mod<TAB>path<TAB>version<TAB>sum`.
    """
    try:
        with program.open("rb") as file:
            offset, size = elf_sections(file).get(".go.buildinfo", (0, 0))
            file.seek(offset)
            text = file.read(min(size, _BUILD_INFO_BYTES))
    except (OSError, OverflowError):
        return None
    match = re.search(rb"\nmod\tgithub\.com/go-delve/delve\tv(\d+\.\d+\.\d+)\t", text)
    return match[1].decode() if match else None


def _told_version(program: str) -> str | None:
    import subprocess

    try:
        answer = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=_VERSION_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"^Version: (\S+)", answer, re.MULTILINE)
    return match[1] if match else None


def _minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"(?:go)?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
