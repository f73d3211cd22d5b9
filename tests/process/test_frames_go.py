"""What Grafana's own SDK, compiled here, makes of our frames, and what we make of its."""

from __future__ import annotations

import base64
import json
import math
import select
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frame_examples import EVERYTHING, VALUES, frames
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from debugtool.plugin.frames import (
    Field,
    FieldConfig,
    Frame,
    FrameError,
    FrameMeta,
    decode_frame,
    encode_frame,
    frame_to_json,
)

GO_MODULE = Path(__file__).parents[1] / "gohost"
BUILD_LIMIT_S = 150
ANSWER_LIMIT_S = 20
# On a loaded machine generating is slow, which is no fault of the test.
EXAMPLES = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


class GoReader:
    """The Go program: one Arrow file in, one answer out."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def read(self, data: bytes) -> dict[str, Any]:
        """The program's answer; fails the test when it takes too long or the program has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(struct.pack(">I", len(data)) + data)
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_LIMIT_S)
        assert ready, "the Go program did not answer"
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def go_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoReader]:
    go = shutil.which("go")
    assert go is not None, "these tests need Go"
    program = tmp_path_factory.mktemp("go") / "frames"
    built = subprocess.run(
        [go, "build", "-o", str(program), "./cmd/frames"],
        cwd=GO_MODULE,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield GoReader(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(ANSWER_LIMIT_S) == 0
        finally:
            process.kill()


def exact(kind: str, value: Any) -> Any:
    """A value as the Go program names it."""
    if value is None or kind in ("string", "bool"):
        return value
    if kind == "json":
        return value if isinstance(value, bytes) else json.dumps(value)
    if kind in ("float32", "float64"):
        code, bits = ("f", "I") if kind == "float32" else ("d", "Q")
        return "nan" if math.isnan(value) else f"{struct.unpack(bits, struct.pack(code, value))[0]:x}"
    return str(value)


def seen(kind: str, value: Any) -> Any:
    """A value of the Go program's answer, comparable with `exact`."""
    if value is not None and kind == "json":
        return base64.b64decode(value)
    if value is not None and kind in ("float32", "float64"):
        code, bits = ("f", "I") if kind == "float32" else ("d", "Q")
        return "nan" if math.isnan(struct.unpack(code, struct.pack(bits, int(value, 16)))[0]) else value
    return value


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers as doubles where either is one: Go writes 1e20 as an integer."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float | int) and isinstance(other, float | int):
        return one == other or (float in (type(one), type(other)) and float(one) == float(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def as_sent(options: FieldConfig | FrameMeta | None) -> Any:
    """The JSON of a config or meta after one way over the wire: null for NaN is then left out."""
    return None if options is None else type(options).from_json(options.to_json()).to_json()


def same_frame(one: Frame, other: Frame) -> bool:
    """Whether two decoded frames are equal, values to the bit (by repr, which knows NaN and -0.0)."""

    def head(frame: Frame) -> list[Any]:
        return [frame.name, frame.ref_id, as_sent(frame.meta)]

    def columns(frame: Frame) -> list[list[Any]]:
        return [
            [repr((field.name, field.type, field.nullable, field.values)), field.labels, as_sent(field.config)]
            for field in frame.fields
        ]

    return same_json([head(one), columns(one)], [head(other), columns(other)])


@EXAMPLES
@given(frame=frames())
@example(frame=EVERYTHING)
def test_go_sees_every_frame_exactly_as_it_was_meant(go_reader: GoReader, frame: Frame) -> None:
    answer = go_reader.read(encode_frame(frame))

    assert "error" not in answer, answer
    assert (answer["name"], answer["refId"]) == (frame.name, frame.ref_id)
    assert same_json(answer["meta"], as_sent(frame.meta))
    assert len(answer["fields"] or []) == len(frame.fields)
    for field, dump in zip(frame.fields, answer["fields"] or [], strict=True):
        assert field.type is not None
        assert dump["name"] == field.name
        assert dump["type"] == {"time": "time.Time", "json": "json.RawMessage"}.get(field.type, field.type)
        assert dump["nullable"] == (None in field.values if field.nullable is None else field.nullable)
        assert (dump["labels"] or {}) == field.labels
        assert same_json(dump["config"], as_sent(field.config))
        found = [seen(field.type, value) for value in dump["values"]]
        for cell, value in zip(found, field.values, strict=True):
            wanted = exact(field.type, value)
            if isinstance(wanted, str) and field.type == "json":
                assert same_json(json.loads(wanted), json.loads(cell))
            else:
                assert cell == wanted


@EXAMPLES
@given(frame=frames())
@example(frame=EVERYTHING)
def test_our_json_is_the_json_of_the_sdk(go_reader: GoReader, frame: Frame) -> None:
    encoded = encode_frame(frame)

    theirs = go_reader.read(encoded)["json"]

    assert same_json(frame_to_json(decode_frame(encoded)), theirs)


@EXAMPLES
@given(frame=frames())
@example(frame=EVERYTHING)
def test_a_frame_that_go_has_written_is_the_frame_we_sent(go_reader: GoReader, frame: Frame) -> None:
    encoded = encode_frame(frame)

    written_by_go = base64.b64decode(go_reader.read(encoded)["arrow"])

    assert same_frame(decode_frame(written_by_go), decode_frame(encoded))


@EXAMPLES
@given(frame=frames())
@example(frame=EVERYTHING)
def test_decoding_and_encoding_again_changes_nothing(frame: Frame) -> None:
    decoded = decode_frame(encode_frame(frame))

    assert same_frame(decode_frame(encode_frame(decoded)), decoded)


DTYPES: dict[str, Any] = {"string": np.dtypes.StrDType, "bool": np.bool_}


def as_numpy(values: list[Any], kind: str) -> Any:
    return np.array(values, DTYPES.get(kind, kind))


CONTAINERS: dict[str, Callable[[list[Any], str], Any]] = {
    "list": lambda values, kind: values,
    "tuple": lambda values, kind: tuple(values),
    "generator": lambda values, kind: iter(values),
    "list of numpy scalars": lambda values, kind: list(as_numpy(values, kind)),
    "numpy": as_numpy,
    "numpy, big-endian": lambda values, kind: as_numpy(values, kind).astype(
        as_numpy(values, kind).dtype.newbyteorder(">")
    ),
    "numpy, every second": lambda values, kind: np.repeat(as_numpy(values, kind), 2)[::2],
    "numpy, masked": lambda values, kind: np.ma.MaskedArray(as_numpy(values, kind), mask=False),
    "pandas": lambda values, kind: pd.Series(values),
    "pandas index": lambda values, kind: pd.Index(values),
    "arrow": lambda values, kind: pa.array(as_numpy(values, kind)),
    "arrow, chunked": lambda values, kind: pa.chunked_array([as_numpy(values, kind)[:1], as_numpy(values, kind)[1:]]),
    "arrow, dictionary": lambda values, kind: pa.array(as_numpy(values, kind)).dictionary_encode(),
}


@settings(EXAMPLES, max_examples=12)
@pytest.mark.parametrize("container", CONTAINERS)
@given(kind=st.sampled_from(["int64", "uint64", "float64", "string", "bool"]), draw=st.data())
def test_go_sees_the_same_whatever_the_values_come_in(
    go_reader: GoReader, container: str, kind: str, draw: st.DataObject
) -> None:
    values = draw.draw(st.lists(VALUES[kind], min_size=1, max_size=9))
    if kind == "uint64":
        values.append(2**64 - 1)
    if container.startswith("pandas"):  # where NaN is a null
        values = [0.5 if value != value else value for value in values]
    if kind == "string":  # numpy's strings end at their first null character
        values = [value.replace("\0", "0") for value in values]

    answer = go_reader.read(
        encode_frame(Frame(fields=[Field("x", CONTAINERS[container](values, kind), nullable=False)]))
    )

    assert (answer["fields"][0]["type"], answer["fields"][0]["nullable"]) == (kind, False)
    assert [seen(kind, value) for value in answer["fields"][0]["values"]] == [exact(kind, value) for value in values]


REJECTED = {
    "large_string": pa.array(["a"], pa.large_string()),
    "large_binary": pa.array([b"a"], pa.large_binary()),
    "date32": pa.array([1], pa.date32()),
    "time64": pa.array([1], pa.time64("ns")),
    "decimal": pa.array([1], pa.decimal128(5, 2)),
    "duration": pa.array([1], pa.duration("s")),
    "float16": pa.array([np.float16(1)], pa.float16()),
    "list": pa.array([[1]]),
    "struct": pa.array([{"a": 1}]),
    "dictionary": pa.array(["a"]).dictionary_encode(),
    "null": pa.nulls(1),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_what_the_sdk_rejects_decode_frame_rejects_and_encode_frame_does_not_send(
    go_reader: GoReader, kind: str
) -> None:
    raw = arrow_file(pa.table({"x": REJECTED[kind]}))

    assert go_reader.read(raw)["error"]
    with pytest.raises(FrameError, match=r"^Field 'x' is of Arrow type .*, which Grafana rejects\.$"):
        decode_frame(raw)

    if kind in ("time64", "duration", "large_binary"):
        with pytest.raises(FrameError, match=r"^Field 'x'"):
            encode_frame(pa.table({"x": REJECTED[kind]}))
    else:
        assert "error" not in go_reader.read(encode_frame(pa.table({"x": REJECTED[kind]})))


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"t": pa.array([1, None], pa.timestamp("ms", "Europe/Paris"))}),
        pa.table([pa.array([1, None], pa.timestamp("s"))], pa.schema([pa.field("t", pa.timestamp("s"), False)])),
        pa.table([pa.array([1, None])], pa.schema([pa.field("x", pa.int64(), False)])),
        pa.table([pa.array(["a", None])], pa.schema([pa.field("x", pa.string(), False)])),
        pa.table([pa.array([True, None])], pa.schema([pa.field("x", pa.bool_(), False)])),
        pa.table({"x": pa.array(["a", "b"], pa.string_view())}),
        pa.table({"x": pa.chunked_array([[1], [2, 3]])}),
        pa.table({}),
    ],
    ids=str,
)
def test_what_other_writers_send_is_read_as_the_sdk_reads_it(go_reader: GoReader, table: pa.Table) -> None:
    raw = arrow_file(table)

    assert same_json(frame_to_json(decode_frame(raw)), go_reader.read(raw)["json"])


@pytest.mark.parametrize("data", [b"", b"garbage", b"ARROW1\0\0" + b"\xff" * 40])
def test_what_is_no_arrow_file_is_refused_and_go_goes_on(go_reader: GoReader, data: bytes) -> None:
    assert go_reader.read(data)["error"]
    with pytest.raises(FrameError, match=f"^These {len(data)} bytes are no Arrow IPC file: "):
        decode_frame(data)
    assert "error" not in go_reader.read(encode_frame({"x": [1]}))


def test_the_stream_format_is_refused_by_both(go_reader: GoReader) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"x": [1]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()

    assert go_reader.read(data)["error"]
    with pytest.raises(FrameError, match="are no Arrow IPC file"):
        decode_frame(data)


def arrow_file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
