"""Numpy, pandas and Arrow data in a frame: what they become, and the message where they cannot become anything."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.plugin.frames import (
    EnumConfig,
    Field,
    FieldConfig,
    Frame,
    FrameError,
    FrameMeta,
    TypeConfig,
    decode_frame,
    encode_frame,
)

DAY_NS = 86_400 * 10**9


def sent(values: Any, **options: Any) -> tuple[str | None, bool | None, list[Any]]:
    """Type, nullable flag and values of one field after it has been encoded and decoded."""
    field = decode_frame(encode_frame(Frame(fields=[Field("x", values, **options)]))).fields[0]
    return field.type, field.nullable, field.values


def refusal(values: Any, **options: Any) -> str:
    with pytest.raises(FrameError) as caught:
        encode_frame(Frame(fields=[Field("x", values, **options)]))
    return str(caught.value)


# numpy ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_integer_type_of_numpy_is_kept_with_its_extremes(name: str, order: Literal["<", ">"]) -> None:
    values = [int(np.iinfo(name).min), int(np.iinfo(name).max)]

    assert sent(np.array(values, np.dtype(name).newbyteorder(order))) == (name, False, values)


@pytest.mark.parametrize(
    ("values", "result"),
    [
        (np.array([1.5, 2], "f2"), ("float32", False, [1.5, 2.0])),
        (np.array([1.5, -0.0], ">f4"), ("float32", False, [1.5, -0.0])),
        (np.array([True, False]), ("bool", False, [True, False])),
        (np.array(["a", "é"]), ("string", False, ["a", "é"])),
        (np.array(["a", "é"], np.dtypes.StringDType()), ("string", False, ["a", "é"])),
        (np.array([{"k": 1}, None], object), ("json", True, [b'{"k":1}', None])),
        (np.array([]), ("float64", False, [])),
        (np.arange(6)[::-2], ("int64", False, [5, 3, 1])),
        (np.ma.array([1, 2], mask=[False, True]), ("int64", True, [1, None])),
        (np.ma.array(["a", "b"], mask=[False, True]), ("string", True, ["a", None])),
        (np.ma.array([True, True], mask=[True, False]), ("bool", True, [None, True])),
        (np.ma.array(np.array([1, "NaT", 2], "M8[s]"), mask=[False, False, True]), ("time", True, [10**9, None, None])),
    ],
    ids=repr,
)
def test_numpy_arrays_arrive(values: Any, result: Any) -> None:
    assert sent(values) == result


@pytest.mark.parametrize(
    ("unit", "result"),
    [
        ("Y", 7 * 365 * DAY_NS + 2 * DAY_NS),
        ("M", 212 * DAY_NS),
        ("W", 49 * DAY_NS),
        ("D", 7 * DAY_NS),
        ("h", 7 * 3600 * 10**9),
        ("m", 420 * 10**9),
        ("s", 7 * 10**9),
        ("ms", 7 * 10**6),
        ("us", 7000),
        ("ns", 7),
        ("ps", 0),
        ("fs", 0),
        ("as", 0),
        ("10ms", 70 * 10**6),
    ],
)
def test_every_unit_of_datetime64_is_read(unit: str, result: int) -> None:
    assert sent(np.array([7, "NaT"], f"M8[{unit}]")) == ("time", True, [result, None])
    assert sent(list(np.array([7, "NaT"], f"M8[{unit}]"))) == ("time", True, [result, None])
    assert sent(np.array([7], f">M8[{unit}]")) == ("time", False, [result])


@given(st.sampled_from(["D", "h", "s", "ms", "us", "ns"]), st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=4))
def test_datetime64_is_exact_or_refused(unit: str, numbers: list[int]) -> None:
    factor = {"D": DAY_NS, "h": 3600 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]
    wanted = [number * factor for number in numbers]

    if all(-(2**63) < number < 2**63 for number in wanted):
        assert sent(np.array(numbers, f"M8[{unit}]")) == ("time", False, wanted)
    else:
        assert " is outside 1677-09-21 to 2262-04-11, " in refusal(np.array(numbers, f"M8[{unit}]"))


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "10ms"])
def test_datetime64_out_of_range_is_refused_with_its_row(unit: str) -> None:
    for far in (2**62, -(2**62)):
        assert refusal(np.array([0, far], f"M8[{unit}]")).startswith("Field 'x', row 1: ")
        assert refusal([np.datetime64(0, "s"), np.array([far], f"M8[{unit}]")[0]]).startswith("Field 'x', row 1: ")


@pytest.mark.parametrize(
    ("values", "type_text", "advice"),
    [
        (np.array([1], "m8[s]"), "timedelta64[s]", "divide by np.timedelta64(1, 's') for seconds as float"),
        (np.array([1j]), "complex128", "use two fields, .real and .imag"),
        (np.array([b"a"]), "|S1", "use .astype(str) for text"),
        (np.array([1], "g"), str(np.dtype("g")), "use .astype('float64')"),
        (np.zeros(1, [("a", "i4")]), "[('a', '<i4')]", "use one field per column of the structure"),
    ],
    ids=str,
)
def test_numpy_types_that_no_frame_holds_are_refused(values: Any, type_text: str, advice: str) -> None:
    assert refusal(values) == (f"Field 'x' is a numpy array of {type_text}, which no frame type holds; {advice}.")


def test_numpy_arrays_of_several_dimensions_are_refused() -> None:
    assert refusal(np.zeros((2, 2))) == "Field 'x' is a numpy array of 2 dimensions, but a column has one."


@pytest.mark.parametrize(
    ("values", "kind", "result"),
    [
        (np.array([1, 2]), "float32", [1.0, 2.0]),
        (np.array([1.0, 2.0]), "int8", [1, 2]),
        (np.array([5]), "time", [5]),
        (np.array([1, 2]), "enum", [1, 2]),
        (np.array(["a", "b", "a"]), "enum", [0, 1, 0]),
        (np.array([1]), "json", [b"1"]),
        (pa.array([1, None]), "int8", [1, None]),
        (pa.array([1.5]), "float32", [1.5]),
        (pa.array(["a", "b"]).dictionary_encode(), "enum", [0, 1]),
        (pd.Series(["a", None, "a"], dtype="category"), "enum", [0, None, 0]),
    ],
    ids=lambda value: str(getattr(value, "type", repr(value))),  # the repr of Arrow arrays has an address in it
)
def test_a_declared_type_converts_arrays_too(values: Any, kind: str, result: list[Any]) -> None:
    assert sent(values, type=kind)[::2] == (kind, result)


@pytest.mark.parametrize("values", [np.array([1], "M8[s]"), pa.array([1], pa.timestamp("s"))], ids=["numpy", "arrow"])
def test_times_are_not_turned_into_numbers(values: Any) -> None:
    assert refusal(values, type="int64") == "Field 'x' holds times, but is declared int64."


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ([np.int8(3), np.uint64(5)], ("int64", False, [3, 5])),
        ([np.bool_(True), True], ("bool", False, [True, True])),
        ([np.float16(1.5), np.float32(2.5), 1], ("float64", False, [1.5, 2.5, 1.0])),
        ([np.str_("a"), "b"], ("string", False, ["a", "b"])),
        ([{"a": np.int64(3), "b": np.float32(0.5)}], ("json", False, [b'{"a":3,"b":0.5}'])),
        ([pd.NA, 3], ("int64", True, [None, 3])),
        ([pd.NaT, None], ("time", True, [None, None])),
        ([pd.Timestamp("1970-01-01T00:00:00.000000001Z"), pd.NaT], ("time", True, [1, None])),
        ([pd.Timestamp("1970-01-01", tz="Europe/Paris")], ("time", False, [-3600 * 10**9])),
    ],
    ids=repr,
)
def test_scalars_of_numpy_and_pandas_may_stand_in_lists(values: list[Any], result: Any) -> None:
    assert sent(values) == result


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (np.array([1]), "(ndarray); use value.tolist()."),
        (np.timedelta64(1, "s"), "(timedelta64); use seconds as float, "),
        (np.longdouble(1), "(longdouble); use str(value), "),
        (pd.Timedelta(1), "(Timedelta); use seconds as float, "),
    ],
    ids=["array", "timedelta64", "longdouble", "Timedelta"],
)
def test_scalars_of_no_frame_type_are_refused(value: Any, advice: str) -> None:
    message = refusal([value])

    assert message.startswith("Field 'x', row 0: no frame type holds ") and advice in message


def test_pandas_timestamps_of_far_years_are_refused() -> None:
    assert refusal([pd.Timestamp("0001-01-01")]).startswith("Field 'x', row 0: 0001-01-01 00:00:00 is outside 1677")
    assert refusal([None, pd.Timestamp(np.datetime64(20000 - 1970, "Y"))]).startswith("Field 'x', row 1: ")


# pandas --------------------------------------------------------------------------------------------------------------


def columns(table: pd.DataFrame) -> dict[str, tuple[str | None, bool | None, list[Any]]]:
    return {
        field.name: (field.type, field.nullable, field.values) for field in decode_frame(encode_frame(table)).fields
    }


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ([1.5, None], ("float64", True, [1.5, None])),
        (pd.array([1, None], "Int64"), ("int64", True, [1, None])),
        (pd.array([1, 2], "UInt8"), ("uint8", False, [1, 2])),
        (pd.array([True, None], "boolean"), ("bool", True, [True, None])),
        (pd.array(["a", None], "string"), ("string", True, ["a", None])),
        (pd.array([1], "int64[pyarrow]"), ("int64", False, [1])),
        (pd.Categorical(["a", "b", None]), ("string", True, ["a", "b", None])),
        (np.array([1.5, np.nan], "f4"), ("float32", True, [1.5, None])),
        (pd.to_datetime(["1970-01-02", None]), ("time", True, [DAY_NS, None])),
        (pd.to_datetime(["1970-01-02"]).tz_localize("Asia/Tokyo"), ("time", False, [15 * 3600 * 10**9])),
        (pd.Series(["a", np.nan, None, pd.NA], dtype=object), ("string", True, ["a", None, None, None])),
        (pd.Series([{"k": 1}, None]), ("json", True, [b'{"k":1}', None])),
        (pd.Series([[1], [2]]), ("json", False, [b"[1]", b"[2]"])),
        (pd.Series([Decimal("1.5")]), ("float64", False, [1.5])),
        (pd.Series([date(1970, 1, 2)]), ("time", False, [DAY_NS])),
    ],
    ids=lambda value: str(value).replace("\n", " "),
)
def test_pandas_columns_arrive_with_nulls_for_what_is_missing(values: Any, result: Any) -> None:
    assert columns(pd.DataFrame({"a": values})) == {"a": result}


def test_the_index_becomes_a_column_when_it_says_something() -> None:
    days = pd.date_range("1970-01-01", periods=2, tz="UTC")
    levels = pd.MultiIndex.from_tuples([(1, "z")], names=["p", None])

    assert list(columns(pd.DataFrame({"a": [1, 2]}))) == ["a"]
    assert columns(pd.DataFrame({"a": [1, 2]}, index=days))["time"] == ("time", False, [0, DAY_NS])
    assert list(columns(pd.DataFrame({"a": [1, 2]}, index=days.rename("when")))) == ["when", "a"]
    assert list(columns(pd.DataFrame({"a": [1]}, index=pd.Index([7], name="id")))) == ["id", "a"]
    assert list(columns(pd.DataFrame({"a": [1]}, index=levels))) == ["p", "a"]


def test_column_labels_become_names() -> None:
    pairs = pd.MultiIndex.from_tuples([("cpu", "user"), ("cpu", "sys")])

    assert list(columns(pd.DataFrame([[1, 2]], columns=pairs))) == ["cpu user", "cpu sys"]
    assert [field.name for field in Frame.from_pandas(pd.DataFrame([[1, 2]], columns=["a", "a"])).fields] == ["a", "a"]
    assert list(columns(pd.DataFrame({0: [1]}))) == ["0"]


def test_from_pandas_takes_name_ref_id_and_meta() -> None:
    frame = Frame.from_pandas(pd.DataFrame(), name="n", ref_id="A", meta=FrameMeta())

    assert frame == Frame("n", [], "A", FrameMeta())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.to_timedelta([1]), "Field 'a' is of Arrow type duration[ns], which Grafana rejects; cast it to int64 and "),
        (pd.period_range("2020", periods=1), "use .astype(str), or .dt.to_timestamp() for periods."),
        ([1j], "Field 'a' is a pandas complex128, which Arrow cannot hold ("),
        (pd.Series([1, "a"], dtype=object), "Field 'a' mixes types: row 0 is 1 (int), row 1 is 'a' (str); "),
        (np.array(["0001-01-01"], "M8[s]"), "Field 'a', row 0: -62135596800 s after 1970 is outside 1677-09-21 to "),
    ],
    ids=["timedelta", "period", "complex", "mixed", "far"],
)
def test_pandas_columns_of_no_frame_type_are_refused(values: Any, message: str) -> None:
    with pytest.raises(FrameError) as caught:
        encode_frame(pd.DataFrame({"a": values}))

    assert message in str(caught.value)


def test_a_series_is_no_frame() -> None:
    with pytest.raises(FrameError, match=r"^Series is no frame; use a Frame, "):
        encode_frame(pd.Series([1]))


# Arrow ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "result"),
    [
        (pa.array([1, None], pa.timestamp("s", "Europe/Paris")), "time", [10**9, None]),
        (pa.array([-1], pa.timestamp("us", "+02:00")), "time", [-1000]),
        (pa.array([5], pa.timestamp("ns", "UTC")), "time", [5]),
        (pa.array([1, None], pa.date32()), "time", [DAY_NS, None]),
        (pa.array([86_400_000], pa.date64()), "time", [DAY_NS]),
        (pa.array(["a", None], pa.large_string()), "string", ["a", None]),
        (pa.array(["a", None], pa.string_view()), "string", ["a", None]),
        (pa.array([b"1", None]), "json", [b"1", None]),
        (pa.array([b"1"], pa.large_binary()), "json", [b"1"]),
        (pa.array([b"12"], pa.binary(2)), "json", [b"12"]),
        (pa.array(["a", None, "b"]).dictionary_encode(), "string", ["a", None, "b"]),
        (pa.array([1], pa.timestamp("ms")).dictionary_encode(), "time", [10**6]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), "string", ["a", "a", "b"]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)), "float64", [1.25, None]),
        (pa.array([np.float16(1.5), None], pa.float16()), "float32", [1.5, None]),
        (pa.nulls(2), "float64", [None, None]),
        (pa.array([[1, None], None]), "json", [b"[1,null]", None]),
        (pa.array([[1]], pa.large_list(pa.int8())), "json", [b"[1]"]),
        (pa.array([[1]], pa.list_view(pa.int8())), "json", [b"[1]"]),
        (pa.array([{"a": 1}]), "json", [b'{"a":1}']),
        (pa.array([True, False, None])[1:], "bool", [False, None]),
        (pa.chunked_array([], pa.int64()), "int64", []),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_arrow_arrays_arrive(values: Any, kind: str, result: list[Any]) -> None:
    assert sent(values) == (kind, None in result, result)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (pa.array([1], pa.time32("s")), "cast it to string, or add the day and make it a timestamp"),
        (pa.array([1], pa.duration("s")), "cast it to int64 and name its unit in the field's config"),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "cast it to string"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), "use a struct, or a dict per row"),
        (pa.array([b"1" * 16], pa.uuid()), "use the storage of the array"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_arrow_types_without_a_natural_cast_are_refused(values: Any, advice: str) -> None:
    assert refusal(values) == f"Field 'x' is of Arrow type {values.type}, which Grafana rejects; {advice}."


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([0, None, 2**60], pa.timestamp("s")), f"row 2: {2**60} s after 1970"),
        (pa.array([-(2**60)], pa.timestamp("us", "UTC")), f"row 0: {-(2**60)} us after 1970"),
        (pa.array([1, 2**30], pa.date32()), f"row 1: {2**30 * 86400} s after 1970"),
    ],
    ids=["seconds", "microseconds", "days"],
)
def test_arrow_times_out_of_range_are_refused_with_their_row(values: Any, found: str) -> None:
    assert refusal(values).startswith(f"Field 'x', {found} is outside 1677-09-21 to 2262-04-11, ")


def test_binary_that_is_no_json_and_structs_json_cannot_hold_are_refused() -> None:
    assert refusal(pa.array([b"1", b"{"])).startswith("Field 'x', row 1: bytes in a json field must be JSON text, but ")
    assert refusal(pa.array([{"a": datetime(2020, 1, 1)}])).startswith("Field 'x', row 0.a is datetime.datetime(2020")


def test_a_table_keeps_its_nullable_flags_and_the_metadata_of_grafana() -> None:
    state = FieldConfig(type=TypeConfig(EnumConfig(["off", "on"])))
    original = Frame(
        "n",
        [Field("e", [1], {"l": "v"}, state, type="enum", nullable=False), Field("i", [1], nullable=True)],
        "A",
        FrameMeta(type="table"),
    )
    table = pa.ipc.open_file(encode_frame(original)).read_all()

    for source in (table, table.to_batches()[0], Frame.from_arrow(table)):
        assert encode_frame(source) == encode_frame(original)
    renamed = Frame.from_arrow(table, name="m", ref_id="B", meta=FrameMeta(path="p"))
    assert (renamed.name, renamed.ref_id, renamed.meta) == ("m", "B", FrameMeta(path="p"))


def test_anything_that_hands_out_arrow_data_is_a_frame() -> None:
    class Streams:
        def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
            return pa.table({"x": [1]}).__arrow_c_stream__(requested_schema)

    class Batches:
        def __arrow_c_array__(self, requested_schema: object = None) -> Any:
            return pa.record_batch({"x": [1]}).__arrow_c_array__(requested_schema)

    for source in (Streams(), Batches()):
        assert decode_frame(encode_frame(source)).fields[0].values == [1]


def test_a_null_in_a_column_that_is_not_nullable_is_refused_when_sent() -> None:
    table = pa.table([pa.array([1, None])], pa.schema([pa.field("x", pa.int64(), nullable=False)]))

    with pytest.raises(FrameError, match=r"^Field 'x', row 1: null in a field with nullable=False"):
        encode_frame(table)


@pytest.mark.parametrize(
    ("where", "metadata", "message"),
    [
        ("schema", {"meta": "{"}, "The frame's meta is no JSON: Expecting "),
        ("schema", {"meta": "[]"}, "The frame's meta is [] (list), but must be an object."),
        ("field", {"labels": "["}, "Field 'x': labels is no JSON: Expecting value"),
        ("field", {"labels": "[]"}, "Field 'x': labels is [] (list), but must be an object."),
        ("field", {"labels": '{"a":1}'}, "Label 'a' of field 'x' is 1 (int), but must be a string"),
        ("field", {"config": '{"decimals":-1}'}, "Field 'x': config.decimals is -1 (int), but must be a whole number"),
    ],
)
def test_broken_metadata_is_refused_with_its_place(where: str, metadata: dict[str, str], message: str) -> None:
    field = pa.field("x", pa.int64(), metadata=metadata if where == "field" else None)
    table = pa.table([pa.array([1])], pa.schema([field], metadata=metadata if where == "schema" else None))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)

    for read in (lambda: decode_frame(sink.getvalue().to_pybytes()), lambda: encode_frame(table)):
        with pytest.raises(FrameError) as caught:
            read()
        assert str(caught.value).startswith(message)
