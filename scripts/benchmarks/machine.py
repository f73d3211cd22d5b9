"""What a reader has to know of the machine that figures were measured on: no names, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import say
from benchmarks.processes import find_pythons
from debugtool.builds.pyinstaller import find_pyinstaller
from debugtool.errors import DebugtoolError


def machine_facts() -> dict[str, str]:
    """Give processor, system and the versions of all that was measured; what is not there is left out."""
    facts = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}, {platform.libc_ver()[1]}",
        "CPython": ", ".join(_said([str(python), "--version"]) for python in find_pythons().values()),
        "debugpy": importlib.metadata.version("debugpy"),
        "grpcio": importlib.metadata.version("grpcio"),
        "gdb": _said(["gdb", "--version"]),
        "delve": _said(["dlv", "version"], r"Version: (\S+)"),
        "Go": _said(["go", "version"], r"go(\d\S+)"),
    }
    try:
        facts["PyInstaller"] = find_pyinstaller(Path(sys.executable), say).version
    except DebugtoolError as error:
        say(f"{error.what} {error.why}")
    return {name: text for name, text in facts.items() if text}


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _said(command: Sequence[str], pattern: str = r"(\d+\.\d+\S*)$") -> str:
    """Give the version that a program says in its first line, or where the pattern is; empty without the program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    text = done.stdout if "Version" in pattern else done.stdout.partition("\n")[0]
    found = re.search(pattern, text)
    return found.group(1) if found else ""
