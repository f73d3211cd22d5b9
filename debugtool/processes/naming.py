"""What a process is called: its program, script or module, read from a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from debugtool.manifest import strip_platform

_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*(\.exe)?", re.IGNORECASE)
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh", "busybox"})
_POOL_HELPERS = ("resource_tracker", "forkserver")
_DEBUGGERS = frozenset({"dlv", "gdb", "gdbserver", "lldb", "lldb-server", "py-spy", "strace", "rr"})


class Kind(StrEnum):
    """What the command line says it runs."""

    BINARY = "binary"
    PYTHON = "python"
    SHELL = "shell"


@dataclass(frozen=True)
class Command:
    """A command line, understood.

    Attributes:
        kind: An interpreter, a shell, or a program of its own.
        program: `argv[0]`.
        script: Path of the script as it was given (relative ones belong to the working directory), None without one.
        module: The module of `python -m`.
    """

    kind: Kind
    program: str
    script: str | None = None
    module: str | None = None


def _leaf(path: str) -> str:
    """Give the last part of a path; pathlib does it ten times slower, and this runs for every process."""
    return path.rstrip("/").rpartition("/")[2]


def understand(argv: Sequence[str]) -> Command:
    """Find out what a command line runs. An empty one, or one rewritten by its program, is a binary of that name."""
    if not argv:
        return Command(Kind.BINARY, "")
    program = _leaf(argv[0]).removeprefix("-")  # a login shell is called "-bash"
    if _PYTHON.fullmatch(program):
        script, module = _python_operand(list(argv[1:]))
        return Command(Kind.PYTHON, argv[0], script, module)
    if program in _SHELLS:
        return Command(Kind.SHELL, argv[0], _shell_script(argv[1:]))
    return Command(Kind.BINARY, argv[0])


def _python_operand(arguments: list[str]) -> tuple[str | None, str | None]:
    """Give (script, module) as `python` itself would understand its arguments."""
    while arguments:
        argument = arguments.pop(0)
        if argument == "--check-hash-based-pycs" and arguments:
            arguments.pop(0)
        elif argument == "-":
            return None, None
        elif argument.startswith("--"):
            continue
        elif not argument.startswith("-"):
            return argument, None
        else:
            match = re.match(r"-[^cmWX]*(?P<option>[cmWX])(?P<rest>.*)", argument, re.DOTALL)
            if not match:
                continue
            value = match["rest"] or (arguments.pop(0) if arguments else "")
            if match["option"] == "m":
                return (_debugged_by_debugpy(arguments), None) if value == "debugpy" else (None, value or None)
            if match["option"] == "c":
                return None, None
    return None, None


def _debugged_by_debugpy(arguments: list[str]) -> str | None:
    """Give the script that `python -m debugpy` runs; `debugpy` itself when it only attaches to a process."""
    if "--pid" in arguments:
        return "debugpy"
    while arguments:
        argument = arguments.pop(0)
        if argument in ("--listen", "--connect", "--adapter-access-token", "--log-to", "--configure-subProcess"):
            arguments = arguments[1:]
        elif not argument.startswith("-"):
            return argument
    return "debugpy"


def _shell_script(arguments: Sequence[str]) -> str | None:
    for argument in arguments:
        if argument == "-c":
            return None
        if not argument.startswith(("-", "+")):
            return argument
    return None


def base_name(path: str) -> str:
    """Give a program's or script's name as its author says it: no directory, platform suffix, `.py` or `.exe`.

    `/srv/dist/my-datasource_linux_amd64` is `my-datasource`, and so is `my-datasource.py`.
    """
    return strip_platform(_leaf(path).removesuffix(".py"))


def display_name(command: Command, comm: str) -> str:
    """Give the one name that `ps` shows: of the script or module, else of the program, else the kernel's."""
    if command.module:
        return command.module
    if command.script:
        stem = base_name(command.script)
        # `python backend/` and `python backend/__main__.py` are called after the directory.
        return _leaf(command.script.rpartition("/")[0]) if stem == "__main__" else stem or command.script
    return base_name(command.program) or comm


def names_of(command: Command, comm: str) -> frozenset[str]:
    """Give every name the process answers to: with and without platform suffix and `.py`, and the kernel's name."""
    names = {comm, display_name(command, comm)}
    if command.module:
        names.add(command.module.removesuffix(".__main__"))
    for path in (command.program, command.script):
        if path:
            names |= {_leaf(path), base_name(path), _leaf(path).removesuffix(".exe")}
    return frozenset(names - {""})


def has_platform_suffix(path: str) -> bool:
    """Tell whether a program is named `<x>_<goos>_<goarch>[.exe]`, as a plugin's backend is."""
    name = _leaf(path).removesuffix(".exe")
    return strip_platform(name) != name


def is_our_own(command: Command) -> bool:
    """Tell whether this is debugtool itself: its command, or one of its own helper processes."""
    if command.module and command.module.partition(".")[0] == "debugtool":
        return True
    return command.kind is not Kind.SHELL and _leaf(command.script or command.program) == "debugtool"


def is_debugger(command: Command) -> bool:
    """Tell whether this is a debugger, which carries the name of what it debugs on its command line."""
    if command.kind is Kind.BINARY:
        return _leaf(command.program) in _DEBUGGERS
    script = (command.script or "").rstrip("/")
    return is_debugpy_adapter(command) or script == "debugpy" or script.endswith(("debugpy/launcher", "bin/debugpy"))


def is_debugpy_adapter(command: Command) -> bool:
    """Tell whether this is the process between an editor and what debugpy debugs."""
    return (command.script or "").rstrip("/").endswith("debugpy/adapter")


def is_tool(argv: Sequence[str]) -> bool:
    """Tell whether a command line is that of a debugger, or of debugtool itself: no plugin, whatever it is called."""
    command = understand(argv)
    return is_debugger(command) or is_our_own(command)


def is_pool_helper(argv: Sequence[str]) -> bool:
    """Tell whether this is a process that multiprocessing starts for itself and no code of the program's."""
    return any(f"multiprocessing.{module} import main" in text for text in argv for module in _POOL_HELPERS)
