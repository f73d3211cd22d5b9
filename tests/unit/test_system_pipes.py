"""Who holds an end of a pipe, read from a recorded /proc."""

from __future__ import annotations

from pathlib import Path

from debugtool.model import ProcessRef
from debugtool.system import pipe_holders


def test_holders_are_found_by_inode(tmp_path: Path) -> None:
    for pid, name, links in (
        (10, "sleep", {"0": "/dev/null", "2": "pipe:[77]"}),
        (2, "python3", {"1": "pipe:[78]", "2": "pipe:[77]"}),
        (30, "other", {"1": "pipe:[7]", "2": "socket:[77]"}),
    ):
        directory = tmp_path / str(pid) / "fd"
        directory.mkdir(parents=True)
        (directory.parent / "comm").write_text(f"{name}\n")
        for number, link in links.items():
            (directory / number).symlink_to(link)
    (tmp_path / "40").mkdir()  # another user's, or ended: nothing can be read
    (tmp_path / "meminfo").touch()

    assert pipe_holders([77, 99], proc=tmp_path) == [ProcessRef(2, "python3"), ProcessRef(10, "sleep")]
    assert pipe_holders([1], proc=tmp_path) == []
