"""Generated frames of every type, with nulls, labels, configs and meta, and one frame that has everything."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from debugtool.plugin.frames import (
    DataLink,
    EnumConfig,
    Field,
    FieldConfig,
    Frame,
    FrameMeta,
    MappingResult,
    Notice,
    QueryStat,
    RangeMapping,
    SpecialMapping,
    Threshold,
    Thresholds,
    TypeConfig,
    ValueMapping,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# The SDK reads thresholds with jsoniter, which is one bit off for some doubles; these it reads exactly.
PLAIN_FLOATS = st.integers(-(10**9), 10**9).map(lambda number: number / 64)
# Go holds any number without a declared type as a double.
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON_VALUES, max_size=3)
INTEGERS = {
    f"{prefix}int{bits}": (0 if prefix else -(2 ** (bits - 1)), 2 ** (bits - (0 if prefix else 1)) - 1)
    for prefix in ("", "u")
    for bits in (8, 16, 32, 64)
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{name: st.integers(*bounds) | st.sampled_from(bounds) for name, bounds in INTEGERS.items()},
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "string": TEXT,
    "bool": st.booleans(),
    "time": st.integers(-(2**63), 2**63 - 1),
    "json": JSON_VALUES.filter(lambda value: value is not None) | OBJECTS.map(lambda value: json.dumps(value).encode()),
    "enum": st.integers(0, 65535),
}
MAPPING_RESULTS = st.builds(MappingResult, text=TEXT, color=TEXT, index=st.integers(-(2**31), 2**31))
MAPPINGS = (
    st.builds(ValueMapping, options=st.dictionaries(TEXT, MAPPING_RESULTS, max_size=2))
    | st.builds(RangeMapping, start=st.none() | FLOATS, end=st.none() | FLOATS, result=MAPPING_RESULTS)
    | st.builds(SpecialMapping, match=st.sampled_from(["true", "nan", "null+nan", "empty"]), result=MAPPING_RESULTS)
)
STEPS = st.builds(Threshold, value=PLAIN_FLOATS | st.just(-math.inf), color=TEXT, state=TEXT)
LINKS = st.builds(
    DataLink,
    title=TEXT,
    target_blank=st.booleans(),
    url=TEXT,
    internal=st.none() | st.fixed_dictionaries({}, optional={"query": OBJECTS, "datasourceUid": st.just("abc")}),
)
CONFIG_OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "display_name": TEXT,
    "display_name_from_ds": TEXT,
    "path": TEXT,
    "description": TEXT,
    "filterable": st.none() | st.booleans(),
    "writeable": st.none() | st.booleans(),
    "unit": TEXT,
    "decimals": st.none() | st.integers(0, 65535),
    "min": st.none() | st.floats(),
    "max": st.none() | st.floats(),
    "interval": FLOATS,
    "mappings": st.lists(MAPPINGS, max_size=2),
    "thresholds": st.none()
    | st.builds(Thresholds, mode=st.sampled_from(["absolute", "percentage"]), steps=st.lists(STEPS, max_size=3)),
    "color": OBJECTS,
    "links": st.lists(LINKS, max_size=2),
    "no_value": TEXT,
    "custom": OBJECTS,
}


def some_options(cls: type[Any], options: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Objects with some of the options set, few of them, as generating all is what takes the time."""
    names = st.sets(st.sampled_from(sorted(options)), max_size=4)
    return names.flatmap(lambda chosen: st.builds(cls, **{name: options[name] for name in sorted(chosen)}))


CONFIGS = some_options(FieldConfig, CONFIG_OPTIONS)
METAS = some_options(
    FrameMeta,
    {
        "type": st.sampled_from(["timeseries-wide", "table", "log-lines"]) | TEXT,
        "type_version": st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 9)),
        "path": TEXT,
        "path_separator": TEXT,
        "custom": JSON_VALUES,
        "stats": st.lists(some_options(QueryStat, {**CONFIG_OPTIONS, "value": FLOATS}), max_size=2),
        "notices": st.lists(
            st.builds(
                Notice,
                severity=st.sampled_from(["info", "warning", "error"]),
                text=TEXT,
                link=TEXT,
                inspect=st.integers(0, 4),
            ),
            max_size=2,
        ),
        "channel": TEXT,
        "preferred_visualisation_type": st.sampled_from(["graph", "nodeGraph", "flamegraph"]),
        "preferred_visualisation_plugin_id": TEXT,
        "executed_query_string": TEXT,
        "data_topic": st.just("annotations") | TEXT,
        "unique_row_id_fields": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    },
)


@st.composite
def fields(draw: st.DrawFn, rows: int) -> Field:
    kind = draw(st.sampled_from(sorted(VALUES)))
    nullable = draw(st.sampled_from([None, True, False]))
    cells = VALUES[kind] if nullable is False else VALUES[kind] | st.none()
    config = draw(st.none() | CONFIGS)
    if kind == "enum" and draw(st.booleans()):
        config = config or FieldConfig()
        config.type = TypeConfig(
            EnumConfig(text=draw(st.lists(TEXT, max_size=3)), color=draw(st.lists(TEXT, max_size=2)))
        )
    return Field(
        draw(TEXT),
        draw(st.lists(cells, min_size=rows, max_size=rows)),
        labels=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        config=config,
        type=kind,  # type: ignore[arg-type]  # the keys of VALUES are type names
        nullable=nullable,
    )


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    rows = draw(st.integers(0, 12))
    columns = draw(st.lists(fields(rows), max_size=4))
    return Frame(draw(TEXT), columns, draw(TEXT), draw(st.none() | METAS))


# Every option and every special value at once, so that none is left to chance.
EVERY_OPTION = FieldConfig(
    display_name="a",
    display_name_from_ds="b",
    path="c",
    description="d",
    filterable=False,
    writeable=True,
    unit="s",
    decimals=0,
    min=-1.5,
    max=math.nan,
    interval=1000,
    mappings=[
        ValueMapping({"1": MappingResult("one", "red", 1)}),
        RangeMapping(1, 2, MappingResult("some")),
        SpecialMapping("null+nan", MappingResult("none")),
    ],
    thresholds=Thresholds("percentage", [Threshold(color="green"), Threshold(80, "red", "bad")]),
    color={"mode": "fixed"},
    links=[DataLink("t", True, "u", {"datasourceUid": "x", "query": {"q": 1}})],
    no_value="-",
    type=TypeConfig(EnumConfig(["off", "on"], ["grey", "green"], ["i", "j"], ["d", "e"])),
    custom={"width": 3, "null": None},
)
EVERY_META = FrameMeta(
    type="timeseries-wide",
    type_version=(0, 1),
    path="p",
    path_separator="/",
    custom={"a": [None, 1, "\u2028<&>"]},
    stats=[QueryStat(display_name="rows", unit="short", value=3)],
    notices=[Notice("warning", "slow", "https://example.org", 4), Notice("error", "bad"), Notice()],
    channel="c",
    preferred_visualisation_type="nodeGraph",
    preferred_visualisation_plugin_id="i",
    executed_query_string="q",
    data_topic="annotations",
    unique_row_id_fields=[0, 2],
)
EVERYTHING = Frame(
    "everything",
    [
        Field("time", [-(2**63), 2**63 - 1, -1, 1_500_000, None], type="time"),
        Field(
            "f64", [math.nan, math.inf, -math.inf, 5e-324, -0.0], {"a": "1", "\u00e9": ""}, EVERY_OPTION, type="float64"
        ),
        Field("f32", [math.nan, math.inf, -math.inf, float(np.float32(0.1)), None], type="float32"),
        *[
            Field(name, [low, high, 0, None, 1], type=name)  # type: ignore[arg-type]  # the keys are type names
            for name, (low, high) in INTEGERS.items()
        ],
        Field("string", ["", "\0", "\N{PILE OF POO}", "x" * 300, None], type="string"),
        Field("bool", [True, False, None, True, False], type="bool"),
        Field("json", [b"null", b' {"a": [1e2]} ', None, {"k": []}, "text"], type="json"),
        Field("enum", [0, 1, 65535, None, 1], config=EVERY_OPTION, type="enum"),
        Field("enum", [0, 1, 65535, 3, 1], config=FieldConfig(), type="enum", nullable=True),
    ],
    "A",
    EVERY_META,
)
