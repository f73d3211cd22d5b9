"""Columns from pandas; pandas is here already when there is something to convert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from debugtool.plugin.frames.column import Column
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.listcolumns import column_of_list
from debugtool.plugin.frames.valuetypes import ValueType

if TYPE_CHECKING:
    import pandas as pd

    from debugtool.plugin.frames.model import Field


def fields_of_pandas(table: pd.DataFrame) -> list[Field]:
    """Make fields of the columns of a DataFrame, its index first where that says something (named, or times)."""
    import pandas as pd

    from debugtool.plugin.frames.model import Field

    fields = []
    for level in range(table.index.nlevels):
        values = table.index.get_level_values(level)
        if values.name is not None or isinstance(values, pd.DatetimeIndex):
            fields.append(Field("time" if values.name is None else str(values.name), values))
    for position, label in enumerate(table.columns):
        name = " ".join(map(str, label)) if isinstance(label, tuple) else str(label)
        fields.append(Field(name, table.iloc[:, position]))
    return fields


def column_of_pandas(
    name: str, values: pd.Series[Any], declared: ValueType | None = None, enum_texts: list[str] | None = None
) -> Column:
    """Make a column from a Series or Index; NaN, NaT and NA are nulls.

    Args:
        name: The field, for errors.
        values: Any dtype that Arrow knows.
        declared: The field's explicit type, None for the dtype's own.
        enum_texts: Texts of the enum in the field's config, None if it has none.

    Raises:
        FrameError: No frame type fits the dtype, or one of its values does not fit.
    """
    import pyarrow as pa

    from debugtool.plugin.frames.arrowcolumns import column_of_arrow

    if values.dtype == object:
        items = [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]
        return column_of_list(name, items, declared, enum_texts)
    try:
        converted = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError) as error:
        raise FrameError(
            f"Field {name!r} is a pandas {values.dtype}, which Arrow cannot hold ({error}); use .astype(...)."
        ) from error
    return column_of_arrow(name, converted, declared, enum_texts)
