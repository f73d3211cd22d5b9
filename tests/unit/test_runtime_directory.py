"""The directory where debugtool and its targets meet: nobody else's, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debugtool.plugin.agent import paths


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "debugtool"
    monkeypatch.setattr(paths, "runtime_dir", lambda uid: str(path))
    return path


def test_it_is_made_private_and_used_again(place: Path) -> None:
    old = os.umask(0)
    try:
        made = [paths.make_runtime_dir(os.geteuid()) for _ in range(2)]
    finally:
        os.umask(old)
    assert made == [str(place)] * 2
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_link_is_refused_wherever_it_leads(place: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(0o700)
    place.symlink_to(own)
    with pytest.raises(paths.UnsafeDirectory, match="is not a directory"):
        paths.make_runtime_dir(os.geteuid())


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o770, 0o1777])
def test_one_that_is_open_to_others_is_refused(place: Path, mode: int) -> None:
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(paths.UnsafeDirectory, match=f"is open to others .mode {mode:04o}."):
        paths.make_runtime_dir(os.geteuid())


def test_another_users_is_refused(place: Path) -> None:
    place.mkdir(0o700)
    os.chown(place, 65534, -1)
    with pytest.raises(paths.UnsafeDirectory, match="belongs to user 65534"):
        paths.make_runtime_dir(os.geteuid())
