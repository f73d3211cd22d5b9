"""A few seconds of the fuzzers: the inputs that `scripts/fuzz` has kept, and what hypothesis makes of them."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
WORDS = [
    ast.literal_eval(f"b{line}") for line in (HERE / "words.dict").read_text().splitlines() if line.startswith('"')
]
_TEXTS = [word.decode().strip('": {[') for word in WORDS if word.startswith(b'"')]
NAMES = sorted({text for text in _TEXTS if text.isidentifier()} | {text.partition('"')[0] for text in _TEXTS})

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 5)
    | st.sampled_from([4242, 777, 1e999, 2**70, "\ud800", "TOKEN", "SOCKET", "/the/plugin", "/a\0b"])
    | st.sampled_from(NAMES)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


def fuzz_one(target: str) -> Callable[[bytes], None]:
    function: Callable[[bytes], None] = importlib.import_module(f"fuzz_{target}").fuzz_one
    return function


def kept(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


def spoil(message: Any, data: st.DataObject) -> Any:
    """Put some other value in one place of a message, or take the place out."""
    if not isinstance(message, dict | list) or not message or data.draw(st.booleans()):
        return data.draw(VALUES)
    message = dict(message) if isinstance(message, dict) else list(message)
    key = data.draw(st.sampled_from(sorted(message) if isinstance(message, dict) else range(len(message))))
    if data.draw(st.integers(0, 5)) == 0:
        del message[key]
    else:
        message[key] = spoil(message[key], data)
    return message


def spoil_line(line: bytes, data: st.DataObject) -> bytes:
    if data.draw(st.integers(0, 3)):
        try:
            return json.dumps(spoil(json.loads(line), data)).encode()
        except (ValueError, RecursionError):
            pass
    words = data.draw(st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=6))
    cut = data.draw(st.integers(0, len(line)))
    return line[:cut] + b"".join(words) + line[data.draw(st.integers(cut, len(line))) :]


def spoil_input(begun: bytes, data: st.DataObject) -> bytes:
    """Spoil a line or two of an input that is kept; it may begin with a byte of flags."""
    lines = begun.split(b"\n")
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(lines) - 1))
        flag, line = (lines[at][:1], lines[at][1:]) if lines[at][:1].isdigit() else (b"", lines[at])
        lines[at] = flag + spoil_line(line, data)
    return b"\n".join(lines)


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_inputs_break_nothing(target: str) -> None:
    assert kept(target)
    for path in kept(target):
        try:
            fuzz_one(target)(path.read_bytes())
        except Exception as error:
            error.add_note(str(path))
            raise


@pytest.mark.parametrize("target", TARGETS)
def test_neither_do_these_when_something_in_them_is_spoilt(target: str) -> None:
    one = fuzz_one(target)
    begun = [path.read_bytes() for path in kept(target)]

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(begun), st.data())
    def try_all(begun: bytes, data: st.DataObject) -> None:
        one(spoil_input(begun, data))

    try_all()


def test_the_kept_inputs_are_few() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < 200_000
