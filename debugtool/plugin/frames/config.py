"""Display options of one field: `FieldConfig` and what it contains."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from debugtool.plugin.frames.wirejson import (
    FLAG,
    NUMBER,
    OBJECT,
    REAL,
    TEXT,
    THRESHOLD_VALUE,
    Kind,
    WireObject,
    choice,
    join,
    listing,
    nested,
    whole,
    wire,
    wrong_type,
)


@dataclass
class EnumConfig(WireObject):
    """What the numbers of an enum field mean: entry i of each list belongs to value i."""

    text: list[str] = field(default_factory=list, metadata=wire("text", listing(TEXT), always=True))
    color: list[str] = field(default_factory=list, metadata=wire("color", listing(TEXT)))
    icon: list[str] = field(default_factory=list, metadata=wire("icon", listing(TEXT)))
    description: list[str] = field(default_factory=list, metadata=wire("description", listing(TEXT)))


@dataclass
class TypeConfig(WireObject):
    """Options that belong to one value type; only enums have some."""

    enum: EnumConfig | None = field(default=None, metadata=wire("enum", nested(EnumConfig)))


@dataclass
class Threshold(WireObject):
    """One step of the thresholds: holds from `value` (in the field's unit) up to the next step's.

    The first step's value is minus infinity, which JSON has as null.
    """

    value: float = field(default=-math.inf, metadata=wire("value", THRESHOLD_VALUE, always=True))
    color: str = field(default="", metadata=wire("color", TEXT))
    state: str = field(default="", metadata=wire("state", TEXT))

    @classmethod
    def from_json(cls, data: object, where: str = "") -> Threshold:
        """Read a step; unlike elsewhere an unknown key is an error, because it is one in Grafana.

        Raises:
            FrameError: Not an object, an unknown key, or a wrong type.
        """
        if isinstance(data, dict):
            for name in data.keys() - {"value", "color", "state"}:
                raise wrong_type(where or cls.__name__, name, "a step of value, color and state only")
        return super().from_json(data, where)


@dataclass
class Thresholds(WireObject):
    """Colours by value: steps sorted by value, the first from minus infinity."""

    mode: Literal["absolute", "percentage"] = field(default="absolute", metadata=wire("mode", TEXT, always=True))
    steps: list[Threshold] = field(
        default_factory=list, metadata=wire("steps", listing(nested(Threshold)), always=True)
    )


@dataclass
class MappingResult(WireObject):
    """What a mapped value is shown as; `index` orders the mappings in the editor."""

    text: str = field(default="", metadata=wire("text", TEXT))
    color: str = field(default="", metadata=wire("color", TEXT))
    index: int = field(default=0, metadata=wire("index", whole(-(2**63), 2**63 - 1)))


def _write_options(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(where, value, "a dict of MappingResult")
    result = nested(MappingResult)
    return {TEXT.write(name, where): result.write(item, join(where, str(name))) for name, item in value.items()}


def _read_options(value: Any, where: str) -> dict[str, MappingResult]:
    return {name: MappingResult.from_json(item, join(where, name)) for name, item in OBJECT.read(value, where).items()}


@dataclass
class ValueMapping(WireObject):
    """Shows single values, written as strings, as something else."""

    options: dict[str, MappingResult] = field(
        default_factory=dict, metadata=wire("options", Kind(_write_options, _read_options), always=True)
    )


@dataclass
class RangeMapping(WireObject):
    """Shows all values from `start` to `end` (both included, None: open) as one thing."""

    start: float | None = field(default=None, metadata=wire("from", REAL))
    end: float | None = field(default=None, metadata=wire("to", REAL))
    result: MappingResult = field(
        default_factory=MappingResult, metadata=wire("result", nested(MappingResult), always=True)
    )


@dataclass
class SpecialMapping(WireObject):
    """Shows null, NaN, true, false or the empty string as something else."""

    match: Literal["true", "false", "null", "nan", "null+nan", "empty"] = field(
        default="null", metadata=wire("match", TEXT, always=True)
    )
    result: MappingResult = field(
        default_factory=MappingResult, metadata=wire("result", nested(MappingResult), always=True)
    )


Mapping = ValueMapping | RangeMapping | SpecialMapping
_MAPPINGS: dict[str, type[ValueMapping | RangeMapping | SpecialMapping]] = {
    "value": ValueMapping,
    "range": RangeMapping,
    "special": SpecialMapping,
}


def _write_mapping(value: Any, where: str) -> dict[str, Any]:
    for name, cls in _MAPPINGS.items():
        if isinstance(value, cls):
            options = value.to_json(where)
            return {"type": name, "options": options["options"] if cls is ValueMapping else options}
    raise wrong_type(where, value, "a ValueMapping, RangeMapping or SpecialMapping")


def _read_mapping(value: Any, where: str) -> Mapping:
    parts = OBJECT.read(value, where)
    kind = choice(*_MAPPINGS).read(parts.get("type"), join(where, "type"))
    options = parts.get("options")
    if kind == "value":
        return ValueMapping.from_json({"options": options}, where)
    return _MAPPINGS[kind].from_json(options, join(where, "options"))


@dataclass
class DataLink(WireObject):
    """A link on a field's values; `internal` opens another Grafana view (datasourceUid, query, ...)."""

    title: str = field(default="", metadata=wire("title", TEXT))
    target_blank: bool = field(default=False, metadata=wire("targetBlank", FLAG))
    url: str = field(default="", metadata=wire("url", TEXT))
    internal: dict[str, Any] | None = field(default=None, metadata=wire("internal", OBJECT))


@dataclass
class FieldConfig(WireObject):
    """How Grafana shows one field. Everything is optional; what is not set is not sent.

    Attributes:
        display_name_from_ds: The name a data source wants shown; leave `display_name` to the user.
        unit: Grafana unit id, such as `s`, `bytes` or `percent`.
        decimals: Digits after the point, 0 to 65535.
        min: Smallest value of the scale; NaN and infinities are sent as null. `max` alike.
        interval: Expected step between the values; milliseconds for time fields.

    Source:
        grafana-plugin-sdk-go data/field_config.go, data/value_mapping.go.
    """

    display_name: str = field(default="", metadata=wire("displayName", TEXT))
    display_name_from_ds: str = field(default="", metadata=wire("displayNameFromDS", TEXT))
    path: str = field(default="", metadata=wire("path", TEXT))
    description: str = field(default="", metadata=wire("description", TEXT))
    filterable: bool | None = field(default=None, metadata=wire("filterable", FLAG))
    writeable: bool | None = field(default=None, metadata=wire("writeable", FLAG))
    unit: str = field(default="", metadata=wire("unit", TEXT))
    decimals: int | None = field(default=None, metadata=wire("decimals", whole(0, 65535)))
    min: float | None = field(default=None, metadata=wire("min", REAL))
    max: float | None = field(default=None, metadata=wire("max", REAL))
    interval: float = field(default=0.0, metadata=wire("interval", NUMBER))
    mappings: list[Mapping] = field(
        default_factory=list, metadata=wire("mappings", listing(Kind(_write_mapping, _read_mapping)))
    )
    thresholds: Thresholds | None = field(default=None, metadata=wire("thresholds", nested(Thresholds)))
    color: dict[str, Any] = field(default_factory=dict, metadata=wire("color", OBJECT))
    links: list[DataLink] = field(default_factory=list, metadata=wire("links", listing(nested(DataLink))))
    no_value: str = field(default="", metadata=wire("noValue", TEXT))
    type: TypeConfig | None = field(default=None, metadata=wire("type", nested(TypeConfig)))
    custom: dict[str, Any] = field(default_factory=dict, metadata=wire("custom", OBJECT))

    @property
    def enum_texts(self) -> list[str] | None:
        """Texts of an enum field's values, None if this is no enum's config."""
        return self.type.enum.text if self.type is not None and self.type.enum is not None else None
