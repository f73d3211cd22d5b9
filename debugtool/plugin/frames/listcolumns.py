"""Columns from Python values: find out what a list holds, then convert it or say which row does not fit."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from debugtool.plugin.frames.column import Column, binaries, bools, fixed_width, texts
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.sorts import Sort, does_not_fit, infer_type, shown, sort_of
from debugtool.plugin.frames.times import nanoseconds
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, ValueType
from debugtool.plugin.frames.wirejson import json_text

_ACCEPTED: dict[str, frozenset[Sort]] = {
    "number": frozenset({"int", "float"}),
    "boolean": frozenset({"bool"}),
    "string": frozenset({"string"}),
    "time": frozenset({"time", "int"}),
    "other": frozenset({"bool", "int", "float", "string", "json", "bytes"}),
    "enum": frozenset({"int"}),
}


@dataclass(frozen=True, slots=True)
class _Values:
    """A list on its way to a column: `values` has None for every null, `valid` one byte per row or None."""

    name: str
    values: Sequence[Any]
    valid: bytes | None
    value_type: ValueType
    sorts: frozenset[Sort]
    classes: Set[type]

    def filled(self, filler: object) -> Sequence[Any]:
        """Return the values with `filler` in place of nulls."""
        return self.values if self.valid is None else [filler if item is None else item for item in self.values]


def column_of_list(
    name: str, values: Sequence[Any], declared: ValueType | None = None, enum_texts: list[str] | None = None
) -> Column:
    """Make a column from a list or tuple of Python values.

    Args:
        name: The field, for errors.
        values: The values; None (and pandas' NaT and NA) are nulls, NaN is a float.
        declared: The field's explicit type, None to infer it.
        enum_texts: Texts of the enum in the field's config, None if it has none.

    Raises:
        FrameError: The values have no common frame type, or one does not fit the declared type.
    """
    classes = {cls: sort_of(cls) for cls in set(map(type, values))}
    sorts = frozenset(classes.values()) - {"null"}
    value_type = declared or infer_type(name, values, sorts)
    valid = None
    if "null" in classes.values():
        valid = bytes([classes[type(value)] != "null" for value in values])
        values = [value if present else None for value, present in zip(values, valid, strict=True)]
    job = _Values(name, values, valid, value_type, sorts, classes.keys())
    if value_type.name == "enum" and sorts == {"string"}:
        return _enum_of_texts(job, enum_texts)
    _refuse_others(job)
    try:
        return _BUILDERS[value_type.ts_type](job)
    except FrameError:
        if declared is not None or value_type.name != "int64":
            raise
        return _number(replace(job, value_type=VALUE_TYPES["uint64"]))


def _refuse_others(job: _Values) -> None:
    accepted = _ACCEPTED[job.value_type.ts_type]
    if not job.sorts <= accepted:
        row = next(row for row, value in enumerate(job.values) if sort_of(type(value)) not in accepted | {"null"})
        raise does_not_fit(job.name, row, job.values[row], job.value_type)


def _number(job: _Values) -> Column:
    items = job.filled(0)
    if job.value_type.is_integer and "float" in job.sorts:
        items = [_whole(job, row, value) for row, value in enumerate(items)]
    try:
        packed = array(job.value_type.code, items)
    except (OverflowError, ValueError) as error:
        row = next(row for row, value in enumerate(items) if not _fits(job.value_type.code, value))
        raise does_not_fit(job.name, row, items[row], job.value_type) from error
    if job.value_type.name == "float32" and any(map(math.isinf, packed)):
        for row, (value, result) in enumerate(zip(items, packed, strict=True)):
            if math.isinf(result) and not math.isinf(value):
                raise does_not_fit(job.name, row, value, job.value_type)
    return fixed_width(job.value_type, packed, len(items), job.valid)


def _fits(code: str, value: Any) -> bool:
    try:
        array(code, [value])
    except (OverflowError, ValueError):
        return False
    return True


def _whole(job: _Values, row: int, value: Any) -> int:
    if sort_of(type(value)) == "float" and (not math.isfinite(value) or value != int(value)):
        raise does_not_fit(job.name, row, value, job.value_type)
    return int(value)


def _bool(job: _Values) -> Column:
    return bools(job.value_type, bytes(map(bool, job.values)), job.valid)


def _string(job: _Values) -> Column:
    items = job.filled("")
    try:
        return texts(job.value_type, items, job.valid)
    except UnicodeEncodeError as error:
        row = next(row for row, text in enumerate(items) if not _is_unicode(text))
        raise FrameError(
            f"Field {job.name!r}, row {row}: {shown(items[row])} is no valid Unicode (half of a surrogate pair); "
            "use value.encode(errors='replace').decode()."
        ) from error
    except OverflowError as error:
        raise _too_large(job.name) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_large(name: str) -> FrameError:
    return FrameError(f"Field {name!r} holds more than 2 GiB; send fewer rows.")


def _time(job: _Values) -> Column:
    found, valid = nanoseconds(job.name, job.values, job.classes)
    return fixed_width(job.value_type, found, len(found), valid)


def _json(job: _Values) -> Column:
    items = [b"" if value is None else _json_bytes(job.name, row, value) for row, value in enumerate(job.values)]
    try:
        return binaries(job.value_type, items, job.valid)
    except OverflowError as error:
        raise _too_large(job.name) from error


def _json_bytes(name: str, row: int, value: Any) -> bytes:
    where = f"Field {name!r}, row {row}"
    if not isinstance(value, bytes | bytearray | memoryview):
        return json_text(value, where)
    raw = bytes(value)
    try:
        json.loads(raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{where}: bytes in a json field must be JSON text, but {error}.") from error
    return raw


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _enum_of_texts(job: _Values, enum_texts: list[str] | None) -> Column:
    """Strings as indexes into the config's texts, or into the texts as they come where the config has none."""
    known = list(dict.fromkeys(job.filled(None))) if enum_texts is None else enum_texts
    known = [text for text in known if text is not None]
    numbers: dict[str | None, int | None] = {None: None} | {text: number for number, text in enumerate(known)}
    for row, value in enumerate(job.values):
        if value not in numbers:
            raise FrameError(f"Field {job.name!r}, row {row}: {shown(value)} is none of the enum's texts {known}.")
    column = _number(replace(job, values=[numbers[value] for value in job.values], sorts=frozenset({"int"})))
    return Column(job.value_type, column.data, known)


_BUILDERS: dict[str, Callable[[_Values], Column]] = {
    "number": _number,
    "boolean": _bool,
    "string": _string,
    "time": _time,
    "other": _json,
    "enum": _number,
}
