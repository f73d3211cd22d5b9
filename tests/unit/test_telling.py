"""Printing in a thread of its own: in order and complete while somebody reads, never waited for while nobody does."""

from __future__ import annotations

import threading

import pytest

from debugtool.session import telling
from debugtool.session.telling import Telling

DEADLINE_S = 20


def test_what_is_told_is_printed_at_once_and_in_order() -> None:
    printed: list[int] = []
    with Telling(printed.append) as told:
        for number in range(100):
            told.do(lambda number=number: printed.append(number))  # type: ignore[misc]
            assert printed == list(range(number + 1))


def test_nobody_waits_for_a_reader_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_MOST", 3)
    printed: list[str] = []
    reads, has_read = threading.Event(), threading.Event()

    def printing(text: str) -> None:
        assert reads.wait(DEADLINE_S)
        printed.append(text)

    def tell_lost(lost: int) -> None:
        printed.append(f"{lost} lost")
        has_read.set()

    with Telling(tell_lost) as told:
        for text in "abcdefg":
            told.do(lambda text=text: printing(text))  # type: ignore[misc]
        assert printed == []
        reads.set()
        assert has_read.wait(DEADLINE_S)
        told.do(lambda: printed.append("on"))
    assert printed == ["a", "b", "c", "4 lost", "on"]


def test_the_end_does_not_wait_for_him_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_END_S", 0.05)
    forever = threading.Event()
    with Telling(lambda lost: None) as told:
        told.do(lambda: bool(forever.wait(DEADLINE_S)))  # type: ignore[arg-type]
    assert not forever.is_set()
    forever.set()


def test_a_reader_who_is_gone_is_an_error_for_whoever_tells() -> None:
    def fail() -> None:
        raise BrokenPipeError

    with Telling(lambda lost: None) as told:
        for _ in range(2):
            with pytest.raises(BrokenPipeError):
                told.do(fail)
