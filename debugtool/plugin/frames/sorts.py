"""What a Python value is to a frame, and what type a list of such values has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, ValueType

Sort = Literal["null", "bool", "int", "float", "string", "time", "json", "bytes", "none of these"]

_SORTS: dict[type, Sort] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "float",
    str: "string",
    date: "time",
    dict: "json",
    list: "json",
    tuple: "json",
    bytes: "bytes",
    bytearray: "bytes",
    memoryview: "bytes",
}
_INFERRED: dict[frozenset[Sort], str] = {
    frozenset(): "float64",
    frozenset({"bool"}): "bool",
    frozenset({"int"}): "int64",
    frozenset({"float"}): "float64",
    frozenset({"int", "float"}): "float64",
    frozenset({"string"}): "string",
    frozenset({"time"}): "time",
    frozenset({"json"}): "json",
}
_DURATION = "use seconds as float, or whole nanoseconds with unit 'ns' in the config"
_TEXT_OR_JSON = "use value.decode() for text, or type='json' if it is JSON text"
_ADVICE = {
    "timedelta": _DURATION,
    "timedelta64": _DURATION,
    "Timedelta": _DURATION,
    "time": "use str(value), or a datetime that has the day too",
    "bytes": _TEXT_OR_JSON,
    "bytearray": _TEXT_OR_JSON,
    "memoryview": _TEXT_OR_JSON,
    "complex": "use two fields, real and imaginary",
    "ndarray": "use value.tolist()",
    "set": "use sorted(value)",
}


def sort_of(cls: type) -> Sort:
    """Say what a value of this class is to a frame, subclasses and numpy's and pandas' scalars included."""
    module = cls.__module__.partition(".")[0]
    if module == "pandas" and cls.__name__ in ("NaTType", "NAType"):
        return "null"
    for base in cls.__mro__:
        if base in _SORTS:
            return _SORTS[base]
    return _sort_of_numpy(cls.__name__) if module == "numpy" else "none of these"


def _sort_of_numpy(name: str) -> Sort:
    if name.rstrip("_") == "bool":
        return "bool"
    if name in ("float16", "float32"):
        return "float"
    if name == "datetime64":
        return "time"
    return "int" if name.startswith(("int", "uint", "long", "ulong")) and "double" not in name else "none of these"


def infer_type(name: str, values: Sequence[Any], sorts: frozenset[Sort]) -> ValueType:
    """Find the value type of a list without a declared one.

    Args:
        name: The field, for errors.
        values: The values, for errors.
        sorts: What occurs among them, nulls left out.

    Raises:
        FrameError: A value is of no frame type, or the values are of several.
    """
    if not sorts and any(type(value).__name__ == "NaTType" for value in values):
        return VALUE_TYPES["time"]
    found = _INFERRED.get(sorts)
    if found is not None:
        return VALUE_TYPES[found]
    kinds = [sort_of(type(value)) for value in values]
    for row, kind in enumerate(kinds):
        if kind in ("none of these", "bytes"):
            advice = _ADVICE.get(type(values[row]).__name__, "use str(value), or another type of value")
            raise FrameError(f"Field {name!r}, row {row}: no frame type holds {shown(values[row])}; {advice}.")
    first = next(row for row, kind in enumerate(kinds) if kind != "null")
    alike = {"null", kinds[first]} | ({"int", "float"} if kinds[first] in ("int", "float") else set())
    other = next(row for row, kind in enumerate(kinds) if kind not in alike)
    raise FrameError(
        f"Field {name!r} mixes types: row {first} is {shown(values[first])}, row {other} is {shown(values[other])}; "
        "convert the values to one type, or declare type='json'."
    )


def shown(value: object) -> str:
    """Show a value and its type, short enough for an error message."""
    text = repr(value)
    return f"{text[:40]}{'...' if len(text) > 40 else ''} ({type(value).__name__})"


def does_not_fit(name: str, row: int, value: object, declared: ValueType) -> FrameError:
    """Make the error for a value that the field's type cannot hold."""
    return FrameError(
        f"Field {name!r}, row {row}: {shown(value)} does not fit type {declared.name!r}; "
        "convert it, or declare another type."
    )
