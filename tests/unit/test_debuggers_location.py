"""Who may read a file, by the permission bits of it and of all above it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from debugtool.debuggers.location import is_readable_by
from debugtool.debuggers.meeting_place import remove_abandoned
from debugtool.system import namespace_mark, start_ticks

OTHER = 54321


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
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([own, *others])
