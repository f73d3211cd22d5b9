"""The plugin that the benchmarks of builds are measured on, and plain PyInstaller to compare with."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import say
from benchmarks.processes import DEBUGTOOL
from debugtool.builds.pyinstaller import find_pyinstaller
from debugtool.manifest import artefact_name

PYTHON = Path(sys.executable)
BUILD_S = 600.0
START_S = 60.0
NAME = artefact_name("bench-datasource")


def make_project(directory: Path) -> Path:
    """Make the data source of `debugtool new`: gRPC, protobuf and pyarrow, with the Python of the benchmarks."""
    run([DEBUGTOOL, "new", "bench-datasource"], directory)
    return directory / "bench-datasource"


def build(project: Path, *options: str) -> Path:
    """Have debugtool build it; give the program."""
    run([DEBUGTOOL, "build", *options], project)
    return project / "dist" / NAME


def build_plainly(project: Path, *options: str) -> Path:
    """Have PyInstaller build it as its manual says; give the program. It keeps what it has found beside, in plain/."""
    found = find_pyinstaller(PYTHON, say)
    directory = project / "plain"
    directory.mkdir(exist_ok=True)
    command: list[str | Path] = [
        PYTHON,
        "-m",
        "PyInstaller",
        "--noconfirm",
        "--name",
        NAME,
        "--paths",
        project / "backend",
        *options,
    ]
    command.append(project / "backend" / "main.py")
    run(command, directory, PYTHONPATH=str(found.directory or ""))
    program = directory / "dist" / NAME
    return program if program.is_file() else program / NAME


def edit(project: Path, number: int) -> None:
    """Change one line inside a function of the plugin."""
    source = project / "backend" / "datasource" / "plugin.py"
    lines = source.read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if "HealthResult(message=" in line)
    lines[at] = f'        return HealthResult(message="edit {number}")'
    source.write_text("\n".join(lines) + "\n")


def run(command: Sequence[str | Path], directory: Path, **variables: str) -> None:
    """Run a command to its end.

    Raises:
        CalledProcessError: It failed; what it said is on stderr.
    """
    environment = {**{name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}, **variables}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if done.returncode != 0:
        say(done.stdout + done.stderr)
    done.check_returncode()


def start_ms(command: Sequence[str | Path]) -> float:
    """Start a plugin as Grafana does; give the ms until its handshake line is there.

    Raises:
        RuntimeError: It printed none.
    """
    variables = {"grafana_plugin_type": "datasource", "PLUGIN_PROTOCOL_VERSIONS": "2"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd="/", env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], START_S)
            line = process.stdout.readline() if ready else b""
            elapsed_ms = (time.perf_counter() - began) * 1000
            if not line.startswith(b"1|2|"):
                raise RuntimeError(f"{command!r} printed no handshake line: {line!r}")
            return elapsed_ms
        finally:
            process.terminate()  # not killed: a onefile program removes its directory
            process.wait(START_S)


def size_mb(*paths: Path) -> float:
    """Give what files and directories take, in MB."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files if not file.is_symlink()) / 1e6
