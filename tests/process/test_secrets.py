"""What proves a session stays inside it: nothing of it is in a command line, an environment or what is printed."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import BREAK_LINE, ROOT, WORKER, attached, find_pythons, running_worker
from dap_client import DapClient

NEWEST = find_pythons()[-1]
# A token, and a file in the private directory of a session.
SECRET = re.compile(rb"\b[0-9a-f]{32}\b|/session-\d+-")
HELPERS = {"agent": b"", "ptrace": b"tracer.py", "gdb": b"gdb_script.py", "remote_exec": b"sys.remote_exec"}
ATTEMPTS = 10  # a helper lives for some 20 ms, in which we may not come to look


def read_all(proc: Path, name: str) -> bytes:
    try:
        return (proc / name).read_bytes()
    except OSError:
        return b""


def parent_of(proc: Path) -> int:
    fields = read_all(proc, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


@contextlib.contextmanager
def watching() -> Iterator[set[bytes]]:
    """Collect command lines and environments of children that we start in the block, and of theirs."""
    seen: set[bytes] = set()
    ended = threading.Event()
    before = set(Path("/proc").iterdir())

    def look() -> None:
        family = {os.getpid()}
        while not ended.is_set():
            for proc in [path for path in Path("/proc").iterdir() if path.name.isdigit() and path not in before]:
                if int(proc.name) in family or parent_of(proc) in family:
                    family.add(int(proc.name))
                    seen.update(read_all(proc, name) for name in ("cmdline", "environ"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("method", list(HELPERS))
def test_of_every_way_in(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)  # looks like a token
    options = ["--agent", str(ROOT)] if method == "agent" else []
    if method == "remote_exec" and not NEWEST.parents[1].name.startswith("3.14"):
        pytest.skip("no CPython 3.14")
    seen: set[bytes] = set()
    with running_worker("idle", *options, python=NEWEST) as worker:
        for _ in range(ATTEMPTS):
            seen |= texts_of_a_session(worker.pid, method)
            if any(HELPERS[method] in text for text in seen):
                break
        else:
            pytest.fail(f"in {ATTEMPTS} sessions nothing was seen of {HELPERS[method]!r}")
    assert not [text for text in seen if SECRET.search(text)]


def texts_of_a_session(pid: int, method: str) -> set[bytes]:
    """Have an editor in a session; give the command lines and environments that there were."""
    with watching() as seen, attached("--pid", pid, "--method", method) as session:
        session.wait_for("ready")
        with DapClient(session.port) as editor:
            editor.attach({WORKER: [BREAK_LINE]})
            editor.disconnect()
        assert session.stop() == 0
        assert not SECRET.search(session.error_text().encode())
        assert not [event for event in session.events if SECRET.search(repr(event).encode())]
    assert seen
    return seen
