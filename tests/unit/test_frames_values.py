"""Python values in a frame: what they become, and the message where they cannot become anything."""

from __future__ import annotations

import collections
import enum
import math
import re
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debugtool.plugin.frames import (
    EnumConfig,
    Field,
    FieldConfig,
    Frame,
    FrameError,
    FrameMeta,
    Threshold,
    TypeConfig,
    decode_frame,
    encode_frame,
    frame_to_json,
)


class Level(enum.IntEnum):
    HIGH = 7


class Colour(enum.StrEnum):
    RED = "red"


Point = collections.namedtuple("Point", "x y")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# For arguments that no type checker lets through.
Loose: Any = Frame
LooseField: Any = Field
ON_OFF = FieldConfig(type=TypeConfig(EnumConfig(["off", "on"])))


def sent(values: Any, **options: Any) -> Field:
    """One field after it has been encoded and decoded."""
    return decode_frame(encode_frame(Frame(fields=[Field("x", values, **options)]))).fields[0]


def refusal(values: Any, **options: Any) -> str:
    with pytest.raises(FrameError) as caught:
        encode_frame(Frame(fields=[Field("x", values, **options)]))
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "kind", "result"),
    [
        ([], "float64", []),
        ([None, None], "float64", [None, None]),
        ([1, None, -5], "int64", [1, None, -5]),
        ([2**64 - 1, 0, None], "uint64", [2**64 - 1, 0, None]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([Decimal("1.5"), None], "float64", [1.5, None]),
        ([True, None, False], "bool", [True, None, False]),
        (["a", None, "", "é\N{PILE OF POO}\0"], "string", ["a", None, "", "é\N{PILE OF POO}\0"]),
        ([Level.HIGH, 1], "int64", [7, 1]),
        ([Colour.RED, "blue"], "string", ["red", "blue"]),
        ([{"a": [1, None]}, [1, "b"], None], "json", [b'{"a":[1,null]}', b'[1,"b"]', None]),
        ([Point(1, 2), collections.OrderedDict(z=1)], "json", [b"[1,2]", b'{"z":1}']),
        ([{"a": math.nan, "b": (1, math.inf)}], "json", [b'{"a":null,"b":[1,null]}']),
        ([date(1970, 1, 2), None], "time", [86_400 * 10**9, None]),
        (range(3), "int64", [0, 1, 2]),
        ({"a": 1}.keys(), "string", ["a"]),
    ],
    ids=str,
)
def test_the_type_is_inferred_and_the_values_arrive(values: Any, kind: str, result: list[Any]) -> None:
    field = sent(values)

    assert (field.type, field.values, field.nullable) == (kind, result, None in result)


def test_nan_is_a_number_and_not_a_null() -> None:
    field = sent([1.0, math.nan, math.inf, None])

    assert field.values[0] == 1.0 and math.isnan(field.values[1]) and field.values[2:] == [math.inf, None]


@pytest.mark.parametrize(
    ("kind", "values", "result"),
    [
        ("int8", [1.0, Decimal(2), None], [1, 2, None]),
        ("uint64", [1], [1]),
        ("float32", [1, 0.5, math.inf, None], [1.0, 0.5, math.inf, None]),
        ("time", [5, None, date(1970, 1, 1)], [5, None, 0]),
        ("json", [1, "a", True, 2.5, b'{"a": 1}', bytearray(b"[]"), None], "1 'a' True 2.5 {'a': 1} [] None"),
        ("enum", [3, None], [3, None]),
        ("float64", [], []),
    ],
)
def test_a_declared_type_converts_what_loses_nothing(kind: Any, values: list[Any], result: Any) -> None:
    field = sent(values, type=kind)

    assert field.type == kind
    if kind == "json":
        result = [b"1", b'"a"', b"true", b"2.5", b'{"a": 1}', b"[]", None]
    assert field.values == result


@given(st.lists(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1)), max_size=5))
def test_datetimes_without_a_zone_are_utc_to_the_microsecond(values: list[datetime]) -> None:
    field = Field("x", values, type="time")

    found = decode_frame(encode_frame(Frame(fields=[field]))).fields[0].values

    assert found == [(value.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000 for value in values]


@given(
    st.lists(
        st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1), timezones=st.timezones()) | st.none(),
        min_size=1,
        max_size=5,
    )
)
def test_datetimes_of_every_zone_are_the_instant_they_name(values: list[datetime | None]) -> None:
    found = sent(values, type="time").values

    assert found == [None if value is None else (value - EPOCH) // timedelta(microseconds=1) * 1000 for value in values]


def test_all_kinds_of_times_may_stand_in_one_field() -> None:
    paris = datetime(2020, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))
    plus_two = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    field = sent([datetime(2020, 1, 1), plus_two, date(2020, 1, 1), paris, None])

    new_year = 1_577_836_800 * 10**9
    assert field.values == [new_year, new_year - 7200 * 10**9, new_year, 1_593_597_600 * 10**9, None]


def test_the_first_and_the_last_nanosecond_pass_and_the_next_are_refused() -> None:
    assert sent([-(2**63), 2**63 - 1], type="time").values == [-(2**63), 2**63 - 1]
    for value in (-(2**63) - 1, 2**63):
        assert refusal([0, value], type="time") == (
            f"Field 'x', row 1: {value} is outside 1677-09-21 to 2262-04-11, the times Grafana can hold; "
            "use None or a time inside."
        )


@pytest.mark.parametrize(
    "value",
    [
        datetime(2263, 1, 1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime.max,
        date(1, 1, 1),
        datetime(1677, 9, 21, 0, 12, 43),
    ],
)
@pytest.mark.parametrize("neighbour", [datetime(2020, 1, 1), None], ids=["datetime", "None"])
def test_times_out_of_range_are_refused_with_their_row(value: date, neighbour: datetime | None) -> None:
    assert refusal([neighbour, value]).startswith(f"Field 'x', row 1: {value} is outside 1677-09-21 to 2262-04-11")


@pytest.mark.parametrize(
    ("value", "type_name", "advice"),
    [
        (b"a", "bytes", "use value.decode() for text, or type='json' if it is JSON text"),
        (timedelta(1), "timedelta", "use seconds as float, or whole nanoseconds with unit 'ns' in the config"),
        (time(1), "time", "use str(value), or a datetime that has the day too"),
        (1j, "complex", "use two fields, real and imaginary"),
        ({1}, "set", "use sorted(value)"),
        (uuid.UUID(int=1), "UUID", "use str(value), or another type of value"),
    ],
)
def test_values_of_no_frame_type_are_refused_with_what_to_use(value: Any, type_name: str, advice: str) -> None:
    message = refusal([None, value])

    assert message.startswith("Field 'x', row 1: no frame type holds ")
    assert message.endswith(f"({type_name}); {advice}.")


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ([None, 1, "a"], "row 1 is 1 (int), row 2 is 'a' (str)"),
        ([1, True], "row 0 is 1 (int), row 1 is True (bool)"),
        ([1, 2.5, "a"], "row 0 is 1 (int), row 2 is 'a' (str)"),
        ([{}, "a"], "row 0 is {} (dict), row 1 is 'a' (str)"),
        ([datetime(2020, 1, 1), 5], "row 0 is datetime.datetime(2020, 1, 1, 0, 0) (datetime), row 1 is 5 (int)"),
    ],
    ids=str,
)
def test_mixed_values_are_refused_with_both_rows(values: list[Any], rows: str) -> None:
    assert refusal(values) == (
        f"Field 'x' mixes types: {rows}; convert the values to one type, or declare type='json'."
    )


@pytest.mark.parametrize(
    ("kind", "values", "row", "shown"),
    [
        ("int8", [1, 300], 1, "300 (int)"),
        ("int8", [None, 1.5], 1, "1.5 (float)"),
        ("int8", [math.nan], 0, "nan (float)"),
        ("int8", [math.inf], 0, "inf (float)"),
        ("int8", ["1"], 0, "'1' (str)"),
        ("int8", [True], 0, "True (bool)"),
        ("uint8", [-1], 0, "-1 (int)"),
        ("float32", [1.0, 1e300], 1, "1e+300 (float)"),
        ("float64", [10**400], 0, "1000000000000000000000000000000000000000... (int)"),
        ("float64", [Decimal("sNaN")], 0, "Decimal('sNaN') (Decimal)"),
        ("string", [1], 0, "1 (int)"),
        ("bool", [1], 0, "1 (int)"),
        ("time", [1.5], 0, "1.5 (float)"),
        ("enum", [70000], 0, "70000 (int)"),
        ("enum", [1, "a"], 1, "'a' (str)"),
    ],
)
def test_what_does_not_fit_the_declared_type_is_refused(kind: Any, values: list[Any], row: int, shown: str) -> None:
    assert refusal(values, type=kind) == (
        f"Field 'x', row {row}: {shown} does not fit type {kind!r}; convert it, or declare another type."
    )


@pytest.mark.parametrize("values", [[2**64], [-1, 2**63], [-(2**63) - 1]], ids=str)
def test_integers_of_more_than_64_bits_are_refused(values: list[int]) -> None:
    assert "does not fit type 'uint64'" in refusal(values)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "Expecting property name"),
        (b"NaN", "NaN is not JSON"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "recursion"),
    ],
    ids=["broken", "NaN", "no UTF-8", "deep"],
)
def test_bytes_in_a_json_field_must_be_json(raw: bytes, why: str) -> None:
    message = refusal([b"{}", raw], type="json")

    assert message.startswith("Field 'x', row 1: bytes in a json field must be JSON text, but ")
    assert why in message


def test_json_values_that_json_cannot_hold_are_refused_with_their_place() -> None:
    loop: list[Any] = []
    loop.append(loop)

    assert refusal([{"a": [EPOCH]}]).startswith("Field 'x', row 0.a[0] is datetime.datetime(1970")
    assert refusal([{}, {(1, 2): 1}]).startswith("a key of Field 'x', row 1 is (1, 2) (tuple), but must be a string")
    assert refusal([loop]) == "Field 'x', row 0 contains itself or is nested too deeply for JSON."


def test_half_a_surrogate_pair_is_refused_wherever_it_stands() -> None:
    assert refusal(["ok", "\ud800"]) == (
        "Field 'x', row 1: '\\ud800' (str) is no valid Unicode (half of a surrogate pair); "
        "use value.encode(errors='replace').decode()."
    )
    assert "half of a surrogate pair" in refusal([{"a": "\ud800"}])
    assert "half of a surrogate pair" in refusal([1], labels={"a": "\ud800"})
    assert "half of a surrogate pair" in refusal([1], config=FieldConfig(unit="\ud800"))
    for frame in (Frame("\ud800"), Frame(ref_id="\ud800"), Frame(fields=[Field("\ud800", [1])])):
        with pytest.raises(FrameError, match=r"is no valid Unicode \(half of a surrogate pair\)\.$"):
            encode_frame(frame)


def test_more_text_than_arrow_can_address_is_refused_before_it_is_copied() -> None:
    assert refusal(["x" * 2**20] * 2048) == "Field 'x' holds more than 2 GiB; send fewer rows."


def test_an_enum_of_strings_takes_its_texts_into_the_config() -> None:
    field = sent(["on", "off", None, "on"], type="enum", config=FieldConfig(unit="u"))

    assert (field.type, field.values) == ("enum", [0, 1, None, 0])
    assert field.config == FieldConfig(unit="u", type=TypeConfig(EnumConfig(["on", "off"])))


def test_an_enum_whose_config_has_texts_keeps_them() -> None:
    assert sent(["on", "on"], type="enum", config=ON_OFF).values == [1, 1]
    assert refusal(["on", "out"], type="enum", config=ON_OFF) == (
        "Field 'x', row 1: 'out' (str) is none of the enum's texts ['off', 'on']."
    )


def test_nullable_is_as_declared_else_as_needed() -> None:
    assert [sent([1], nullable=flag).nullable for flag in (None, True, False)] == [False, True, False]
    assert refusal([1, None], nullable=False) == (
        "Field 'x', row 1: null in a field with nullable=False; leave that out."
    )


def test_an_iterator_may_be_encoded_twice() -> None:
    frame = Frame(fields=[Field("x", iter([1, 2]))])

    assert encode_frame(frame) == encode_frame(frame)
    assert decode_frame(encode_frame(frame)).fields[0].values == [1, 2]


@pytest.mark.parametrize("values", ["abc", b"abc", {"a": 1}, {1}, 5, None], ids=repr)
def test_what_is_no_column_is_refused_at_once(values: Any) -> None:
    with pytest.raises(FrameError, match=r"^The values of field 'x' are of type \w+; use a list or an array\.$"):
        Field("x", values)


def test_an_unknown_type_is_refused_at_once() -> None:
    with pytest.raises(FrameError, match=r"^Field 'x' has type 'int', but must have one of int8, int16, "):
        LooseField("x", [1], type="int")


def test_fields_of_different_lengths_are_refused() -> None:
    with pytest.raises(FrameError) as caught:
        encode_frame(Frame("f", [Field("a", [1]), Field("b", []), Field("b", [1])]))

    assert str(caught.value) == "The fields of frame 'f' have different numbers of rows: 'a' 1, 'b' 0, 'b' 1."


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (5, "int is no frame; use a Frame, a dict of columns, a pandas DataFrame or an Arrow table."),
        ([Frame()], "list is no frame; "),
        (Loose(meta={"type": "x"}), "The meta of frame '' is {'type': 'x'} (dict), but must be a FrameMeta."),
        (Loose(fields=[{"a": [1]}]), "Field 0 of frame '' is {'a': [1]} (dict), but must be a Field."),
        (
            Loose(fields=[LooseField("x", [1], config={})]),
            "The config of field 'x' is {} (dict), but must be a FieldConfig.",
        ),
        (Loose(fields=[LooseField("x", [1], labels={"a": 1})]), "Label 'a' of field 'x' is 1 (int), but must be "),
        (Loose(fields=[LooseField(5, [1])]), "The name of field 5 is 5 (int), but must be a string."),
        (Loose(5), "The name of frame 5 is 5 (int), but must be a string."),
    ],
    ids=str,
)
def test_parts_of_the_wrong_type_are_refused(frame: Any, message: str) -> None:
    with pytest.raises(FrameError, match=f"^{re.escape(message)}"):
        encode_frame(frame)


def test_the_file_is_one_uncompressed_batch_with_the_metadata_of_grafana() -> None:
    config = FieldConfig(unit="s")
    frame = Frame(
        "n", [Field("t", [EPOCH]), Field("v", [None, 1][1:], {"k": "é"}, config)], "A", FrameMeta(type="table")
    )

    data = encode_frame(frame)

    reader = pa.ipc.open_file(data)
    assert data[:8] == b"ARROW1\0\0" and data[-6:] == b"ARROW1"
    assert reader.num_record_batches == 1
    assert reader.schema.metadata == {b"name": b"n", b"refId": b"A", b"meta": b'{"type":"table","typeVersion":[0,0]}'}
    time_field, value_field = reader.schema
    assert (time_field.type, time_field.nullable, time_field.metadata) == (
        pa.timestamp("ns"),
        False,
        {b"tstype": b"time"},
    )
    assert value_field.metadata == {b"tstype": b"number", b"labels": '{"k":"é"}'.encode(), b"config": b'{"unit":"s"}'}


def test_a_frame_without_fields_and_one_without_rows_are_frames() -> None:
    assert decode_frame(encode_frame(Frame("empty"))) == Frame("empty")
    assert decode_frame(encode_frame({"x": []})).fields == [Field("x", [], type="float64", nullable=False)]
    assert pa.ipc.open_file(encode_frame(Frame())).num_record_batches == 1


def test_from_dict_takes_fields_among_the_columns() -> None:
    frame = Frame.from_dict({"a": [1], "b": Field("c", [2], {"l": "v"})}, name="n", ref_id="A", meta=FrameMeta())

    assert frame == Frame("n", [Field("a", [1]), Field("c", [2], {"l": "v"})], "A", FrameMeta())


def test_thresholds_start_at_minus_infinity_by_default() -> None:
    assert Threshold(color="green").to_json() == {"value": None, "color": "green"}


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    frame = Frame(
        "n",
        [
            Field("t", [EPOCH, None]),
            Field("s", ["a", "é"], {"l": "v"}, FieldConfig(unit="s")),
            Field("j", [{"a": 1}, None]),
            Field("e", ["on", "off"], type="enum"),
        ],
        meta=FrameMeta(type="table"),
    )
    data = bytearray(encode_frame(frame))
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=4)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.none() | st.integers(0, len(data)))])


@settings(deadline=None, max_examples=400)
@given(damaged_files())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        frame = decode_frame(data)
        frame_to_json(frame)
    except FrameError as error:
        assert str(error).endswith(".")
    else:
        assert isinstance(frame, Frame)
