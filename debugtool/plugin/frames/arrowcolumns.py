"""Columns from Arrow arrays: Grafana's few types as they are, the natural casts, and a refusal for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.column import Column
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.listcolumns import column_of_list
from debugtool.plugin.frames.times import HIGHEST_NS, out_of_range
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, ValueType, arrow_type, value_type_of_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_ADVICE = {
    "duration": "cast it to int64 and name its unit in the field's config",
    "time32": "cast it to string, or add the day and make it a timestamp",
    "time64": "cast it to string, or add the day and make it a timestamp",
    "month_day_nano_interval": "cast it to string",
    "extension": "use the storage of the array",
    "map": "use a struct, or a dict per row",
}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def column_of_arrow(
    name: str,
    values: pa.Array | pa.ChunkedArray,
    declared: ValueType | None = None,
    enum_texts: list[str] | None = None,
) -> Column:
    """Make a column from an Arrow array.

    Large strings, views, dictionaries, dates, timestamps of any unit and zone, decimals and half floats are cast;
    lists and structs become JSON; an array of the null type becomes float64 nulls.

    Args:
        name: The field, for errors.
        values: The array.
        declared: The field's explicit type, None for the array's own.
        enum_texts: Texts of the enum in the field's config, None if it has none.

    Raises:
        FrameError: No frame type fits the array, or one of its values does not fit.
    """
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    try:
        plain = _plain(name, values)
    except pa.ArrowException as error:
        why = str(error).rstrip(".")
        raise FrameError(f"Field {name!r} cannot be converted from Arrow's {values.type}: {why}.") from error
    if isinstance(plain, list):
        return column_of_list(name, plain, declared or VALUE_TYPES["json"])
    found = value_type_of_arrow(plain.type)
    if found is None:
        raise _refused(name, values.type)
    if found.name == "json" or (declared is not None and declared != found):
        if found.name == "time" and declared is not None:
            raise FrameError(f"Field {name!r} holds times, but is declared {declared.name}.")
        return column_of_list(name, plain.to_pylist(), declared or found, enum_texts)
    return Column(found, plain)


def _plain(name: str, values: pa.Array) -> pa.Array | list[Any]:
    """Cast to a type that Grafana reads; a list where the values are to become JSON, unchanged for a refusal."""
    import pyarrow as pa
    from pyarrow import types

    arrow = values.type
    if types.is_dictionary(arrow):
        return _plain(name, values.dictionary_decode())
    if types.is_run_end_encoded(arrow):
        return _plain(name, pa.compute.run_end_decode(values))
    if types.is_timestamp(arrow) or types.is_date(arrow):
        return _timestamps(name, values)
    if types.is_struct(arrow) or (types.is_nested(arrow) and "list" in str(arrow).partition("<")[0]):
        return list(values.to_pylist())
    target = _cast_target(arrow)
    return values if target is None else values.cast(arrow_type(VALUE_TYPES[target]))


def _cast_target(arrow: pa.DataType) -> str | None:
    from pyarrow import types

    if types.is_large_string(arrow) or types.is_string_view(arrow):
        return "string"
    if types.is_large_binary(arrow) or types.is_binary_view(arrow) or types.is_fixed_size_binary(arrow):
        return "json"
    if types.is_decimal(arrow) or types.is_null(arrow):
        return "float64"
    return "float32" if types.is_float16(arrow) else None


def _timestamps(name: str, values: pa.Array) -> pa.Array:
    """Cast timestamps or dates to nanoseconds without a zone."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_date(values.type):
        values = values.cast(pa.timestamp("s" if types.is_date32(values.type) else "ms"))
    zone, unit = values.type.tz, values.type.unit
    try:
        return values.cast(pa.timestamp("ns", zone)).view(pa.int64()).view(pa.timestamp("ns"))
    except pa.ArrowInvalid as error:
        limit = HIGHEST_NS // (10**9 // _PER_SECOND[unit])
        for row, number in enumerate(values.view(pa.int64()).to_pylist()):
            if number is not None and abs(number) > limit:
                raise out_of_range(name, row, f"{number} {unit} after 1970") from error
        raise


def _refused(name: str, arrow: pa.DataType) -> FrameError:
    kind = str(arrow).partition("[")[0].partition("<")[0]
    advice = _ADVICE.get(kind, "cast it to a number, string, bool or timestamp")
    if "pandas." in str(arrow):
        advice = "use .astype(str), or .dt.to_timestamp() for periods"
    return FrameError(f"Field {name!r} is of Arrow type {arrow}, which Grafana rejects; {advice}.")


def decoded_values(values: pa.ChunkedArray, value_type: ValueType, *, nullable: bool) -> list[Any]:
    """Return the values of a received column as Grafana reads them.

    Timestamps are taken as nanoseconds whatever their unit, and nulls in a column that is not nullable are zero values,
    because that is what the Go SDK makes of them.

    Returns:
        Plain Python values: whole nanoseconds for times, bytes of JSON text for json, numbers for enums.

    Source:
        grafana-plugin-sdk-go data/arrow.go (parseColumn).
    """
    import pyarrow as pa

    if value_type.name == "time":
        chunks = [chunk.view(pa.int64()) for chunk in values.chunks]
        result = [value for chunk in chunks for value in chunk.to_pylist()]
    else:
        result = values.to_pylist()
    if nullable or not values.null_count:
        return result
    zero: Any = {"string": "", "bool": False, "json": b"null"}.get(value_type.name, 0)
    return [zero if value is None else value for value in result]
