"""Which standard library completes a frozen program: by looking at files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from debugtool.debuggers import find_standard_library, standard_library_directories
from debugtool.errors import Unsupported
from debugtool.model import Build, Runtime, Target

VERSION = ".".join(map(str, sys.version_info[:3]))
MINOR = ".".join(map(str, sys.version_info[:2]))
OWN = Path(sys.base_prefix) / "lib" / f"python{MINOR}"


@pytest.fixture
def target() -> Target:
    return Target(
        pid=os.getpid(),
        name="shop",
        plugin_id=None,
        runtime=Runtime.FROZEN,
        runtime_version=VERSION,
        build=Build.RELEASE,
        host=None,
        user="root",
        uid=os.geteuid(),
        started_at=0.0,
        libpython=Path(f"/none/libpython{MINOR}.so.1.0"),
    )


Make = Callable[[str], Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Lays out a standard library below a directory of pyenv's, from links to our own; no other can be found."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(sys, "base_prefix", str(empty))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr("debugtool.debuggers.standard_library._SYSTEM", ())
    monkeypatch.setattr("debugtool.debuggers.standard_library._homes", lambda uid: [])

    def lay_out(name: str) -> Path:
        directory = tmp_path / "pyenv" / "versions" / name / "lib" / f"python{MINOR}"
        directory.mkdir(parents=True)
        for entry in OWN.iterdir():
            if entry.name not in ("lib-dynload", "site-packages", "test"):
                (directory / entry.name).symlink_to(entry)
        (directory / "lib-dynload").mkdir()
        for entry in (OWN / "lib-dynload").iterdir():
            (directory / "lib-dynload" / entry.name).symlink_to(entry)
        for library in OWN.parent.glob(f"libpython{MINOR}*.so*"):
            shutil.copy(library, directory.parent)
        return directory

    return lay_out


def test_our_own_serves_a_program_of_our_version(target: Target) -> None:
    found = find_standard_library(target)
    assert found is not None
    assert (found.directory, found.version) == (OWN.resolve(), VERSION)


def test_pyenvs_is_found_and_its_version_read(target: Target, make: Make) -> None:
    directory = make(VERSION)
    found = find_standard_library(target)
    assert found is not None
    assert (found.directory, found.version) == (directory, VERSION)
    assert standard_library_directories(target) == (directory, directory / "lib-dynload")


def test_the_nearest_patch_level_is_taken(target: Target, make: Make) -> None:
    unit = 10 ** (len(VERSION) - len(MINOR) - 2)  # so that each version is as long as our own
    for name, patch in (("far", 9), ("near", 4), ("unknown", None)):
        for library in make(name).parent.glob("libpython*"):
            new = f"{MINOR}.{patch * unit}".encode() if patch else b"x" * len(VERSION)
            library.write_bytes(library.read_bytes().replace(VERSION.encode() + b"\0", new + b"\0"))
    found = find_standard_library(replace(target, runtime_version=f"{MINOR}.{3 * unit}"))
    assert found is not None
    assert found.directory.parts[-3] == "near"


@pytest.mark.parametrize("missing", ["xmlrpc", "code.py", "__future__.py", "lib-dynload"])
def test_one_that_lacks_what_a_debugger_imports_is_passed_over(target: Target, make: Make, missing: str) -> None:
    path = make(VERSION) / missing
    shutil.rmtree(path) if missing == "lib-dynload" else path.unlink()
    assert find_standard_library(target) is None
    with pytest.raises(Unsupported) as refusal:
        standard_library_directories(target)
    assert missing.removesuffix(".py") in refusal.value.why or missing == "lib-dynload"


def test_an_extension_module_may_be_in_the_program_instead(target: Target, make: Make, tmp_path: Path) -> None:
    directory = make(VERSION)
    module = next((directory / "lib-dynload").glob("_ctypes.*.so"))
    module.unlink()
    assert find_standard_library(target) is None
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / module.name).write_text("")
    library = bundle / f"libpython{MINOR}.so.1.0"
    assert find_standard_library(replace(target, libpython=library)) is not None


@pytest.mark.parametrize("flags", ["t", "d"])
def test_another_kind_of_build_is_passed_over(target: Target, flags: str) -> None:
    assert find_standard_library(replace(target, libpython=Path(f"/none/libpython{MINOR}{flags}.so.1.0"))) is None


def test_an_unknown_version_has_none(target: Target) -> None:
    assert find_standard_library(replace(target, runtime_version=None)) is None


def test_the_refusal_names_the_version_and_the_cure(target: Target, make: Make) -> None:
    with pytest.raises(Unsupported) as refusal:
        standard_library_directories(target)
    assert f"no CPython {MINOR}" in refusal.value.why
    assert "debugtool build --debug" in refusal.value.next_step
