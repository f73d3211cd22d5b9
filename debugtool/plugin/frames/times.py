"""Times of every kind as nanoseconds since 1970, which is all that Grafana reads."""

from __future__ import annotations

from array import array
from collections.abc import Sequence, Set
from datetime import UTC, date, datetime
from itertools import repeat
from operator import sub
from typing import Any

from debugtool.plugin.frames.errors import FrameError

LOWEST_NS = -(2**63)
HIGHEST_NS = 2**63 - 1
_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY_NS = 86_400_000_000_000


def out_of_range(name: str, row: int, value: object) -> FrameError:
    """Make the error for a time that nanoseconds in 64 bits cannot hold."""
    return FrameError(
        f"Field {name!r}, row {row}: {value} is outside 1677-09-21 to 2262-04-11, the times Grafana can hold; "
        "use None or a time inside."
    )


def nanoseconds(name: str, values: Sequence[Any], classes: Set[type]) -> tuple[array[int], bytes | None]:
    """Convert times to nanoseconds since 1970 (UTC).

    Values without a zone are taken as UTC. Times finer than a nanosecond are rounded down.

    Args:
        name: The field, for errors.
        values: datetime, date, pandas Timestamp, numpy datetime64, whole nanoseconds or None.
        classes: The classes that occur among the values.

    Returns:
        The nanoseconds, 0 where there is none (None, NaT), and one byte per row, 0 for those; None: all rows have one.

    Raises:
        FrameError: A time outside 1677 to 2262.
    """
    found: Sequence[int | None] | None = values if classes == {int} else None
    if classes == {datetime}:
        found = _datetimes(values)
    valid = None
    if found is None:
        found = [_one(value) for value in values]
        valid = bytes([ns is not None for ns in found])
    try:
        return array("q", [ns or 0 for ns in found] if valid else found), valid  # type: ignore[arg-type]  # no None left
    except OverflowError as error:
        row = next(row for row, ns in enumerate(found) if ns is not None and not LOWEST_NS <= ns <= HIGHEST_NS)
        raise out_of_range(name, row, values[row]) from error


def _datetimes(values: Sequence[datetime]) -> list[int | None] | None:
    """Convert datetimes that all have a zone, or all have none; None for a mixture."""
    epoch = _EPOCH if values[0].tzinfo is None else _EPOCH_UTC
    try:
        spans = map(sub, values, repeat(epoch))
        return [((span.days * 86400 + span.seconds) * 1_000_000 + span.microseconds) * 1000 for span in spans]
    except TypeError:
        return None


def _one(value: Any) -> int | None:
    """Nanoseconds of one value, unchecked."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime):
        return _of_timestamp(value) if hasattr(value, "to_pydatetime") else _of_datetime(value)
    if isinstance(value, date):
        return (value.toordinal() - _EPOCH_DAY) * _DAY_NS
    if type(value).__name__ == "datetime64":
        from debugtool.plugin.frames.numpycolumns import datetime64_ns

        return datetime64_ns(value)
    return int(value)


def _of_datetime(value: datetime) -> int:
    span = value - (_EPOCH if value.utcoffset() is None else _EPOCH_UTC)
    return ((span.days * 86400 + span.seconds) * 1_000_000 + span.microseconds) * 1000


def _of_timestamp(value: Any) -> int:
    """Nanoseconds of a pandas Timestamp: a datetime with nanoseconds beside, and years that datetime does not have."""
    try:
        return _of_datetime(value.to_pydatetime(warn=False)) + int(value.nanosecond)
    except (ValueError, OverflowError, NotImplementedError):
        return HIGHEST_NS + 1
