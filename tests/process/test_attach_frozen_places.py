"""Release builds in places that make it hard: another user's, read-only, without a CPython of their version."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import DEBUGTOOL, attached
from frozen_driver import MAIN, PROJECT, editing, frozen_program, running_frozen, stop_at

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be several users and to mount")


@pytest.fixture
def public() -> Iterator[Path]:
    """A copy of a onedir program where everybody can read it."""
    base = Path("/tmp") / f"frozen-{os.getpid()}"
    program = frozen_program()
    try:
        shutil.copytree(program.parent, base)
        yield base / program.name
    finally:
        shutil.rmtree(base)


def in_namespace(script: str, *arguments: str | Path) -> list[str]:
    """Give a command that runs a shell script in a mount namespace of its own."""
    return ["unshare", "--mount", "sh", "-e", "-c", script, "sh", *map(str, arguments)]


def test_root_attaches_to_another_users_program_who_may_not_read_the_standard_library(public: Path) -> None:
    with running_frozen(public, AS_NOBODY) as target, attached("--pid", target.pid, cwd=PROJECT) as session:
        session.wait_for("ready")
        with editing(session, {"IN ENTRY": MAIN}) as editor:
            target.begin("entry", 2)
            frame = stop_at(editor, "IN ENTRY", MAIN)
            assert editor.evaluate("os.geteuid()", frame) == str(NOBODY)
            editor.resume(frame["threadId"])
            assert target.result() == 5
        assert session.stop() == 0


def test_a_program_on_a_read_only_file_system(public: Path) -> None:
    script = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; exec "$2"'
    command = in_namespace(script, public.parent)
    with (
        running_frozen(public, command, env={"PATH": os.environ["PATH"]}) as target,
        attached("--pid", target.pid, cwd=PROJECT) as session,
    ):
        session.wait_for("ready")
        with editing(session, {"IN ENTRY": MAIN}) as editor:
            target.begin("entry", 2)
            frame = stop_at(editor, "IN ENTRY", MAIN)
            assert editor.evaluate("os.access(sys.executable, os.W_OK)", frame) == "False"
            editor.resume(frame["threadId"])
            assert target.result() == 5
        assert session.stop() == 0


def test_without_a_cpython_of_its_version_it_is_refused_and_left_alone() -> None:
    program = frozen_program("--onefile", version="3.9")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    hidden = [path for path in (root / "versions").glob("3.9*")]
    script = 'for path in "$@"; do mount -t tmpfs none "$path"; done; '
    script += f'exec "{DEBUGTOOL}" attach --port 0 --pid "$PID"'
    with running_frozen(program) as target:
        before = target.call("traces")
        done = subprocess.run(
            in_namespace(script, *hidden),
            env={**os.environ, "PID": str(target.pid)},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7, done.stderr
        assert f"pid {target.pid}" in done.stderr
        assert "no CPython 3.9 on this machine" in done.stderr
        assert "debugtool build --debug" in done.stderr
        assert target.call("traces") == before
