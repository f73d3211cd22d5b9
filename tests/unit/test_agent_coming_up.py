"""How debugpy comes up in a program: what it brings along, what becomes of what was put off, and what is forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import debugpy
import pytest
from attach_driver import ROOT, find_pythons

AGENT = ROOT / "debugtool" / "plugin" / "agent"

SPARES = """
import sys
sys.path.insert(0, sys.argv[1])
import coming_up
finders, path = list(sys.meta_path), list(sys.path)
_, pydevd = coming_up.import_debugpy(sys.argv[2], None)
assert (sys.meta_path, [entry for entry in sys.path if "pydevd" not in entry]) == (finders, path)
from _pydev_bundle.pydev_imports import xmlrpclib
print(*sorted({"email", "http.client", "http.server", "ssl", "xmlrpc.client"} & set(sys.modules)))
try:
    xmlrpclib.Server("no address")
except OSError as error:
    print(error, "xmlrpc.client" in sys.modules)
"""

COMPILES = """
import sys
sys.path.insert(0, sys.argv[1])
import coming_up, frozen
compiled = []
loader = frozen.plain_loader() if sys.argv[3] == "plain" else None
sys.addaudithook(lambda event, values: compiled.append(values[1]) if event == "compile" else None)
coming_up.import_debugpy(sys.argv[2], loader)
print(sum("pydevd" in str(name) for name in compiled))
"""

FORGETS = """
import gc, sys
sys.path.insert(0, sys.argv[1])
import coming_up, letting_go
letting_go.forget_session("/session-1")  # no error where there is no pydevd
coming_up.import_debugpy(sys.argv[2], None)
import pydevd_file_utils as files
from _pydevd_bundle import pydevd_constants
def kept():
    caches = files.NORM_PATHS_CONTAINER, files.NORM_PATHS_AND_BASE_CONTAINER, files.normcase.__defaults__[0]
    return [name for cache in caches for name in cache if "session" in name], len(pydevd_constants._fork_safe_locks)
before = kept()
files.get_abs_path_real_path_and_base_from_file("/session-1/payload.py")
files.normcase("/session-1")
pydevd_constants.ForkSafeLock()
gc.collect()
assert len(kept()[0]) >= 3 and kept()[1] > before[1], kept()
lock = pydevd_constants.ForkSafeLock()
letting_go.forget_session("/session-1")
locks = [each() for each in pydevd_constants._fork_safe_locks]
print(kept()[0], None in locks, lock in locks)
"""


def run(python: Path, program: str, directory: Path, *arguments: str, flags: tuple[str, ...] = ()) -> str:
    (directory / "debugpy").symlink_to(Path(debugpy.__file__).parent)
    command: list[str | Path] = [python, *flags, "-c", program, AGENT, directory, *arguments]
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: path.parents[1].name)
def test_servers_that_nobody_starts_are_not_imported(python: Path, tmp_path: Path) -> None:
    assert run(python, SPARES, tmp_path) == "\nunsupported XML-RPC protocol True\n"


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: path.parents[1].name)
def test_nothing_of_a_session_is_kept_for_ever(python: Path, tmp_path: Path) -> None:
    assert run(python, FORGETS, tmp_path) == "[] False True\n"


@pytest.mark.parametrize(("loader", "compiles"), [("plain", False), ("own", True)])
def test_an_optimised_program_takes_the_bytecode_that_is_there(tmp_path: Path, loader: str, *, compiles: bool) -> None:
    own = Path(sys.executable).resolve()
    run(own, COMPILES, tmp_path, "own", flags=("-S",))  # now its bytecode is there
    (tmp_path / "debugpy").unlink()
    assert (int(run(own, COMPILES, tmp_path, loader, flags=("-O", "-B"))) > 0) == compiles
