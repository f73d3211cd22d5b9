"""A plugin's stderr, read as go-plugin reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.devhost.hclog import LEVELS, LINE_LIMIT_BYTES, LineSplitter, LogLine, LogParser


def parse(line: str) -> LogLine:
    return LogParser().parse(line)


def test_an_entry_of_a_go_plugin() -> None:
    # Recorded from a plugin on grafana-plugin-sdk-go 0.298.
    line = parse(
        '{"@level":"info","@message":"Plugin Request Completed","@timestamp":"2026-11-22T12:26:33.277123+01:00",'
        '"dsName":"Go","duration":"139.37µs","refs":["A"]}'
    )

    assert line == LogLine("info", "Plugin Request Completed", {"dsName": "Go", "duration": "139.37µs", "refs": ["A"]})
    assert line.text() == 'Plugin Request Completed dsName=Go duration=139.37µs refs=["A"]'


@pytest.mark.parametrize("level", LEVELS)
def test_levels_ignore_case(level: str) -> None:
    assert parse(json.dumps({"@level": level.upper(), "@message": "m"})) == LogLine(level, "m")


@pytest.mark.parametrize(
    "line",
    [
        '{"@message": "no level"}',
        '{"@level": "fatal", "@message": "unknown level"}',
        '{"level": "info", "msg": "another logger"}',
        '["not", "an", "object"]',
        '"text"',
        "12",
        '{"@level": "info", "@message": "cut',
        '{"@level": "info", "@message": "not JSON for Go", "value": NaN}',
        '{"@level": "info", "@message": "three digits", "@timestamp": "2026-11-22T12:26:33.277Z"}',
        '{"@level": "info", "@message": "no zone", "@timestamp": "2026-11-22T12:26:33.277123"}',
        '{"@level": "info", "@message": "zone without colon", "@timestamp": "2026-11-22T12:26:33.277123+0100"}',
        "[ERR] is no tag",
        "  [INFO] is not at the start",
        "Traceback (most recent call last):",
        "",
    ],
)
def test_everything_else_is_plain_text_at_debug(line: str) -> None:
    assert parse(line) == LogLine("debug", line, plain=True)


@pytest.mark.parametrize("level", LEVELS)
def test_tagged_text_keeps_its_tag(level: str) -> None:
    line = f"[{level.upper()}] something"

    assert parse(line) == LogLine(level, line, plain=True)


@pytest.mark.parametrize("start", ["panic: oh no", "fatal error: all goroutines are asleep"])
def test_a_panic_and_all_untagged_lines_after_it_are_errors(start: str) -> None:
    parser = LogParser()

    levels = [parser.parse(line).level for line in ("before", start, "goroutine 1:", "[INFO] tagged", "main.go:3")]

    assert levels == ["debug", "error", "error", "info", "error"]


@pytest.mark.parametrize("key", ["@message", "@level", "@timestamp"])
@pytest.mark.parametrize("value", [None, 12, ["x"], {"a": 1}, True])
def test_a_key_that_is_no_string_would_crash_the_host(key: str, value: object) -> None:
    line = parse(json.dumps({"@level": "info", "@message": "m", key: value}))

    assert line.would_crash_host == key
    assert line.level == ("error" if key == "@level" else "info")


def test_a_traceback_in_a_field_is_laid_out_in_lines() -> None:
    line = parse(json.dumps({"@level": "error", "@message": "failed", "n": 1, "traceback": "Traceback:\n  File x\n"}))

    assert line.text() == "failed n=1\nTraceback:\n  File x"


def test_lines_are_cut_at_newlines_whatever_the_chunks() -> None:
    splitter = LineSplitter()

    lines = [line for chunk in (b"on", b"e\ntw", b"o\r\n\nthr", b"ee") for line in splitter.feed(chunk)]

    assert lines == [("one", True), ("two", True), ("", True)]
    assert splitter.pending == "three"
    assert splitter.end() == [("three", True)]
    assert splitter.end() == []


def test_a_line_above_the_limit_comes_in_pieces_that_are_not_parsed() -> None:
    splitter = LineSplitter()
    text = json.dumps({"@level": "error", "@message": "x" * LINE_LIMIT_BYTES})

    lines = splitter.feed(f"{text}\nnext\n".encode())

    assert [whole for _, whole in lines] == [False, False, True]
    assert "".join(line for line, whole in lines if not whole) == text
    assert lines[-1] == ("next", True)
    piece = LogParser().parse(lines[0][0], whole=False)
    assert (piece.level, piece.message) == ("debug", lines[0][0])


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.integers(1, 50))
def test_no_byte_is_lost(lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter(limit=16)

    pieces = [piece for start in range(0, len(data), size) for piece in splitter.feed(data[start : start + size])]
    pieces += splitter.end()

    said = "".join(text for text, _ in pieces)
    expected = "".join(line.removesuffix(b"\r").decode(errors="replace") for line in lines if len(line) < 16)
    assert splitter.pending == ""
    if all(len(line) < 16 for line in lines):
        assert said == expected
        assert len(pieces) == len(lines)


@given(st.text())
def test_any_text_is_a_log_line(text: str) -> None:
    assert parse(text).level in LEVELS
