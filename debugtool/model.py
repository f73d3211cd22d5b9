"""The words that all rooms share: what a target is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Runtime(StrEnum):
    """What executes the program."""

    CPYTHON = "cpython"  # from source, also in a venv
    FROZEN = "frozen"  # CPython inside a PyInstaller program
    GO = "go"
    OTHER = "other"


class Build(StrEnum):
    """How the program was built."""

    SOURCE = "source"  # Python run from its source tree, without our agent
    DEBUG = "debug"  # carries our debug agent, or a Go build without optimisation
    RELEASE = "release"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class GoBuild:
    """How a Go program was built.

    Attributes:
        module: Path of its main module; None when it does not say.
        optimised: Whether the compiler optimised it (no `-gcflags=all=-N`); None when it does not say.
        stripped: Whether it was linked without debug information (`-ldflags -w` or `-s`).
        trimpath: Whether it names its sources by module instead of by directory (`-trimpath`).
    """

    module: str | None = None
    optimised: bool | None = None
    stripped: bool = False
    trimpath: bool = False


@dataclass(frozen=True)
class ProcessRef:
    """A process as others name it."""

    pid: int
    name: str


@dataclass(frozen=True)
class Target:
    """One process that can be attached to.

    Attributes:
        pid: Process id in our own pid namespace.
        name: What its author calls it: the executable or script without its `_<os>_<arch>` suffix and extension.
        plugin_id: `id` of the plugin.json it was started from, if one was found.
        runtime: What executes it; `runtime_version` is e.g. "3.11.7" or "go1.26.8", None when unknown.
        build: Debug, release or source.
        host: The parent that started it, None when that is init.
        user: Login name of the owner (the number as text when it has no name); `uid` its effective user id.
        started_at: Start time, seconds since the epoch, for people: it moves with the clock of the machine.
        grpc_address: `unix:///path` or `127.0.0.1:port` it listens on, None when it listens on nothing.
        debugger: Who debugs it already, in words; None when nobody does.
        executable: The program file the kernel runs (`/proc/PID/exe`); None when it cannot be read.
        script: The Python script or the plugin's own executable file, when different from `executable`.
        cwd: Its working directory, None when it cannot be read.
        plugin_dir: Directory of its plugin.json, None without one.
        venv: Root of the virtual environment it runs in, None without one.
        libpython: The library that holds its interpreter, by the path it has for the process; None when that is in the
            program itself, or unknown. That of a frozen program lies in the directory it runs from (`sys._MEIPASS`).
        go: How a Go program was built; None for others.
        launcher_pid: The process between it and its host, such as a onefile program's bootloader; None without one.
        started_ticks: Start time in clock ticks since boot. With the pid it names the process, whoever gets that later.
    """

    pid: int
    name: str
    plugin_id: str | None
    runtime: Runtime
    runtime_version: str | None
    build: Build
    host: ProcessRef | None
    user: str
    uid: int
    started_at: float
    grpc_address: str | None = None
    debugger: str | None = None
    executable: Path | None = None
    script: Path | None = None
    cwd: Path | None = None
    plugin_dir: Path | None = None
    venv: Path | None = None
    libpython: Path | None = None
    launcher_pid: int | None = None
    go: GoBuild | None = None
    command_line: tuple[str, ...] = field(default=())
    started_ticks: int = 0

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})"
