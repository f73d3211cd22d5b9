"""Frames as a plugin author writes them: `Frame` and `Field`, plain dataclasses that import nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.config import FieldConfig
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.meta import FrameMeta
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, TypeName

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass
class Field:
    """One column of a frame.

    Attributes:
        name: Column name; Grafana shows it unless the config has a display name.
        values: A list (or any iterable), numpy array, pandas Series, or Arrow array. None is a null everywhere; NaN is
            one in pandas data only. Times: datetime (one without a zone is taken as UTC), date, numpy datetime64,
            pandas Timestamp, or with `type="time"` whole nanoseconds since 1970. Dicts and lists become JSON;
            with `type="json"` any JSON value does, and bytes are taken as JSON text.
        labels: Dimensions of the series in this column.
        config: Display options.
        type: The value type, None to infer it: int64 (uint64 where a value needs it), float64, string, bool, time or
            json. Without any value it is float64. An `enum` takes numbers, or strings, whose texts go into the config.
        nullable: Whether Grafana is told that nulls may occur; None: if there are any.

    Raises:
        FrameError: `values` is no column, or `type` no value type.
    """

    name: str
    values: Any
    labels: dict[str, str] = field(default_factory=dict)
    config: FieldConfig | None = None
    type: TypeName | None = None
    nullable: bool | None = None

    def __post_init__(self) -> None:
        if self.type is not None and self.type not in VALUE_TYPES:
            raise FrameError(
                f"Field {self.name!r} has type {self.type!r}, but must have one of {', '.join(VALUE_TYPES)}."
            )
        if isinstance(self.values, str | bytes | bytearray | Mapping | set | frozenset) or not isinstance(
            self.values, Iterable
        ):
            raise FrameError(
                f"The values of field {self.name!r} are of type {type(self.values).__name__}; use a list or an array."
            )
        if isinstance(self.values, Iterator):
            self.values = list(self.values)


@dataclass
class Frame:
    """A table with typed columns of equal length: what a query answers with.

    Attributes:
        name: Shown as the series' name where fields have none.
        fields: The columns; none at all is allowed.
        ref_id: The query this answers; filled in by the runtime when empty.
        meta: Facts for Grafana about the frame.
    """

    name: str = ""
    fields: list[Field] = field(default_factory=list)
    ref_id: str = ""
    meta: FrameMeta | None = None

    @classmethod
    def from_dict(
        cls, columns: Mapping[str, Any], *, name: str = "", ref_id: str = "", meta: FrameMeta | None = None
    ) -> Frame:
        """Make a frame from column names and their values (anything `Field.values` takes, or a Field).

        Raises:
            FrameError: A value is no column.
        """
        fields = [
            values if isinstance(values, Field) else Field(str(column), values) for column, values in columns.items()
        ]
        return cls(name, fields, ref_id, meta)

    @classmethod
    def from_pandas(
        cls, table: pd.DataFrame, *, name: str = "", ref_id: str = "", meta: FrameMeta | None = None
    ) -> Frame:
        """Make a frame from a DataFrame; the index becomes the first column when it is named or a DatetimeIndex.

        An unnamed DatetimeIndex is called `time`. NaN, NaT and NA become nulls: they are pandas' missing values.

        Raises:
            FrameError: A column is of no frame type.
        """
        from debugtool.plugin.frames.pandascolumns import fields_of_pandas

        return cls(name, fields_of_pandas(table), ref_id, meta)

    @classmethod
    def from_arrow(
        cls,
        table: pa.Table | pa.RecordBatch,
        *,
        name: str | None = None,
        ref_id: str | None = None,
        meta: FrameMeta | None = None,
    ) -> Frame:
        """Make a frame from an Arrow table or record batch; keeps its nullable flags and Grafana metadata.

        Arguments that are given replace the table's own metadata.

        Raises:
            FrameError: The metadata is broken.
        """
        from debugtool.plugin.frames.arrow import frame_of_arrow

        frame = frame_of_arrow(table)
        frame.name = frame.name if name is None else name
        frame.ref_id = frame.ref_id if ref_id is None else ref_id
        frame.meta = frame.meta if meta is None else meta
        return frame
