"""What the edit loop takes for a save, and what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from watchfiles import Change

from debugtool.builds import check_syntax
from debugtool.dev.changes import directories, sorted_out
from debugtool.dev.report import event_text
from debugtool.dev.screen import State
from debugtool.errors import DebugtoolError


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_by_products_are_not_watched_wherever_the_project_lies(tmp_path: Path) -> None:
    root = tmp_path / ".hidden" / "dist" / "project"  # above it, nothing matters
    touched(root / "backend" / "dist_info" / "main.py")
    touched(root / "environment" / "pyvenv.cfg")
    for name in (".git", ".venv", "dist", "build", "node_modules", "coverage", "environment", "backend/__pycache__"):
        touched(root / name / "inside" / "file.py")
    found = {str(path.relative_to(root)) for path in directories(root)}
    assert found == {".", "backend", "backend/dist_info"}


def test_a_save_is_sorted_into_sources_and_other_files(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    source, data, manifest = (touched(tmp_path / name) for name in ("backend/a.py", "backend/a.sql", "src/plugin.json"))
    script, gone, passing = touched(tmp_path / "src/module.ts"), backend / "gone.py", backend / "sedKZN15V"
    batch = {(Change.modified, str(path)) for path in (source, data, manifest, script, backend)}
    batch |= {(Change.deleted, str(gone)), (Change.added, str(passing)), (Change.deleted, str(passing))}
    changes = sorted_out(batch, [backend])
    assert changes.sources == (source, data, gone)
    assert changes.others == (manifest,)


@pytest.mark.parametrize("text", ["def x(:\n", "  x = 1\n", "x = '\0'\n", "\x80 = 1\n"])
def test_what_does_not_compile_is_named_with_its_error(tmp_path: Path, text: str) -> None:
    good, bad = touched(tmp_path / "good.py"), tmp_path / "bad.py"
    bad.write_bytes(text.encode("latin-1"))
    with pytest.raises(DebugtoolError) as error:
        check_syntax(Path(sys.executable), [good, bad])
    assert str(bad) in error.value.what
    assert "Error: " in error.value.why
    assert [path.name for path in tmp_path.iterdir() if path not in (good, bad)] == []


def test_a_source_that_is_gone_compiles(tmp_path: Path) -> None:
    check_syntax(Path(sys.executable), [tmp_path / "gone.py"])


def test_the_screen_shows_the_newest_state() -> None:
    state = State()
    endpoint = {"host": "127.0.0.1", "port": 3222, "pid": 7, "method": "agent", "elapsed_ms": 500.0}
    state.take("started", {"pid": 7, "elapsed_ms": 100.0})
    state.take("ready", endpoint)
    state.take("client", {"connected": True})
    assert state.rows["plugin"] == "running, pid 7"
    assert (state.rows["debugger"], state.rows["editor"]) == ("127.0.0.1:3222, in pid 7 (agent)", "connected")
    state.take("saved", {"files": ["a.py"]})
    state.take("error", {"what": "a.py cannot be compiled.", "why": "line 1", "next": "Correct it.", "kept_pid": 7})
    assert state.error.endswith("The plugin runs on as it was, pid 7.")
    state.take("saved", {"files": ["a.py"]})
    assert state.error == ""
    state.take("exited", {"pid": 7})
    assert state.rows["plugin"].startswith("ended")
    state.take("rearmed", {"pid": 8, "save_ms": 500.4})
    assert state.rows["last save"].endswith("a.py  (under the debugger after 500 ms)")
    assert (state.rows["debugger"], state.rows["editor"]) == ("127.0.0.1:3222, in pid 8", "connected")


def test_events_that_a_person_need_not_read_have_no_text() -> None:
    assert event_text("starting", {"executable": "x"}) == ""
    assert event_text("launch_json", {"path": "x", "changed": False}) == ""
