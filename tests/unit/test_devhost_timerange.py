"""Grafana's date math."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.devhost.timerange import BadTime, TimeRange, parse_range, parse_time

NOW = datetime(2026, 11, 22, 13, 26, 33, 277_000, tzinfo=UTC)  # a Sunday
UNITS = ["y", "fy", "Q", "fQ", "M", "w", "d", "h", "H", "m", "s"]


def at(text: str, *, round_up: bool = False) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=parse_time(text, NOW, round_up=round_up))
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-22T13:26:33.277"),
        ("now-1h", "2026-11-22T12:26:33.277"),
        ("now-h", "2026-11-22T12:26:33.277"),
        ("now+90m", "2026-11-22T14:56:33.277"),
        ("now-30s", "2026-11-22T13:26:03.277"),
        ("now-7d", "2026-11-15T13:26:33.277"),
        ("now-1w", "2026-11-15T13:26:33.277"),
        ("now-1M", "2026-10-22T13:26:33.277"),
        ("now-1Q", "2026-08-22T13:26:33.277"),
        ("now-1y", "2025-11-22T13:26:33.277"),
        ("now-1b", "2026-11-20T13:26:33.277"),
        ("now+3b", "2026-11-25T13:26:33.277"),
        ("now/d", "2026-11-22T00:00:00.000"),
        ("now/w", "2026-11-16T00:00:00.000"),
        ("now/M", "2026-11-01T00:00:00.000"),
        ("now/Q", "2026-10-01T00:00:00.000"),
        ("now/y", "2026-01-01T00:00:00.000"),
        ("now/fy", "2026-01-01T00:00:00.000"),
        ("now/h", "2026-11-22T13:00:00.000"),
        ("now-1d/d", "2026-11-21T00:00:00.000"),
        ("now/d+8h", "2026-11-22T08:00:00.000"),
        ("now-1M/M-1d", "2026-09-30T00:00:00.000"),
        ("1h", "2026-11-22T12:26:33.277"),
        ("1h30m", "2026-11-22T11:56:33.277"),
        ("1.5h", "2026-11-22T11:56:33.277"),
        ("7d", "2026-11-15T13:26:33.277"),
        ("1y", "2025-11-22T07:26:33.277"),  # Grafana's year is 365.25 days here
        ("1700000000000", "2023-11-14T22:13:20.000"),
        ("-1000", "1969-12-31T23:59:59.000"),
        ("2026-01-31", "2026-01-31T00:00:00.000"),
        ("2026-01-31T12:00:00.250Z", "2026-01-31T12:00:00.250"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000"),
        ("2026-01-31||+1M", "2026-03-03T00:00:00.000"),  # as Go: February has no 31st
        ("2024-02-29||-1y", "2023-03-01T00:00:00.000"),
        ("2026-01-31||", "2026-01-31T00:00:00.000"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert at(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now/d", "2026-11-22T23:59:59.999"),
        ("now-1d/d", "2026-11-21T23:59:59.999"),
        ("now/w", "2026-11-22T23:59:59.999"),
        ("now/M", "2026-11-30T23:59:59.999"),
        ("now/Q", "2026-12-31T23:59:59.999"),
        ("now/y", "2026-12-31T23:59:59.999"),
        ("now/s", "2026-11-22T13:26:33.999"),
    ],
)
def test_the_end_of_a_range_is_rounded_up(text: str, expected: str) -> None:
    assert at(text, round_up=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "now-", "now-1", "now-1x", "now/", "now/b", "nowish", "tomorrow", "1h2", "-", "now-1h "),
        *("2026-13-01", "2026-02-30", "2026-01-01T25:00", "2026-01-01 12:00", "now-99999999y", "now+9999999999999b"),
    ],
)
def test_texts_that_are_no_time(text: str) -> None:
    with pytest.raises(BadTime):
        parse_time(text, NOW)


def test_a_range_has_both_roundings() -> None:
    found = parse_range("now/d", "now/d", NOW)

    assert found.to_ms - found.from_ms == 24 * 3600 * 1000 - 1
    assert parse_range("1", "2") == TimeRange(1, 2)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.sampled_from(UNITS))
def test_rounding_surrounds_every_time(naive: datetime, unit: str) -> None:
    now = naive.replace(tzinfo=UTC)
    moment = parse_time("now", now)

    start, end = parse_time(f"now/{unit}", now), parse_time(f"now/{unit}", now, round_up=True)

    assert start <= moment <= end
    assert parse_time(f"now/{unit}/{unit}", now) == start


@given(st.integers(0, 10_000), st.sampled_from(["w", "d", "h", "m", "s"]))
def test_going_there_and_back_changes_nothing(count: int, unit: str) -> None:
    assert parse_time(f"now-{count}{unit}+{count}{unit}", NOW) == parse_time("now", NOW)


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    try:
        assert isinstance(parse_time(text, NOW), int)
    except BadTime as error:
        assert str(error)
