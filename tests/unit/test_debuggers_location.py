"""Who may read a file, by the permission bits of it and of all above it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from debugtool.debuggers.abandoned import is_abandoned, prefix_for, remove_abandoned
from debugtool.debuggers.location import debugpy_directory, is_readable_by
from debugtool.model import Build, Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.system import namespace_mark, start_ticks

OTHER = 54321
TARGET = Target(4711, "my-datasource", None, Runtime.CPYTHON, "3.11.7", Build.SOURCE, None, "me", os.geteuid(), 0.0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody can reach; pytest closes its own, at any time."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def file(public: Path) -> Path:
    path = public / "a" / "file.py"
    path.parent.mkdir(mode=0o755)
    path.write_text("")
    path.chmod(0o644)
    return path


def test_what_everybody_may_read(file: Path) -> None:
    assert is_readable_by(file, OTHER)


def test_a_file_that_is_closed(file: Path) -> None:
    file.chmod(0o640)
    assert not is_readable_by(file, OTHER)
    assert is_readable_by(file, os.geteuid())


def test_a_directory_above_that_is_closed(file: Path) -> None:
    file.parent.chmod(0o700)
    assert not is_readable_by(file, OTHER)
    assert is_readable_by(file, os.geteuid())


def test_a_link_into_a_closed_directory(file: Path, public: Path) -> None:
    link = public / "link.py"
    link.symlink_to(file)
    assert is_readable_by(link, OTHER)
    file.parent.chmod(0o700)
    assert not is_readable_by(link, OTHER)


def test_only_abandoned_session_directories_are_removed(tmp_path: Path) -> None:
    own = f"session-{os.getpid()}-{start_ticks(os.getpid())}-{namespace_mark()}-abc"
    abandoned = f"session-{os.getpid()}-1-{namespace_mark()}-abc"
    elsewhere = f"session-{os.getpid()}-1-1.1-abc"  # in another container, where that process may well run
    others = ["session-12.json", "session-x-y-z", elsewhere, "debugpy-1.8.22", "agent-1.sock"]
    for name in (own, abandoned, *others):
        (tmp_path / name).mkdir()
    (tmp_path / abandoned / "payload.py").write_text("")
    remove_abandoned(tmp_path, "session")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([own, *others])


def test_an_abandoned_directory_that_somebody_uses_stays(tmp_path: Path) -> None:
    used, unused = (tmp_path / f"delve-{os.getpid()}-1-{namespace_mark()}-{name}" for name in ("used", "unused"))
    used.mkdir()
    unused.mkdir()
    remove_abandoned(tmp_path, "delve", is_used=used.samefile)
    assert list(tmp_path.iterdir()) == [used]


def test_a_directory_that_is_named_for_a_process_is_not_abandoned_while_that_runs() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        name = Path(f"{prefix_for('delve', process.pid)}0abc")
        assert not is_abandoned(name)
    assert is_abandoned(name)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of our own."""
    made = tmp_path / "runtime"
    made.mkdir(mode=0o700)
    monkeypatch.setattr(paths, "runtime_dir", lambda uid: str(made))
    return made


def test_links_to_what_is_gone_and_what_was_begun_are_removed_with_the_next_link(runtime: Path) -> None:
    """GIVEN what uninstalled and killed debugtools left WHEN a link is made THEN that is removed, and nothing else."""
    kept, mark = ["agent-1.sock", "debugpy-copy-0123", "debugpy-link-1.1-0123"], namespace_mark()
    for name in (*kept, f"debugpy-link-{mark}-4567"):
        (runtime / name).mkdir()
        (runtime / name / "debugpy").symlink_to(runtime / "gone")  # of other containers we cannot say so
    kept.append(f"{prefix_for('half-debugpy-copy-89')}abc")  # its maker is at work
    kept.append(f"half-debugpy-copy-89-{os.getpid()}-1-1.1-abc")  # and its maker, elsewhere, may be
    for name in (*kept[-2:], f"half-debugpy-link-{mark}-89-{os.getpid()}-1-{mark}-abc"):
        (runtime / name).mkdir()
    made = debugpy_directory(TARGET)
    assert (made / "debugpy" / "__init__.py").exists()
    assert sorted(path.name for path in runtime.iterdir()) == sorted([*kept, made.name])
    assert debugpy_directory(TARGET) == made
