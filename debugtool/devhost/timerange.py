"""Grafana's time ranges: epoch milliseconds, durations, and date math such as `now-1d/d`."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONG_DURATION = re.compile(r"([0-9]+)([dwMy])\Z")
_STEP = re.compile(r"([+-])([0-9]*)(fy|fQ|[yQMwdbhHms])|/(fy|fQ|[yQMwdhHms])")
_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
    r"(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,3}))?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)

_PART_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONG_DAYS = {"d": 1.0, "w": 7.0, "M": 365.25 / 12, "y": 365.25}
_MONTHS = {"y": 12, "fy": 12, "Q": 3, "fQ": 3, "M": 1}
_FIXED = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "H": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadTime(ValueError):
    """A text that is no time Grafana knows."""


@dataclass(frozen=True)
class TimeRange:
    """A time range in milliseconds since the epoch."""

    from_ms: int
    to_ms: int


def parse_range(start: str, end: str, now: datetime | None = None) -> TimeRange:
    """Read `from` and `to` of a query.

    Args:
        start: `from`; rounding (`/d`) goes to the start of the period.
        end: `to`; rounding goes to the last millisecond of the period.
        now: What `now` means; the current time by default.

    Raises:
        BadTime: One of them is no time.
    """
    now = now or datetime.now(UTC)
    return TimeRange(parse_time(start, now), parse_time(end, now, round_up=True))


def parse_time(text: str, now: datetime, *, round_up: bool = False) -> int:
    """Read one time, in UTC, as milliseconds since the epoch.

    Raises:
        BadTime: It is none.

    Source:
        grafana-plugin-sdk-go backend/gtime/time_range.go, and github.com/jszwedko/go-datemath, which it calls: weeks
        begin on Monday, fiscal years in January.
    """
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    try:
        ago = _duration(text)
        time = now - ago if ago is not None else _date_math(text, now, round_up)
    except OverflowError:
        raise BadTime(f"{text!r} is out of range") from None
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _duration(text: str) -> timedelta | None:
    """Read `1h30m` or `7d`: a time that long ago."""
    if match := _LONG_DURATION.match(text):
        return timedelta(days=int(match[1]) * _LONG_DAYS[match[2]])
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    parts = list(_DURATION_PART.finditer(rest))
    if not parts or "".join(part[0] for part in parts) != rest:
        return None
    return sign * timedelta(seconds=sum(float(part[1]) * _PART_S[part[2]] for part in parts))


def _date_math(text: str, now: datetime, round_up: bool) -> datetime:
    anchor, steps = _anchor(text, now)
    position = 0
    while position < len(steps):
        step = _STEP.match(steps, position)
        if step is None:
            raise BadTime(f"{text!r} is no time: it stops making sense at {steps[position:]!r}")
        if step[4]:
            anchor = _truncate(anchor, step[4], round_up)
        else:
            count = int(step[2] or 1) * (-1 if step[1] == "-" else 1)
            anchor = _add(anchor, count, step[3])
        position = step.end()
    return anchor


def _anchor(text: str, now: datetime) -> tuple[datetime, str]:
    if text.startswith("now"):
        return now.astimezone(UTC), text[3:]
    date, _bars, steps = text.partition("||")
    match = _DATE.fullmatch(date)
    if match is None:
        raise BadTime(f"{text!r} is no time: give epoch milliseconds, now-1h, or 2026-01-31T12:00:00Z")
    fields = match.groupdict()
    try:
        return (
            datetime(
                int(fields["year"]),
                int(fields["month"] or 1),
                int(fields["day"] or 1),
                int(fields["hour"] or 0),
                int(fields["minute"] or 0),
                int(fields["second"] or 0),
                int((fields["fraction"] or "0").ljust(6, "0")),
                tzinfo=_zone(fields["zone"]),
            ),
            steps,
        )
    except ValueError as error:
        raise BadTime(f"{text!r} is no time: {error}") from None


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def _add(time: datetime, count: int, unit: str) -> datetime:
    if unit == "b":
        return _add_business_days(time, count)
    if unit in _FIXED:
        return time + count * _FIXED[unit]
    months = time.year * 12 + time.month - 1 + count * _MONTHS[unit]
    year, month = months // 12, months % 12 + 1
    if not 1 <= year <= 9999:
        raise OverflowError
    # As Go's AddDate: the 31st of a month that has 30 days is the 1st of the next one.
    surplus = max(0, time.day - monthrange(year, month)[1])
    return time.replace(year=year, month=month, day=time.day - surplus) + timedelta(days=surplus)


def _add_business_days(time: datetime, count: int) -> datetime:
    step = timedelta(days=1 if count > 0 else -1)
    if abs(count) > 366 * 1000:
        raise OverflowError
    for _ in range(abs(count)):
        time += step
        while time.weekday() >= 5:
            time += step
    return time


def _truncate(time: datetime, unit: str, round_up: bool) -> datetime:
    start = _TRUNCATE[unit](time)
    return _add(start, 1, unit) - timedelta(milliseconds=1) if round_up else start


def _day(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


_TRUNCATE: dict[str, Callable[[datetime], datetime]] = {
    "y": lambda time: _day(time).replace(month=1, day=1),
    "fy": lambda time: _day(time).replace(month=1, day=1),
    "Q": lambda time: _day(time).replace(month=(time.month - 1) // 3 * 3 + 1, day=1),
    "fQ": lambda time: _day(time).replace(month=(time.month - 1) // 3 * 3 + 1, day=1),
    "M": lambda time: _day(time).replace(day=1),
    "w": lambda time: _day(time) - timedelta(days=time.weekday()),
    "d": _day,
    "h": lambda time: time.replace(minute=0, second=0, microsecond=0),
    "H": lambda time: time.replace(minute=0, second=0, microsecond=0),
    "m": lambda time: time.replace(second=0, microsecond=0),
    "s": lambda time: time.replace(microsecond=0),
}
