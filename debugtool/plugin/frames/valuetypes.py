"""The frame value types: their names here, in Go, in TypeScript and in Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

TypeName = Literal[
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "string",
    "bool",
    "time",
    "json",
    "enum",
]


@dataclass(frozen=True, slots=True)
class ValueType:
    """One type that a field of a frame may have.

    Attributes:
        name: What a plugin author writes in `Field.type`.
        go_name: What Grafana calls it, in `typeInfo.frame` of a frame's JSON.
        ts_type: The front end's type, in the Arrow field's metadata.
        arrow: Name of the pyarrow type factory.
        code: Type code for `array.array`; empty for strings, JSON and bools, which are no plain numbers in memory.

    Source:
        grafana-plugin-sdk-go data/arrow.go (fieldToArrow), data/field_type.go.
    """

    name: TypeName
    go_name: str
    ts_type: str
    arrow: str
    code: str = ""

    @property
    def is_integer(self) -> bool:
        """Whether the values are whole numbers."""
        return self.ts_type == "number" and self.code not in "fd"

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point numbers."""
        return self.ts_type == "number" and self.code in "fd"


_NUMBER_CODES: dict[TypeName, str] = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}

VALUE_TYPES: dict[str, ValueType] = {
    **{name: ValueType(name, name, "number", name, code) for name, code in _NUMBER_CODES.items()},
    "string": ValueType("string", "string", "string", "string"),
    "bool": ValueType("bool", "bool", "boolean", "bool_"),
    "time": ValueType("time", "time.Time", "time", "timestamp", "q"),
    "json": ValueType("json", "json.RawMessage", "other", "binary"),
    "enum": ValueType("enum", "enum", "enum", "uint16", "H"),
}


@cache
def arrow_type(value_type: ValueType) -> pa.DataType:
    """Return the Arrow type that carries `value_type`; timestamps are nanoseconds without a zone."""
    import pyarrow as pa

    factory: Any = getattr(pa, value_type.arrow)
    return factory("ns") if value_type.name == "time" else factory()


def value_type_of_arrow(arrow: pa.DataType, ts_type: str = "") -> ValueType | None:
    """Return the value type that Grafana reads from an Arrow column, None if it rejects the column.

    Args:
        arrow: Type of the column. Any timestamp is a time: Grafana ignores unit and zone.
        ts_type: The `tstype` of the field's metadata, which alone tells an enum from a uint16.

    Source:
        grafana-plugin-sdk-go data/arrow.go (initializeFrameField).
    """
    text = str(arrow)
    if text.startswith("timestamp["):
        return VALUE_TYPES["time"]
    if text == "uint16" and ts_type == "enum":
        return VALUE_TYPES["enum"]
    names = {"float": "float32", "double": "float64", "string_view": "string", "binary": "json"}
    plain = VALUE_TYPES.get(names.get(text, text))
    return plain if (plain is not None and plain.name not in ("time", "json", "enum")) or text == "binary" else None
