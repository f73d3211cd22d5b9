"""Root debugs another user's process, and that user puts links in its way: root obeys none of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from debugtool.debuggers import MeetingPlace
from debugtool.debuggers.location import private_copy
from debugtool.errors import DebugtoolError, Unsupported
from debugtool.inject import Bootstrap, inject
from debugtool.inject.by_remote_exec import RemoteExecInjector
from debugtool.model import Build, Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.session.rendezvous import Rendezvous
from debugtool.system import sole_session, start_ticks

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be several users")


@pytest.fixture
def roots(tmp_path: Path) -> Iterator[Path]:
    """A directory of root's with a file in it; at the end of the test they are as they were, with nothing beside."""
    directory = tmp_path / "roots"
    directory.mkdir(mode=0o700)
    file = directory / "file"
    file.write_text("root's own")
    file.chmod(0o640)
    yield directory
    for path, mode in ((directory, 0o40700), (file, 0o100640)):
        facts = path.stat()
        assert (facts.st_uid, oct(facts.st_mode)) == (0, oct(mode)), path
    assert file.read_text() == "root's own"
    assert list(directory.iterdir()) == [file]


@pytest.fixture(autouse=True)
def runtime() -> Iterator[Path]:
    """The user's runtime directory; what a test has put there is gone at its end."""
    directory = Path(paths.make_runtime_dir(NOBODY))
    before = set(directory.iterdir())
    yield directory
    for path in set(directory.iterdir()) - before:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def put_link(path: Path, to: Path) -> None:
    """Do what the directory's owner may at any moment: move a file or directory aside, and put a link in its place."""
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_name(f"moved-{path.name}"))
    path.symlink_to(to)


@pytest.fixture
def swapped(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each private directory is swapped for a link to root's as soon as it is there."""
    real = tempfile.mkdtemp

    def make_and_swap(*arguments: Any, **named: Any) -> str:
        made: str = real(*arguments, **named)
        put_link(Path(made), roots)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_swap)


@pytest.mark.usefixtures("swapped")
def test_the_place_of_the_payload() -> None:
    with pytest.raises(PermissionError):
        MeetingPlace(NOBODY)


@pytest.mark.usefixtures("swapped")
def test_a_copy_that_is_made_for_the_user(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "package").mkdir(parents=True)
    (source / "package" / "module.py").write_text("")
    with pytest.raises(PermissionError):
        private_copy(source, "test", NOBODY, leave_out=())


@contextlib.contextmanager
def nobodys_process(executable: Path | None = None) -> Iterator[tuple[Target, MeetingPlace, Bootstrap]]:
    """Run a process of the user's that says it is a CPython 3.14, and make the place of its payload."""
    with (
        subprocess.Popen(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "sleep", "600"]) as process,
        contextlib.closing(MeetingPlace(NOBODY)) as place,
    ):
        try:
            user = pwd.getpwuid(NOBODY).pw_name
            facts = (Runtime.CPYTHON, "3.14", Build.SOURCE, None, user, NOBODY, 0.0)
            started_ticks = start_ticks(process.pid) or 0
            target = Target(process.pid, "sleep", None, *facts, executable=executable, started_ticks=started_ticks)
            yield target, place, Bootstrap(place.payload, place.socket, place.token, Path("/"), 0)
        finally:
            process.kill()


def test_the_script_of_remote_exec(roots: Path) -> None:
    with nobodys_process() as (target, place, bootstrap):
        put_link(place.directory / "bootstrap.py", roots / "file")
        with pytest.raises((PermissionError, DebugtoolError)):
            RemoteExecInjector().inject(target, bootstrap, timeout_s=10)


@pytest.mark.parametrize("whose", ["file", "directory"])
def test_an_interpreter_that_the_user_may_replace(whose: str, tmp_path: Path) -> None:
    """Root runs no program that the target's user could have written, or could put another one in the place of."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    program, ran = home / "python3.14", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\nid -u > {ran}\n")
    program.chmod(0o755)
    os.chown(program if whose == "file" else home, NOBODY, -1)
    with nobodys_process(program) as (target, _, bootstrap), pytest.raises(Unsupported) as raised:
        inject(target, bootstrap, method="remote_exec", timeout_s=10)
    assert not ran.exists()
    owned = program if whose == "file" else home
    assert f"root does not run {program}: user {NOBODY} may change {owned}" in raised.value.why


def test_the_place_where_the_next_process_calls(roots: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.chmod

    def swap_and_chmod(path: Path, mode: int, **named: Any) -> None:
        if path.suffix == ".sock" and not path.is_symlink():
            put_link(path, roots / "file")
        real(path, mode, **named)

    monkeypatch.setattr(Path, "chmod", swap_and_chmod)

    async def scene() -> None:
        async with Rendezvous(NOBODY, None):
            assert not list(runtime.glob(f"rendezvous-{os.getpid()}-*.json"))  # it goes without

    asyncio.run(scene())


def test_a_place_that_does_not_end_when_it_is_read(runtime: Path) -> None:
    """GIVEN a pipe under the name of a session that was killed WHEN the next one looks at it THEN it goes on."""
    os.mkfifo(runtime / "rendezvous-1-1.json", 0o600)

    async def scene() -> None:
        async with asyncio.timeout(20), Rendezvous(NOBODY, None):
            (own,) = runtime.glob(f"rendezvous-{os.getpid()}-{start_ticks(os.getpid())}.json")
            assert own.stat().st_uid == own.with_suffix(".sock").stat().st_uid == NOBODY

    asyncio.run(scene())


def test_the_lock_of_a_target(roots: Path, runtime: Path) -> None:
    """GIVEN a second name of root's file where the lock is to be THEN the file is not given away."""
    lock = runtime / f"target-{os.getpid()}.lock"
    lock.hardlink_to(roots / "file")
    with pytest.raises(PermissionError), sole_session(os.getpid(), NOBODY):
        pass
    lock.unlink()
