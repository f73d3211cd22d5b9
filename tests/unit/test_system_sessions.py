"""The lock that makes a session the only one on its target."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from debugtool.plugin.agent import paths
from debugtool.system import SessionRecord, find_sessions, namespace_mark, registered, sole_session, start_ticks


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "debugtool"
    monkeypatch.setattr(paths, "runtime_dir", lambda uid: str(path))
    return path


def test_the_first_has_it_and_leaves_nothing(directory: Path) -> None:
    with sole_session(1, os.geteuid()) as first, sole_session(2, os.geteuid()) as other:
        assert first and other
        with sole_session(1, os.geteuid()) as second:
            assert not second
        with sole_session(1, os.geteuid()) as third:
            assert not third, "what the second left must not open the first's lock"
    with sole_session(1, os.geteuid()) as again:
        assert again
    assert list(directory.iterdir()) == []


def test_others_that_begin_at_the_same_moment_take_nothing_away() -> None:
    """Each debugtool that starts looks at the locks of all others, and removes those that were left behind."""
    over = threading.Event()

    def begin_and_end(pid: int) -> None:
        while not over.is_set():
            with sole_session(pid, os.geteuid()):
                pass

    others = [threading.Thread(target=begin_and_end, args=(pid,)) for pid in (2, 3)]
    for other in others:
        other.start()
    try:
        for _ in range(300):
            with sole_session(1, os.geteuid()) as is_sole:
                assert is_sole
    finally:
        over.set()
        for other in others:
            other.join()


def test_a_relay_that_was_killed_has_no_session_though_nobody_has_collected_it(directory: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as relay:
        started = start_ticks(relay.pid)
        assert started is not None
        record = SessionRecord(relay.pid, started, 1, 1, "my-datasource", "127.0.0.1", 3222, "agent", namespace_mark())
        paths.make_runtime_dir(os.geteuid())
        with registered(record):
            assert find_sessions() == [record]
            relay.kill()
            os.waitid(os.P_PID, relay.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
            assert find_sessions() == []
    assert list(directory.iterdir()) == []


def test_what_another_container_left_in_a_shared_directory_is_not_judged_here() -> None:
    """GIVEN a /tmp that two pid namespaces share THEN a session of one does not seem abandoned to the other."""
    ended = SessionRecord(1, 1, 1, 1, "my-datasource", "127.0.0.1", 3222, "agent", "1.1")
    with registered(ended):
        assert find_sessions() == []
        path = Path(paths.runtime_dir(os.geteuid())) / "session-1.json"
        assert path.exists()
