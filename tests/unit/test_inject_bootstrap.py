"""The line of Python that injectors run: it is one line, it executes, and it takes any path."""

from __future__ import annotations

import ast
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from debugtool.inject import Bootstrap
from debugtool.plugin.agent import payload

DIRECTORIES = ["plain", "with space", "it's", 'say "x"', "back\\slash", "{braces}", "%s", "täst ✓", "new\nline", "😀"]


@pytest.fixture(params=DIRECTORIES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("b") / request.param
    directory.mkdir()
    return directory


@pytest.fixture
def session(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(10)
        listener.bind(str(place / "s"))
        listener.listen()
        yield listener


def bootstrap(place: Path) -> Bootstrap:
    return Bootstrap(place / "payload.py", place / "s", "to'ken", place, 1000)


def said(listener: socket.socket) -> dict[str, Any]:
    channel, _ = listener.accept()
    with channel, channel.makefile("r", encoding="utf-8") as lines:
        document: dict[str, Any] = json.loads(lines.readline())
        return document


def run(text: str) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    exec(text, names)  # as PyRun_SimpleString does, in the program's own names
    del names["__builtins__"]
    assert names == {"__name__": "__main__"}


def test_it_is_one_line_that_older_pythons_can_read(place: Path) -> None:
    text = bootstrap(place).text
    assert "\n" not in text
    ast.parse(text, feature_version=(3, 8))


def test_it_hands_the_arguments_to_the_payload_in_a_thread_of_its_own(place: Path, session: socket.socket) -> None:
    (place / "payload.py").write_text(
        "import json, socket, threading\n"
        "def run(arguments):\n"
        "    with socket.socket(socket.AF_UNIX) as channel:\n"
        "        channel.connect(arguments['socket'])\n"
        "        arguments['thread'] = threading.get_ident()\n"
        "        channel.sendall((json.dumps(arguments) + '\\n').encode())\n"
    )
    run(bootstrap(place).text)
    answer = said(session)
    assert answer.pop("thread") != threading.get_ident()
    assert answer == bootstrap(place).arguments


def test_a_payload_that_fails_is_told_with_its_traceback(place: Path, session: socket.socket) -> None:
    (place / "payload.py").write_text("def run(arguments):\n    raise ValueError('wörds \\ud800 😀 \"quoted\"')\n")
    run(bootstrap(place).text)
    answer = said(session)
    assert (answer["event"], answer["token"]) == ("failed", "to'ken")
    assert answer["traceback"].startswith("Traceback (most recent call last):")
    assert 'ValueError: wörds \ud800 😀 "quoted"' in answer["traceback"]


def test_a_payload_that_is_missing_is_told(place: Path, session: socket.socket) -> None:
    run(bootstrap(place).text)
    assert "FileNotFoundError" in said(session)["traceback"]


def test_nobody_is_told_when_the_session_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr("_thread.start_new_thread", lambda function, arguments: started.append((function, arguments)))
    run(bootstrap(tmp_path).text)
    [(function, arguments)] = started
    function(*arguments)  # raises nothing


def test_an_interpreter_that_starts_no_thread_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(10)
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        monkeypatch.setattr("_thread.start_new_thread", refuse)
        run(bootstrap(tmp_path).text)
        assert said(listener)["traceback"] == 'RuntimeError("can\'t create new thread at interpreter shutdown")'


def test_the_payload_is_read_alike_in_every_locale() -> None:
    assert Path(payload.__file__).read_bytes().isascii()
    ast.parse(Path(payload.__file__).read_text(), feature_version=(3, 8))
