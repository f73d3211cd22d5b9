"""The body of a query request: Grafana's defaults and refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool.devhost.datasources import DataSource
from debugtool.devhost.queries import BadQuery, Query, make_query, parse_queries
from debugtool.devhost.timerange import TimeRange

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SOURCES = (DataSource(1, "one", "One", "acme"), DataSource(2, "two", "Two", "acme"))


def parse(*queries: object, own_ranges: bool = False) -> list[tuple[str, tuple[Query, ...]]]:
    body = json.dumps({"from": "now-1h", "to": "now", "queries": queries}).encode()
    return [
        (batch.datasource.uid, batch.queries) for batch in parse_queries(body, SOURCES, own_ranges=own_ranges, now=NOW)
    ]


def test_defaults() -> None:
    ((uid, (query,)),) = parse({})

    to_ms = int(NOW.timestamp() * 1000)
    assert uid == "one"
    assert query == Query("A", "", 100, 1000, TimeRange(to_ms - 3_600_000, to_ms), {})


def test_the_object_is_handed_on_as_it_was_sent() -> None:
    sent = {"refId": "Q", "maxDataPoints": 7, "intervalMs": 250.9, "queryType": "logs", "own": {"Ü": [1, 2.5, None]}}

    ((_, (query,)),) = parse(sent)
    message = query.message()

    assert json.loads(message.json) == sent
    assert (message.refId, message.maxDataPoints, message.intervalMS, message.queryType) == ("Q", 7, 250, "logs")
    assert message.timeRange.toEpochMS - message.timeRange.fromEpochMS == 3_600_000


def test_queries_are_grouped_by_data_source() -> None:
    found = parse(
        {"refId": "A", "datasource": {"uid": "two", "type": "acme"}},
        {"refId": "B", "datasourceId": 1},
        {"refId": "C", "datasourceId": 2},
        {"refId": "D", "datasource": {"uid": "one"}, "datasourceId": 99},  # the uid wins
        {"refId": "E", "datasource": None},
    )

    assert [(uid, [query.ref_id for query in queries]) for uid, queries in found] == [
        ("two", ["A", "C"]),
        ("one", ["B", "D", "E"]),
    ]


def test_own_time_ranges_count_only_when_asked_for() -> None:
    query = {"timeRange": {"from": "1", "to": "2"}}

    assert parse(query, own_ranges=True)[0][1][0].time_range == TimeRange(1, 2)
    assert parse(query)[0][1][0].time_range != TimeRange(1, 2)
    assert parse({"timeRange": {"from": 1}}, own_ranges=True) == [("one", parse({"timeRange": {"from": 1}})[0][1])]


@pytest.mark.parametrize("value", [None, True, "12", [], 1e300, float("inf")])
def test_numbers_that_are_none_take_the_default(value: object) -> None:
    query = make_query(
        {"maxDataPoints": value, "intervalMs": value, "refId": value and 3, "queryType": 4}, TimeRange(0, 1)
    )

    assert (query.ref_id, query.query_type, query.max_data_points, query.interval_ms) == ("A", "", 100, 1000)


@pytest.mark.parametrize(
    ("body", "status", "message_id", "error"),
    [
        (b"\xff", 400, "", "the body is not JSON"),
        (b"[" * 100_000, 400, "", "the body is not JSON"),
        (b"12", 400, "", "no JSON object"),
        (b'{"to": "now", "queries": [{}]}', 400, "", "`from` and `to` are required"),
        (b'{"from": "now-1x", "to": "now", "queries": [{}]}', 400, "", "'now-1x' is no time"),
        (b'{"from": "1", "to": "2"}', 400, "query.noQueries", "No queries found"),
        (b'{"from": "1", "to": "2", "queries": {}}', 400, "query.noQueries", "No queries found"),
        (b'{"from": "1", "to": "2", "queries": ["A"]}', 400, "", "each query is an object"),
        (b'{"from": "1", "to": "2", "queries": [{"datasource": {"uid": "x"}}]}', 404, "", "known: one, two"),
        (b'{"from": "1", "to": "2", "queries": [{"datasourceId": 3}]}', 404, "", "no data source 3"),
    ],
)
def test_refusals(body: bytes, status: int, message_id: str, error: str) -> None:
    with pytest.raises(BadQuery) as refused:
        parse_queries(body, SOURCES)

    assert (refused.value.status, refused.value.message_id) == (status, message_id)
    assert error in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["refId", "maxDataPoints", "intervalMs", "queryType", "datasource", "datasourceId", "timeRange"])


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=4), max_size=3))
def test_any_query_is_read_or_refused(queries: list[dict[str, object]]) -> None:
    body = json.dumps({"from": "1", "to": "2", "queries": queries}).encode()
    try:
        batches = parse_queries(body, SOURCES, own_ranges=True)
    except BadQuery as refused:
        assert refused.status in (400, 404)
    else:
        assert sum(len(batch.queries) for batch in batches) == len(queries)
        assert all(query.message().refId for batch in batches for query in batch.queries)
