"""From a field, whatever its values are, to the one encoded column."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from debugtool.plugin.frames.column import Column
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.listcolumns import column_of_list
from debugtool.plugin.frames.model import Field
from debugtool.plugin.frames.valuetypes import VALUE_TYPES, ValueType


def column_of(field: Field) -> Column:
    """Encode the values of one field.

    Raises:
        FrameError: A value cannot be sent, or there are nulls in a field that is declared without.
    """
    declared = None if field.type is None else VALUE_TYPES[field.type]
    enum_texts = field.config.enum_texts if field.config is not None else None
    column = _converter(field.values)(field.name, field.values, declared, enum_texts)
    if field.nullable is False and column.data.null_count:
        row = column.data.is_null().to_pylist().index(True)
        raise FrameError(f"Field {field.name!r}, row {row}: null in a field with nullable=False; leave that out.")
    return column


def _converter(values: Any) -> Callable[[str, Any, ValueType | None, list[str] | None], Column]:
    """Choose the function that converts such values; numpy and pandas count only when somebody has imported them."""
    if isinstance(values, list | tuple):
        return column_of_list
    if _is_of("numpy", "ndarray", values):
        from debugtool.plugin.frames.numpycolumns import column_of_numpy

        return column_of_numpy
    if _is_of("pandas", "Series", values) or _is_of("pandas", "Index", values):
        from debugtool.plugin.frames.pandascolumns import column_of_pandas

        return column_of_pandas
    if _is_of("pyarrow", "Array", values) or _is_of("pyarrow", "ChunkedArray", values):
        from debugtool.plugin.frames.arrowcolumns import column_of_arrow

        return column_of_arrow
    return lambda name, items, declared, texts: column_of_list(name, list(items), declared, texts)


def _is_of(module: str, name: str, values: object) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(values, getattr(loaded, name))
