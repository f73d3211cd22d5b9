"""Runs PyInstaller, follows what it says, and finds the one line that matters when it fails."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from debugtool.builds.pyinstaller import PyInstaller
from debugtool.errors import DebugtoolError

_RUN = Path(__file__).resolve().parent / "freezing" / "run.py"

# What the user's shell has for the user's Python: a plugin under its host has none of it.
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONSAFEPATH", "VIRTUAL_ENV")

# Source: PyInstaller 6, log.py: "%(relativeCreated)d %(levelname)s: %(message)s".
_LINE = re.compile(r"^\d+ (?P<level>[A-Z]+): (?P<message>.*)$")

_FRAME = re.compile(r'^  File "(?P<path>[^"]+)", line (?P<line>\d+)')
_IN_A_SOURCE = re.compile(r"(Syntax|Indentation|Tab)Error: ")  # the last frame above is the place


def run_pyinstaller(
    interpreter: Path, pyinstaller: PyInstaller, spec: Path, dist: Path, log: Path, say: Callable[[str], None]
) -> None:
    """Freeze what a spec says.

    Args:
        interpreter: The plugin's Python.
        pyinstaller: What `find_pyinstaller` found for it.
        spec: The spec. PyInstaller keeps its intermediate results beside it.
        dist: Where the program is put.
        log: The file that gets all that PyInstaller says.
        say: Told what it does just now.

    Raises:
        DebugtoolError: It failed; the log's first error is in it.
    """
    command = [str(interpreter), str(_RUN), str(pyinstaller.directory or "-"), "--noconfirm"]
    command += ["--workpath", str(spec.parent / "work"), "--distpath", str(dist), str(spec)]
    environment = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    # Its cache of stripped libraries is not made for two builds at once.
    environment["PYINSTALLER_CONFIG_DIR"] = str(spec.parent / "cache")
    lines = []
    with (
        log.open("w", encoding="utf-8", buffering=1) as file,
        subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,  # its end tells PyInstaller that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                file.write(line)
                if match := _LINE.match(line):
                    say(match["message"])
        except BaseException:
            process.kill()  # also where Ctrl-C ends us: what it has begun is in the staging directory
            raise
    if process.returncode != 0:
        raise DebugtoolError(
            f"PyInstaller could not freeze the plugin (exit code {process.returncode}).",
            why=first_error(lines),
            next_step=f"Correct that; all that PyInstaller said is in {log}",
            details={"log": str(log)},
        )


def first_error(lines: Iterable[str]) -> str:
    """Find in PyInstaller's log what it failed of: its first error, else the end of its traceback."""
    last = place = ""
    for line in lines:
        match = _LINE.match(line)
        if line.startswith("ERROR: "):
            return line.removeprefix("ERROR: ").strip()
        if match and match["level"] in ("ERROR", "CRITICAL"):
            return match["message"].strip()
        if frame := _FRAME.match(line):
            place = f"{frame['path']}, line {frame['line']}: "
        elif line.strip() and not match and not line[0].isspace():
            last = line.strip()
    return (place if _IN_A_SOURCE.match(last) else "") + (last or "It said nothing.")
