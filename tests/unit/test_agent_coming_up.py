"""How debugpy comes up in a program: what it brings along, and what becomes of what was put off."""

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


@pytest.mark.parametrize(("loader", "compiles"), [("plain", False), ("own", True)])
def test_an_optimised_program_takes_the_bytecode_that_is_there(tmp_path: Path, loader: str, *, compiles: bool) -> None:
    own = Path(sys.executable).resolve()
    run(own, COMPILES, tmp_path, "own", flags=("-S",))  # now its bytecode is there
    (tmp_path / "debugpy").unlink()
    assert (int(run(own, COMPILES, tmp_path, loader, flags=("-O", "-B"))) > 0) == compiles
