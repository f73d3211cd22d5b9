"""Log lines as a go-plugin host can read them, whatever a plugin logs."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.plugin import logs

# The host's own pattern for times: any other number of fraction digits makes the whole line plain text.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def fields_of(message: object, *arguments: object, level: int = logging.INFO, extra: Any = None) -> dict[str, Any]:
    record = logging.getLogger("some.module").makeRecord(
        "some.module", level, "file.py", 7, message, arguments, None, None, extra
    )
    return logs.HostHandler().fields(record)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(st.characters()), st.dictionaries(st.text(min_size=1), ANYTHING, max_size=4))
def test_any_record_is_one_line_the_host_can_read(message: str, extra: dict[str, Any]) -> None:
    usable = {key: value for key, value in extra.items() if key not in logs.RECORD_ATTRIBUTES}
    line = logs.to_line(fields_of(message.replace("%", "%%"), extra=usable))
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    record = json.loads(line, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert {type(record[key]) for key in ("@message", "@level", "@timestamp", "@module")} == {str}
    assert TIME.fullmatch(record["@timestamp"])


@given(st.integers(0, 200_000), st.sampled_from(["x", "\n", "\U0001f600", '"']), st.integers(0, 2000))
def test_every_line_stays_below_64_kib(length: int, character: str, keys: int) -> None:
    extra = {f"key{number}": "v" * 50 for number in range(keys)}
    line = logs.to_line(fields_of(character * length, extra={"tail": "t" * length, **extra}))
    assert len(line) < 64 * 1024
    assert json.loads(line)["@level"] == "info"


def test_what_is_cut_keeps_both_ends() -> None:
    record = json.loads(logs.to_line(fields_of("begin" + "x" * 100_000 + "end", extra={"other": 1})))
    assert re.fullmatch(r"beginx+ \[\.\.\. 95912 characters \.\.\.\] x+end", record["@message"])
    assert record["other"] == "1"


@pytest.mark.parametrize(
    ("level", "name"),
    [(1, "trace"), (9, "trace"), (10, "debug"), (20, "info"), (25, "info"), (30, "warn"), (40, "error"), (50, "error")],
)
def test_levels_have_the_host_s_names(level: int, name: str) -> None:
    assert fields_of("x", level=level)["@level"] == name


def test_extra_fields_become_keys_and_never_the_host_s_own() -> None:
    fields = fields_of("hello %s", "you", extra={"count": 3, "@message": 5, "@": 6, "@@level": None})
    assert (fields["@message"], fields["@level"], fields["count"]) == ("hello you", "info", 3)
    assert (fields["message"], fields["_"], fields["level"]) == (5, 6, None)


def test_a_message_that_is_no_text_is_sent_as_text() -> None:
    assert fields_of(12345)["@message"] == "12345"


def test_a_traceback_is_one_key_of_the_record() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.getLogger().makeRecord("m", 40, "f.py", 1, "failed", (), sys.exc_info())
    fields = logs.HostHandler().fields(record)
    assert fields["traceback"].endswith("ValueError: first\nsecond")
    assert fields["@message"] == "failed"


def test_times_have_six_digits_even_when_they_are_zeros() -> None:
    assert logs.timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert logs.timestamp(1.5) == "1970-01-01T00:00:01.500000Z"


def test_a_list_that_contains_itself_is_logged_all_the_same() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert json.loads(logs.to_line(fields_of("x", extra={"endless": endless})))["endless"] == "[[...]]"


def test_a_value_that_cannot_be_written_costs_its_record_and_nobody_an_exception(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError("no text")

    logger = logging.Logger("careless")
    logger.addHandler(logs.HostHandler())
    logger.info("fine", extra={"value": Unprintable()})
    logger.info("%s", Unprintable())
    logger.info("%d", "no number")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["@level"] for line in lines] == ["error"] * 3
    assert "cannot be formatted: 'fine'" in lines[0]["@message"]
    assert "ValueError: no text" in lines[1]["traceback"]
    assert "TypeError" in lines[2]["traceback"]
