"""The lock that makes a session the only one on its target, and the records of sessions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from debugtool.model import Build, ProcessRef, Runtime, Target
from debugtool.plugin.agent import paths
from debugtool.system import (
    SessionRecord,
    find_sessions,
    is_awaited,
    namespace_mark,
    registered,
    registered_beside,
    session_on,
    sole_session,
    start_ticks,
    write_record,
)

# Of no process: none of that number began with the machine.
TARGET = Target(4711, "my-datasource", None, Runtime.CPYTHON, "3.11.7", Build.SOURCE, None, "me", os.geteuid(), 0.0)


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


def test_a_session_of_another_version_is_known_by_what_both_versions_write() -> None:
    record = SessionRecord.of(TARGET, "127.0.0.1", 3222, "agent")
    with registered(record):
        path = Path(paths.runtime_dir(os.geteuid())) / f"session-{os.getpid()}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "blue"}))
        assert find_sessions() == [record]


@pytest.fixture
def next_process() -> Iterator[Target]:
    """A process that has just been started, as a target whose host is the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host = ProcessRef(os.getpid(), "host")
        yield replace(TARGET, pid=process.pid, started_ticks=start_ticks(process.pid) or 0, host=host)
        process.kill()


@pytest.mark.parametrize(
    ("changes", "is_so"),
    [
        ({}, True),
        ({"follows": False}, False),
        ({"is_ending": True}, False),
        ({"target_name": "another"}, False),
        ({"target_host": 1}, False),  # which lives, and has not started it
        ({"target_host": None}, True),
        ({"target_pid": os.getpid(), "target_started": start_ticks(os.getpid())}, False),  # runs beside it
        ({"target_started": 1 << 40}, False),  # began before the one that has ended
    ],
)
def test_a_process_is_awaited_by_a_session_that_follows_when_it_comes_after_its_own(
    next_process: Target, changes: dict[str, Any], is_so: bool
) -> None:
    of_one_that_ended = SessionRecord.of(replace(TARGET, host=next_process.host), "127.0.0.1", 0, "agent", follows=True)
    with registered(replace(of_one_that_ended, **changes)):
        assert is_awaited(next_process) is is_so


def test_a_session_that_ends_has_its_processes_no_more(next_process: Target) -> None:
    """GIVEN a session of two processes WHEN it ends THEN an attach to either waits for it, and does not reuse it."""
    record = SessionRecord.of(TARGET, "127.0.0.1", 3222, "agent")
    beside = SessionRecord.of(next_process, "127.0.0.1", 3222, "agent")
    with registered(record), registered_beside(beside):
        assert session_on(next_process) == beside
        write_record(replace(record, is_ending=True))
        assert session_on(next_process) is None
        assert session_on(TARGET) is None
