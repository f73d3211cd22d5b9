"""Whether sources can be compiled, asked before a program that runs them is restarted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from debugtool.errors import DebugtoolError

_CHECK_S = 30.0

# Compiles with the plugin's own Python, whose grammar counts. Reports as `python FILE` would, without the traceback of
# this program. ValueError: a null byte in the source.
_PROGRAM = """
import sys, traceback
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec", dont_inherit=True)
    except FileNotFoundError:
        pass
    except (SyntaxError, ValueError) as error:
        print(path)
        print("".join(traceback.format_exception_only(type(error), error)).strip())
        sys.exit(1)
"""


def check_syntax(interpreter: Path, files: Iterable[Path]) -> None:
    """Compile Python sources without running or writing anything; files that are gone are left out.

    Args:
        interpreter: The Python that will run them.
        files: What to compile.

    Raises:
        DebugtoolError: One has a syntax error; `why` shows where.
    """
    paths = [str(path) for path in files]
    if not paths:
        return
    try:
        done = subprocess.run(
            [interpreter, "-I", "-S", "-c", _PROGRAM, *paths],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DebugtoolError(
            f"Could not look whether {paths[0]} compiles.",
            why=f"{interpreter}: {error}",
            next_step="See whether this Python runs; debugtool doctor looks at the project.",
        ) from error
    if done.returncode:
        path, _, why = done.stdout.partition("\n")
        raise DebugtoolError(
            f"{path} cannot be compiled." if path else f"{interpreter} could not compile the sources.",
            why=why.strip() or done.stderr.strip(),
            next_step="Correct it and save.",
        )
