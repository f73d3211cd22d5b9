"""Whose rendezvous files a starting plugin trusts, and that it starts whatever it finds."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debugtool.plugin.agent import paths, payload, rendezvous
from debugtool.system import start_ticks

UID = os.geteuid()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "runtime"
    directory.mkdir(mode=0o700)
    monkeypatch.setattr(paths, "runtime_dir", lambda uid: str(directory))
    return directory


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The sockets that were gone to, and for how long at most."""
    gone_to: list[tuple[str, float]] = []
    monkeypatch.setattr(rendezvous, "meet", lambda path, uid, limit_s, executable: gone_to.append((path, limit_s)))
    return gone_to


def place(directory: Path, **changes: Any) -> Path:
    """Write the rendezvous file of a session that runs: this process."""
    path = directory / "rendezvous-1-2.json"
    content = {
        "socket": "/the/socket",
        "pid": os.getpid(),
        "started": start_ticks(os.getpid()),
        "program": "/the/plugin",
    }
    path.write_text(json.dumps(content | changes))
    path.chmod(0o600)
    return path


def test_a_session_that_waits_for_this_program_is_gone_to(runtime: Path, called: list[tuple[str, float]]) -> None:
    place(runtime)
    rendezvous.keep("/the/plugin", UID)
    assert called == [("/the/socket", rendezvous.LIMIT_S)]


@pytest.mark.parametrize(("asked_s", "limit_s"), [(50, 50), (3600, rendezvous.LONGEST_S)])
def test_a_session_that_waits_for_any_start_is_gone_to_never_for_ever(
    runtime: Path, called: list[tuple[str, float]], asked_s: float, limit_s: float
) -> None:
    place(runtime, program=None, limit_s=asked_s)
    rendezvous.keep("/the/plugin", UID)
    assert called == [("/the/socket", limit_s)]


def make_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o620),
        lambda path: path.chmod(0o602),
        lambda path: os.chown(path, 65534, -1),
        lambda path: path.parent.chmod(0o755),
        lambda path: os.chown(path.parent, 65534, -1),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text("{"),
        lambda path: path.write_text('{"program": "/the/plugin"}'),
        make_link,
        make_pipe,
    ],
    ids=["group", "others", "owner", "open-dir", "foreign-dir", "no-object", "no-json", "no-socket", "link", "pipe"],
)
def test_what_may_be_somebody_elses_is_not_gone_to(
    runtime: Path, called: list[tuple[str, float]], spoil: Callable[[Path], object]
) -> None:
    spoil(place(runtime))
    rendezvous.keep("/the/plugin", UID)
    assert called == []


@pytest.mark.parametrize("changes", [{"program": "/another"}, {"started": 1}, {"pid": 2**22 + 1}, {"pid": "x"}])
def test_another_program_or_a_session_that_is_gone_is_not_gone_to(
    runtime: Path, called: list[tuple[str, float]], changes: dict[str, Any]
) -> None:
    place(runtime, **changes)
    rendezvous.keep("/the/plugin", UID)
    assert called == []


def test_without_a_runtime_directory_the_plugin_starts(runtime: Path) -> None:
    runtime.rmdir()
    rendezvous.keep("/the/plugin", UID)


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"[]\n", b'{"do": "arm"}\n', b"\xff\n", b"[" * 60000 + b"\n", b'{"do": "wait"}\n']
)
def test_whatever_is_said_there_the_plugin_starts(runtime: Path, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "SILENCE_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / "s"))
        listener.listen()
        place(runtime, socket=str(runtime / "s"))
        starting = threading.Thread(target=rendezvous.keep, args=("/the/plugin", UID))
        starting.start()
        channel, _ = listener.accept()
        with channel:
            channel.sendall(said)
            starting.join(10)
        assert not starting.is_alive()


def test_orders_are_carried_out_until_go(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(payload, "run", started.append)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / "s"))
        listener.listen()
        listener.settimeout(10)
        starting = threading.Thread(target=rendezvous.meet, args=(str(runtime / "s"), UID, 10.0, "/the/plugin"))
        starting.start()
        channel, _ = listener.accept()
        with channel:
            channel.sendall(b'{"do": "wait"}\n{"do": "arm", "arguments": {"token": "t"}}\n{"do": "go"}\n')
            assert channel.makefile("rb").readline() == b"{}\n"
        starting.join(10)
    assert started == [{"token": "t", "launcher": ("/the/plugin", "/the/plugin")}]
