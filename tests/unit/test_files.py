from __future__ import annotations

import os
from pathlib import Path

import pytest

from debugtool.files import make_directory, replace_file


def test_who_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "program"
    replace_file(path, b"old", mode=0o755)
    with path.open("rb") as running:
        replace_file(path, b"new", mode=0o755)
        assert running.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o755


def test_a_new_file_has_the_mode_that_open_would_give_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"")
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o640


def test_attributes_stay_and_the_time_is_now(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.setxattr(path, "user.note", b"mine")
    os.utime(path, (1, 1))
    replace_file(path, b"new")
    assert os.getxattr(path, "user.note") == b"mine"
    assert path.stat().st_mtime > 1


@pytest.mark.parametrize("place", ["directory", "missing/file"])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, place: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):  # Is a directory; No such file or directory
        replace_file(tmp_path / place, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_a_symlink_to_nothing_yet_gets_its_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"data"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_directories_belong_to_the_owner_of_the_place(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    make_directory(tmp_path / "a" / "b")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
