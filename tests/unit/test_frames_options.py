"""Frame meta and field config as JSON: exact keys, what is left out, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from debugtool.plugin.frames import (
    DataLink,
    EnumConfig,
    Field,
    FieldConfig,
    Frame,
    FrameError,
    FrameMeta,
    Inspect,
    MappingResult,
    Notice,
    QueryStat,
    RangeMapping,
    SpecialMapping,
    Threshold,
    Thresholds,
    TypeConfig,
    ValueMapping,
    frame_to_json,
)

FULL_CONFIG = FieldConfig(
    display_name="a",
    display_name_from_ds="b",
    path="c",
    description="d",
    filterable=False,
    writeable=True,
    unit="s",
    decimals=0,
    min=0.0,
    max=math.nan,
    interval=1000,
    mappings=[
        ValueMapping({"1": MappingResult("one", "red", 1)}),
        RangeMapping(1, None, MappingResult("many")),
        SpecialMapping("null+nan"),
    ],
    thresholds=Thresholds("percentage", [Threshold(color="green"), Threshold(80, "red", "bad")]),
    color={"mode": "fixed"},
    links=[DataLink("t", True, "u", {"datasourceUid": "x"})],
    no_value="-",
    type=TypeConfig(EnumConfig(["off"], ["grey"], ["i"], ["d"])),
    custom={"width": 3},
)
FULL_CONFIG_JSON = {
    "displayName": "a",
    "displayNameFromDS": "b",
    "path": "c",
    "description": "d",
    "filterable": False,
    "writeable": True,
    "unit": "s",
    "decimals": 0,
    "min": 0.0,
    "max": None,
    "interval": 1000.0,
    "mappings": [
        {"type": "value", "options": {"1": {"text": "one", "color": "red", "index": 1}}},
        {"type": "range", "options": {"from": 1.0, "result": {"text": "many"}}},
        {"type": "special", "options": {"match": "null+nan", "result": {}}},
    ],
    "thresholds": {
        "mode": "percentage",
        "steps": [{"value": None, "color": "green"}, {"value": 80.0, "color": "red", "state": "bad"}],
    },
    "color": {"mode": "fixed"},
    "links": [{"title": "t", "targetBlank": True, "url": "u", "internal": {"datasourceUid": "x"}}],
    "noValue": "-",
    "type": {"enum": {"text": ["off"], "color": ["grey"], "icon": ["i"], "description": ["d"]}},
    "custom": {"width": 3},
}
FULL_META = FrameMeta(
    type="timeseries-wide",
    type_version=(0, 1),
    path="p",
    path_separator="/",
    custom={"a": [math.nan, np.int64(1)]},
    stats=[QueryStat(display_name="rows", value=3)],
    notices=[Notice("warning", "slow", "https://example.org", Inspect.STATS)],
    channel="c",
    preferred_visualisation_type="nodeGraph",
    preferred_visualisation_plugin_id="i",
    executed_query_string="q",
    data_topic="annotations",
    unique_row_id_fields=[0, 2],
)
FULL_META_JSON = {
    "type": "timeseries-wide",
    "typeVersion": [0, 1],
    "path": "p",
    "pathSeparator": "/",
    "custom": {"a": [None, 1]},
    "stats": [{"displayName": "rows", "value": 3.0}],
    "notices": [{"severity": "warning", "text": "slow", "link": "https://example.org", "inspect": 4}],
    "channel": "c",
    "preferredVisualisationType": "nodeGraph",
    "preferredVisualisationPluginId": "i",
    "executedQueryString": "q",
    "dataTopic": "annotations",
    "uniqueRowIdFields": [0, 2],
}


def test_every_key_of_a_config_is_the_one_of_grafana() -> None:
    assert FULL_CONFIG.to_json() == FULL_CONFIG_JSON


def test_every_key_of_a_meta_is_the_one_of_grafana() -> None:
    assert FULL_META.to_json() == FULL_META_JSON


def test_what_is_not_set_is_not_sent() -> None:
    assert FieldConfig().to_json() == {}
    assert FrameMeta().to_json() == {"typeVersion": [0, 0]}
    assert Notice().to_json() == {"severity": "info", "text": ""}
    assert QueryStat().to_json() == {"value": 0.0}
    assert EnumConfig().to_json() == {"text": []}
    assert Thresholds().to_json() == {"mode": "absolute", "steps": []}
    assert RangeMapping().to_json() == {"result": {}}


def test_json_is_read_back_without_what_json_cannot_say() -> None:
    config, meta = FieldConfig.from_json(FULL_CONFIG_JSON), FrameMeta.from_json(FULL_META_JSON)

    assert config.max is None and config.thresholds is not None and config.thresholds.steps[0].value == -math.inf
    assert (config.to_json(), meta.to_json()) == (
        {key: value for key, value in FULL_CONFIG_JSON.items() if key != "max"},
        FULL_META_JSON,
    )


def test_unknown_keys_and_nulls_are_ignored() -> None:
    assert FieldConfig.from_json({"new": 1, "unit": None, "decimals": None}) == FieldConfig()
    assert FrameMeta.from_json({"new": {}, "typeVersion": None, "stats": None}) == FrameMeta()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_json_cannot_hold_are_null_where_grafana_allows_null_and_refused_elsewhere(number: float) -> None:
    assert FieldConfig(min=number, max=number).to_json() == {"min": None, "max": None}
    assert Threshold(number).to_json() == {"value": None}
    for wrong in (FieldConfig(interval=number), QueryStat(value=number)):
        with pytest.raises(FrameError, match=r" is (nan|inf|-inf) \(float\), but must be a finite number\.$"):
            wrong.to_json()


@pytest.mark.parametrize(
    ("cls", "data", "message"),
    [
        (FieldConfig, [], "FieldConfig is [] (list), but must be an object."),
        (FieldConfig, {"unit": 5}, "FieldConfig.unit is 5 (int), but must be a string."),
        (FieldConfig, {"filterable": 1}, "FieldConfig.filterable is 1 (int), but must be true or false."),
        (FieldConfig, {"min": "1"}, "FieldConfig.min is '1' (str), but must be a number."),
        (FieldConfig, {"min": True}, "FieldConfig.min is True (bool), but must be a number."),
        (FieldConfig, {"min": 10**400}, "but must be a number that a double can hold."),
        (FieldConfig, {"color": []}, "FieldConfig.color is [] (list), but must be an object."),
        (FieldConfig, {"links": {}}, "FieldConfig.links is {} (dict), but must be a list."),
        (
            FieldConfig,
            {"mappings": [{"type": "x"}]},
            "FieldConfig.mappings[0].type is 'x' (str), but must be 'value' or ",
        ),
        (FieldConfig, {"mappings": [{}]}, "FieldConfig.mappings[0].type is None (NoneType), but must be 'value' or "),
        (FieldConfig, {"thresholds": {"steps": [{"index": 0}]}}, "FieldConfig.thresholds.steps[0] is 'index' (str), "),
        (FrameMeta, {"typeVersion": [1]}, "FrameMeta.typeVersion is [1] (list), but must be two whole numbers."),
        (FrameMeta, {"typeVersion": [-1, 0]}, "FrameMeta.typeVersion is -1 (int), but must be a whole number from 0 "),
        (FrameMeta, {"notices": [{"inspect": "data"}]}, "FrameMeta.notices[0].inspect is 'data' (str), but must be a "),
        (
            FrameMeta,
            {"notices": [{"severity": "bad"}]},
            "FrameMeta.notices[0].severity is 'bad' (str), but must be 'info'",
        ),
    ],
)
def test_wrong_types_are_refused_with_their_place(cls: Any, data: Any, message: str) -> None:
    with pytest.raises(FrameError) as caught:
        cls.from_json(data)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            FieldConfig(decimals=70000),
            "FieldConfig.decimals is 70000 (int), but must be a whole number from 0 to 65535.",
        ),
        (FieldConfig(custom={"a": {1}}), "FieldConfig.custom.a is {1} (set), but must be something JSON can hold."),
        (FieldConfig(mappings=[{}]), "FieldConfig.mappings[0] is {} (dict), but must be a ValueMapping, "),  # type: ignore[list-item]
        (FieldConfig(thresholds={}), "FieldConfig.thresholds is {} (dict), but must be a Thresholds."),  # type: ignore[arg-type]
        (FieldConfig(color=[1]), "FieldConfig.color is [1] (list), but must be an object."),  # type: ignore[arg-type]
        (ValueMapping([1]), "ValueMapping.options is [1] (list), but must be a dict of MappingResult."),  # type: ignore[arg-type]
        (FrameMeta(custom={1: 2}), "a key of FrameMeta.custom is 1 (int), but must be a string."),
        (FrameMeta(unique_row_id_fields=[True]), "FrameMeta.uniqueRowIdFields[0] is True (bool), but must be a whole "),
    ],
    ids=["decimals", "set", "mapping", "thresholds", "color", "options", "key", "bool"],
)
def test_wrong_options_are_refused_before_they_reach_grafana(
    options: FieldConfig | FrameMeta | ValueMapping, message: str
) -> None:
    with pytest.raises(FrameError) as caught:
        options.to_json()

    assert str(caught.value).startswith(message)


def test_numbers_of_numpy_are_numbers() -> None:
    config = FieldConfig(decimals=np.int64(2), min=np.float32(0.5), interval=np.float64(1))  # type: ignore[arg-type]

    assert config.to_json() == {"decimals": 2, "min": 0.5, "interval": 1.0}


def test_a_frame_as_json_has_ms_times_with_nanos_and_entities_for_special_floats() -> None:
    frame = Frame(
        "n",
        [
            Field("t", [-1, 1_500_000, None], type="time"),
            Field("f", [math.nan, math.inf, -math.inf], {"l": "v"}, FieldConfig(unit="s")),
            Field("g", [0.1, None, -0.5], type="float32"),
            Field("e", ["on", "off", "on"], type="enum"),
            Field("j", [b"[1, 2]", None, b"null"], type="json"),
        ],
        "A",
        FrameMeta(path="p"),
    )

    assert frame_to_json(frame) == {
        "schema": {
            "name": "n",
            "refId": "A",
            "meta": {"typeVersion": [0, 0], "path": "p"},
            "fields": [
                {"name": "t", "type": "time", "typeInfo": {"frame": "time.Time", "nullable": True}},
                {
                    "name": "f",
                    "type": "number",
                    "typeInfo": {"frame": "float64"},
                    "labels": {"l": "v"},
                    "config": {"unit": "s"},
                },
                {"name": "g", "type": "number", "typeInfo": {"frame": "float32", "nullable": True}},
                {
                    "name": "e",
                    "type": "enum",
                    "typeInfo": {"frame": "enum"},
                    "config": {"type": {"enum": {"text": ["on", "off"]}}},
                },
                {"name": "j", "type": "other", "typeInfo": {"frame": "json.RawMessage", "nullable": True}},
            ],
        },
        "data": {
            "values": [[-1, 1, None], [None, None, None], [0.1, None, -0.5], [0, 1, 0], [[1, 2], None, None]],
            "entities": [None, {"NaN": [0], "Inf": [1], "NegInf": [2]}, None, None, None],
            "nanos": [[999_999, 500_000, 0], None, None, None, None],
        },
    }


def test_a_frame_as_json_leaves_out_what_is_empty() -> None:
    assert frame_to_json({"": [1]}) == {
        "schema": {"fields": [{"type": "number", "typeInfo": {"frame": "int64"}}]},
        "data": {"values": [[1]]},
    }
