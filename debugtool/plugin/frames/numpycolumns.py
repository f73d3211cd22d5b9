"""Columns from numpy arrays; numpy is imported here only, and only when the values are numpy's already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.column import Column, bools, fixed_width
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.listcolumns import column_of_list
from debugtool.plugin.frames.times import HIGHEST_NS, out_of_range
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, ValueType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UNIT_NS = {
    "W": 604_800_000_000_000,
    "D": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_UNITS_PER_NS = {"ps": 10**3, "fs": 10**6, "as": 10**9}
_UNITS_IN_300_YEARS = {"Y": 300, "M": 3600}
_OWN_TYPES = {
    ("b", 1): "bool",
    ("M", 8): "time",
    ("f", 2): "float32",
    ("f", 4): "float32",
    ("f", 8): "float64",
    **{(kind, bits // 8): f"{prefix}int{bits}" for kind, prefix in (("i", ""), ("u", "u")) for bits in (8, 16, 32, 64)},
}
_ADVICE = {
    "m": "divide by np.timedelta64(1, 's') for seconds as float",
    "c": "use two fields, .real and .imag",
    "S": "use .astype(str) for text",
    "V": "use one field per column of the structure",
    "f": "use .astype('float64')",
}


def column_of_numpy(
    name: str, values: NDArray[Any], declared: ValueType | None = None, enum_texts: list[str] | None = None
) -> Column:
    """Make a column from a numpy array; the cells a mask hides are nulls, and so is NaT. NaN is a number.

    Args:
        name: The field, for errors.
        values: One dimension, any byte order and stride.
        declared: The field's explicit type, None for the array's own.
        enum_texts: Texts of the enum in the field's config, None if it has none.

    Raises:
        FrameError: No frame type fits the array, or one of its values does not fit.
    """
    import numpy as np

    if values.ndim != 1:
        raise FrameError(f"Field {name!r} is a numpy array of {values.ndim} dimensions, but a column has one.")
    kind = values.dtype.kind
    own = _own_type(values.dtype)
    if own is None and kind not in "OUT":
        advice = _ADVICE.get(kind, "use another type of value")
        raise FrameError(f"Field {name!r} is a numpy array of {values.dtype}, which no frame type holds; {advice}.")
    if own is None or (declared is not None and declared != own):
        if kind == "M":
            raise FrameError(f"Field {name!r} holds times, but is declared {declared.name if declared else ''}.")
        return column_of_list(name, values.tolist(), declared, enum_texts)
    valid = None
    if isinstance(values, np.ma.MaskedArray):
        valid, values = (~np.ma.getmaskarray(values)).tobytes(), np.asarray(values.data)
    if kind == "M":
        return _times(name, values, valid)
    if kind == "b":
        return bools(own, values.astype("?").tobytes(), valid)
    return fixed_width(own, np.ascontiguousarray(values, own.name), len(values), valid)


def _own_type(dtype: np.dtype[Any]) -> ValueType | None:
    return VALUE_TYPES.get(_OWN_TYPES.get((dtype.kind, dtype.itemsize), ""))


def _times(name: str, values: NDArray[Any], valid: bytes | None) -> Column:
    import numpy as np

    present = ~np.isnat(values)
    if valid is not None:
        present &= np.frombuffer(valid, "?")
    flags = None if present.all() else present.tobytes()
    if flags is not None:
        values = np.where(present, values, np.zeros(1, values.dtype))
    if values.dtype == "M8[ns]":
        return fixed_width(VALUE_TYPES["time"], np.ascontiguousarray(values), len(values), flags)
    ns, in_range = _scaled(values)
    if not in_range.all():
        row = int(np.argmin(in_range))
        raise out_of_range(name, row, values[row])
    return fixed_width(VALUE_TYPES["time"], ns, len(ns), flags)


def _scaled(values: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return nanoseconds of datetimes without NaT, and whether they are right (numpy itself overflows in silence)."""
    import numpy as np

    unit, count = np.datetime_data(values.dtype)
    if unit in _UNITS_IN_300_YEARS:
        months = values.astype(np.int64)
        near = abs(months) <= _UNITS_IN_300_YEARS[unit] // count
        days, in_range = _scaled(np.where(near, values, np.zeros(1, values.dtype)).astype("M8[D]"))
        return days, in_range & near
    whole = values.astype(np.int64)
    if unit in _UNITS_PER_NS:
        return whole * count // _UNITS_PER_NS[unit], np.ones(len(whole), np.bool_)
    factor = _UNIT_NS.get(unit, 1) * count
    limit = HIGHEST_NS // factor
    in_range = (whole >= -limit) & (whole <= limit)
    return whole * factor, in_range


def datetime64_ns(value: np.datetime64) -> int | None:
    """Return nanoseconds since 1970 of one numpy datetime; None for NaT, 2**63 when it does not fit."""
    import numpy as np

    if np.isnat(value):
        return None
    ns, in_range = _scaled(np.array([value]))
    return int(ns[0]) if in_range[0] else HIGHEST_NS + 1
