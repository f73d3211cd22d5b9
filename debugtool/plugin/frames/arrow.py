"""Frames as Arrow IPC files, the form in which they travel over gRPC, and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.arrowcolumns import decoded_values
from debugtool.plugin.frames.column import Column
from debugtool.plugin.frames.columns import column_of
from debugtool.plugin.frames.config import EnumConfig, FieldConfig, TypeConfig
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.meta import FrameMeta
from debugtool.plugin.frames.model import Field, Frame
from debugtool.plugin.frames.valuetypes import value_type_of_arrow
from debugtool.plugin.frames.wirejson import json_text, wrong_type

if TYPE_CHECKING:
    import pyarrow as pa


def encode_frame(frame: object) -> bytes:
    """Write one frame as one Arrow file: a single record batch, not compressed, without dictionaries.

    Imports pyarrow at the first call. Numpy arrays are the fastest input, then lists of numbers; lists of datetimes
    take longest.

    Args:
        frame: A Frame, a dict of columns, a pandas DataFrame, an Arrow Table or RecordBatch, or anything else that
            hands out Arrow streams (a polars DataFrame).

    Raises:
        FrameError: A field, its labels, its config or the meta cannot be sent; says which and why.

    Source:
        grafana-plugin-sdk-go data/arrow.go (MarshalArrow).
    """
    import pyarrow as pa

    frame = as_frame(frame)
    columns = encode_columns(frame)
    fields = [_arrow_field(field, column) for field, column in zip(frame.fields, columns, strict=True)]
    schema = pa.schema(fields, metadata=_frame_metadata(frame))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([column.data for column in columns], schema=schema))
    return bytes(sink.getvalue())


def encode_columns(frame: Frame) -> list[Column]:
    """Encode the columns of a frame, all of one length.

    Raises:
        FrameError: A value cannot be sent, or the lengths differ.
    """
    columns = [column_of(field) for field in frame.fields]
    lengths = [len(column.data) for column in columns]
    if len(set(lengths)) > 1:
        counted = ", ".join(f"{field.name!r} {length}" for field, length in zip(frame.fields, lengths, strict=True))
        raise FrameError(f"The fields of frame {frame.name!r} have different numbers of rows: {counted}.")
    return columns


def as_frame(frame: object) -> Frame:
    """Make a Frame of anything that can be sent as one.

    Raises:
        FrameError: It is nothing of the sort.
    """
    if isinstance(frame, Frame):
        _check_parts(frame)
        return frame
    if isinstance(frame, Mapping):
        return Frame.from_dict(frame)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        return Frame.from_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        return frame_of_arrow(frame)
    raise _no_frame(frame)


def _no_frame(value: object) -> FrameError:
    return FrameError(
        f"{type(value).__name__} is no frame; use a Frame, a dict of columns, a pandas DataFrame or an Arrow table."
    )


def _check_parts(frame: Frame) -> None:
    """Refuse dicts and the like where a dataclass belongs; not everybody runs a type checker."""
    if frame.meta is not None and not isinstance(frame.meta, FrameMeta):
        raise wrong_type(f"The meta of frame {frame.name!r}", frame.meta, "a FrameMeta")
    for number, field in enumerate(frame.fields):
        if not isinstance(field, Field):
            raise wrong_type(f"Field {number} of frame {frame.name!r}", field, "a Field")
        if field.config is not None and not isinstance(field.config, FieldConfig):
            raise wrong_type(f"The config of field {field.name!r}", field.config, "a FieldConfig")


def field_config(field: Field, column: Column) -> FieldConfig | None:
    """Return the field's config, with the texts of an enum that was given as strings."""
    if column.enum_texts is None or (field.config is not None and field.config.enum_texts is not None):
        return field.config
    config = FieldConfig() if field.config is None else FieldConfig(**vars(field.config))
    config.type = TypeConfig(EnumConfig(column.enum_texts))
    return config


def is_nullable(field: Field, column: Column) -> bool:
    """Say whether Grafana is told that the field may have nulls: as declared, else if it has some."""
    return bool(column.data.null_count) if field.nullable is None else field.nullable


def checked_labels(field: Field) -> dict[str, str]:
    """Return the field's labels.

    Raises:
        FrameError: A name or value is no string.
    """
    for name, value in field.labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise wrong_type(f"Label {name!r} of field {field.name!r}", value, "a string with a string as its name")
    return dict(field.labels)


def _arrow_field(field: Field, column: Column) -> pa.Field:
    import pyarrow as pa

    where = f"Field {field.name!r}"
    metadata = {b"tstype": column.value_type.ts_type.encode()}
    if field.labels:
        metadata[b"labels"] = json_text(checked_labels(field), f"{where}: labels")
    config = field_config(field, column)
    if config is not None:
        metadata[b"config"] = json_text(config.to_json(f"{where}: config"), f"{where}: config")
    name = _utf8(field.name, f"The name of field {field.name!r}").decode()
    return pa.field(name, column.data.type, is_nullable(field, column), metadata)


def _frame_metadata(frame: Frame) -> dict[bytes, bytes]:
    metadata = {
        b"name": _utf8(frame.name, f"The name of frame {frame.name!r}"),
        b"refId": _utf8(frame.ref_id, f"The ref_id of frame {frame.name!r}"),
    }
    if frame.meta is not None:
        where = f"Frame {frame.name!r}: meta"
        metadata[b"meta"] = json_text(frame.meta.to_json(where), where)
    return metadata


def _utf8(text: str, where: str) -> bytes:
    if not isinstance(text, str):
        raise wrong_type(where, text, "a string")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise FrameError(f"{where} is no valid Unicode (half of a surrogate pair).") from error


def decode_frame(data: bytes) -> Frame:
    """Read a frame from an Arrow file as Grafana reads it.

    Returns:
        A frame whose values are plain lists: whole nanoseconds for times, bytes of JSON text for json, numbers for
        enums. Each field has its type and nullable set. Encoding it again gives the same frame.

    Raises:
        FrameError: No Arrow file, a type that Grafana rejects, or broken metadata.

    Source:
        grafana-plugin-sdk-go data/arrow.go (UnmarshalArrowFrame).
    """
    import pyarrow as pa

    try:
        with pa.ipc.open_file(pa.py_buffer(data)) as reader:
            table = reader.read_all()
        table.validate(full=True)
        table.schema.names  # noqa: B018  # decodes the names, which nothing has checked yet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FrameError(f"These {len(data)} bytes are no Arrow IPC file: {str(error).rstrip('.')}.") from error
    frame = frame_of_arrow(table)
    for field, column, arrow in zip(frame.fields, table.columns, table.schema, strict=True):
        value_type = value_type_of_arrow(arrow.type, _text(arrow.metadata, b"tstype"))
        if value_type is None:
            raise FrameError(f"Field {field.name!r} is of Arrow type {arrow.type}, which Grafana rejects.")
        field.type = value_type.name
        field.values = decoded_values(column, value_type, nullable=arrow.nullable)
    return frame


def frame_of_arrow(source: Any) -> Frame:
    """Make a frame whose values are the columns of an Arrow table or stream, with the metadata that Grafana knows.

    Raises:
        FrameError: The metadata is broken.
    """
    import pyarrow as pa

    if isinstance(source, pa.Table | pa.RecordBatch):
        table = source
    else:
        try:
            streams = hasattr(source, "__arrow_c_stream__")
            table = pa.RecordBatchReader.from_stream(source).read_all() if streams else pa.record_batch(source)
        except pa.ArrowException as error:  # one column alone, such as a Series
            raise _no_frame(source) from error
    schema = table.schema
    meta = _json_of(schema.metadata, b"meta", "The frame's meta")
    return Frame(
        name=_text(schema.metadata, b"name"),
        ref_id=_text(schema.metadata, b"refId"),
        meta=None if meta is None else FrameMeta.from_json(meta, "The frame's meta"),
        fields=[_field_of_arrow(arrow, column) for arrow, column in zip(schema, table.columns, strict=True)],
    )


def _field_of_arrow(arrow: pa.Field, values: pa.ChunkedArray) -> Field:
    where = f"Field {arrow.name!r}"
    labels = _json_of(arrow.metadata, b"labels", f"{where}: labels")
    config = _json_of(arrow.metadata, b"config", f"{where}: config")
    value_type = value_type_of_arrow(arrow.type, _text(arrow.metadata, b"tstype"))
    field = Field(
        arrow.name,
        values,
        config=None if config is None else FieldConfig.from_json(config, f"{where}: config"),
        type="enum" if value_type is not None and value_type.name == "enum" else None,
        nullable=arrow.nullable,
    )
    if labels is not None:
        if not isinstance(labels, dict):
            raise wrong_type(f"{where}: labels", labels, "an object")
        field.labels = labels
        checked_labels(field)
    return field


def _text(metadata: Mapping[bytes, bytes] | None, name: bytes) -> str:
    return (metadata or {}).get(name, b"").decode(errors="replace")


def _json_of(metadata: Mapping[bytes, bytes] | None, name: bytes, where: str) -> Any:
    text = (metadata or {}).get(name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{where} is no JSON: {error}.") from error
