"""Frames as JSON, the form in which Grafana's HTTP API, its streams and its front end have them."""

from __future__ import annotations

import json
import math
from typing import Any

from debugtool.plugin.frames.arrow import as_frame, checked_labels, encode_columns, field_config, is_nullable
from debugtool.plugin.frames.column import Column
from debugtool.plugin.frames.model import Field

_MS_NS = 1_000_000


def frame_to_json(frame: object) -> dict[str, Any]:
    """Write a frame as `{"schema": ..., "data": ...}`, equal to what the Go SDK writes.

    Times are whole milliseconds, with what is finer in `nanos`; NaN and infinities are null, with their rows in
    `entities`.

    Args:
        frame: Anything that `encode_frame` takes.

    Raises:
        FrameError: As `encode_frame`.

    Source:
        grafana-plugin-sdk-go data/frame_json.go (writeDataFrame).
    """
    frame = as_frame(frame)
    columns = encode_columns(frame)
    schema: dict[str, Any] = {"name": frame.name} if frame.name else {}
    if frame.ref_id:
        schema["refId"] = frame.ref_id
    if frame.meta is not None:
        schema["meta"] = frame.meta.to_json(f"Frame {frame.name!r}: meta")
    schema["fields"] = [_schema(field, column) for field, column in zip(frame.fields, columns, strict=True)]
    return {"schema": schema, "data": _data(columns)}


def _schema(field: Field, column: Column) -> dict[str, Any]:
    info: dict[str, Any] = {"frame": column.value_type.go_name}
    if is_nullable(field, column):
        info["nullable"] = True
    result: dict[str, Any] = {"name": field.name} if field.name else {}
    result |= {"type": column.value_type.ts_type, "typeInfo": info}
    if field.labels:
        result["labels"] = checked_labels(field)
    config = field_config(field, column)
    if config is not None:
        result["config"] = config.to_json(f"Field {field.name!r}: config")
    return result


def _data(columns: list[Column]) -> dict[str, Any]:
    values: list[list[Any]] = []
    entities: list[dict[str, list[int]] | None] = []
    nanos: list[list[int] | None] = []
    for column in columns:
        rows, rest, special = _column_values(column)
        values.append(rows)
        nanos.append(rest)
        entities.append(special)
    result: dict[str, Any] = {"values": values}
    if any(entities):
        result["entities"] = entities
    if any(nanos):
        result["nanos"] = nanos
    return result


def _column_values(column: Column) -> tuple[list[Any], list[int] | None, dict[str, list[int]] | None]:
    """Return values, nanosecond rests (None if there are none) and special floats (likewise) of one column."""
    import pyarrow as pa

    if column.value_type.name == "time":
        times = column.data.view(pa.int64()).to_pylist()
        rests = [0 if ns is None else ns % _MS_NS for ns in times]
        return [None if ns is None else ns // _MS_NS for ns in times], rests if any(rests) else None, None
    if column.value_type.name == "json":
        return [None if text is None else json.loads(text) for text in column.data.to_pylist()], None, None
    if not column.value_type.is_float:
        return column.data.to_pylist(), None, None
    if column.value_type.name == "float32":
        # The shortest text that names the float32, as Go writes it; the same number as a double has more digits.
        texts = column.data.cast(pa.string()).to_pylist()
        floats = [None if text is None else float(text) for text in texts]
    else:
        floats = column.data.to_pylist()
    return _floats(floats)


def _floats(values: list[float | None]) -> tuple[list[float | None], None, dict[str, list[int]] | None]:
    special: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        if value is not None and not math.isfinite(value):
            special.setdefault("NaN" if math.isnan(value) else "Inf" if value > 0 else "NegInf", []).append(row)
    for rows in special.values():
        for row in rows:
            values[row] = None
    return values, None, special or None
