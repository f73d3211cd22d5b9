"""The programs and packages that an attach or a build takes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
import subprocess

from debugtool import inject
from debugtool.doctor.finding import Finding, Status

_ANSWER_S = 10.0

# What PyInstaller runs on Linux. Source: PyInstaller 6.22 compat.py (check_requirements), building/api.py (EXE) and
# depend/bindepend.py; `strip` is for release builds, and without it they are only larger.
_BUILD_PROGRAMS = {"objdump": "binutils", "objcopy": "binutils", "ldd": "libc-bin"}


def check_python() -> Finding:
    """Name the Python that runs debugtool; an older one could not have started it."""
    return Finding("python", Status.OK, f"{platform.python_implementation()} {platform.python_version()}.")


def check_debugpy() -> Finding:
    """Look for debugpy beside debugtool, in a version that this debugtool knows."""
    wanted = next(
        (text.removeprefix("debugpy") for text in importlib.metadata.requires("debugtool") or () if "debugpy" in text),
        "",
    )
    try:
        version = importlib.metadata.version("debugpy") if importlib.util.find_spec("debugpy") else None
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    advice = f"install it beside debugtool: pip install 'debugpy{wanted}'"
    if version is None:
        return Finding(
            "debugpy", Status.PROBLEM, "debugpy is missing.", "it is the debugger that is put into the plugin", advice
        )
    if not is_within(version, wanted):
        return Finding(
            "debugpy",
            Status.PROBLEM,
            f"debugpy is {version}.",
            f"debugtool relies on the insides of debugpy{wanted}",
            advice,
        )
    return Finding("debugpy", Status.OK, f"debugpy {version}.")


def is_within(version: str, specifiers: str) -> bool:
    """Say whether a version is in a range such as `<1.9,>=1.8.22`; those two comparisons are all that is known here."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text))

    bounds = re.findall(r"(<|>=)\s*([\d.]+)", specifiers)
    return bool(numbers(version)) and all(
        numbers(version) < numbers(bound) if sign == "<" else numbers(version) >= numbers(bound)
        for sign, bound in bounds
    )


def check_py_spy() -> Finding:
    """Look for py-spy, which proves without stopping it that a target is ready."""
    program = inject.find_py_spy()
    if program is None:
        return Finding(
            "py-spy",
            Status.PROBLEM,
            "py-spy is missing.",
            "without its proof that a plugin is ready, ptrace and gdb do not touch it",
            "install it beside debugtool: pip install py-spy",
        )
    return _version_of("py-spy", program, "--version")


def check_gdb() -> Finding:
    """Look for gdb, the last way in."""
    program = shutil.which("gdb")
    if program is None:
        why = "it is the last way in, where no other serves"
        return Finding("gdb", Status.INFO, "gdb is not installed.", why, "apt-get install gdb, should you need it")
    return Finding("gdb", Status.OK, f"{program}.")


def check_compiler() -> Finding:
    """Look for a C compiler."""
    program = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if program is None:
        why = "a plugin with a C extension of its own needs one to be built"
        return Finding("compiler", Status.INFO, "There is no C compiler.", why, "apt-get install gcc")
    return Finding("compiler", Status.OK, f"{program}.")


def check_go(is_needed: bool) -> Finding:
    """Look for Go; its absence is a problem in a Go project only."""
    program = shutil.which("go")
    if program is None:
        return _missing("go", is_needed, "Go is not installed.", "install it from https://go.dev/dl")
    return _version_of("go", program, "version")


def check_delve(is_needed: bool) -> Finding:
    """Look for delve, which debugs Go programs."""
    from debugtool import debuggers  # brings asyncio along

    program = debuggers.find_delve()
    if program is None:
        return _missing("delve", is_needed, "delve (dlv) is not installed.", debuggers.DELVE_INSTALL)
    version = debuggers.delve_version(program)
    if version is None:
        return Finding(
            "delve", Status.PROBLEM, f"{program} does not run.", "", f"install it: {debuggers.DELVE_INSTALL}"
        )
    return Finding("delve", Status.OK, f"{program}, version {version}.")


def check_build_programs() -> Finding:
    """Look for the programs that PyInstaller runs."""
    missing = [program for program in _BUILD_PROGRAMS if shutil.which(program) is None]
    if missing:
        packages = sorted({_BUILD_PROGRAMS[program] for program in missing})
        return Finding(
            "build-programs",
            Status.PROBLEM,
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            "PyInstaller runs them to make a program",
            f"apt-get install {' '.join(packages)}",
        )
    if shutil.which("strip") is None:
        why = "release builds are stripped with it, and larger without"
        return Finding("build-programs", Status.WARNING, "strip is missing.", why, "apt-get install binutils")
    return Finding("build-programs", Status.OK, f"{', '.join(_BUILD_PROGRAMS)} and strip.")


def _missing(check: str, is_needed: bool, what: str, advice: str) -> Finding:
    why = "this plugin is a Go program" if is_needed else "only plugins in Go need it"
    return Finding(check, Status.PROBLEM if is_needed else Status.INFO, what, why, advice)


def _version_of(check: str, program: str, *arguments: str) -> Finding:
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd="/",  # in a Go project `go version` may fetch the toolchain that the go.mod asks for
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(check, Status.PROBLEM, f"{program} does not run.", str(error), "install it anew")
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding(check, Status.PROBLEM, f"{program} does not run.", why, "install it anew")
    return Finding(check, Status.OK, f"{done.stdout.strip()}.")
