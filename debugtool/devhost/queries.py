"""The body of a query request, read as Grafana reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from debugtool.devhost.datasources import DataSource
from debugtool.devhost.timerange import BadTime, TimeRange, parse_range

if TYPE_CHECKING:
    from debugtool.plugin.proto import backend_pb2

# Source: Grafana's pkg/services/query/query.go.
DEFAULT_REF_ID = "A"
DEFAULT_MAX_DATA_POINTS = 100
DEFAULT_INTERVAL_MS = 1000


class BadQuery(Exception):
    """A query request that Grafana refuses.

    Args:
        status: HTTP status.
        message: Grafana's public message.
        message_id: Grafana's id of it; empty for old-style errors.
        error: More about it, for the developer.
    """

    def __init__(self, status: int, message: str, message_id: str = "", error: str = "") -> None:
        super().__init__(error or message)
        self.status = status
        self.message = message
        self.message_id = message_id
        self.error = error


@dataclass(frozen=True)
class Query:
    """One query of a request.

    Attributes:
        ref_id: Names its answer.
        query_type: Sort of query, the plugin's own; may be empty.
        max_data_points: How many points the panel can show.
        interval_ms: Time between two points, in ms.
        time_range: What to answer for.
        raw: The whole object as it was sent, with the plugin's own keys.
    """

    ref_id: str
    query_type: str
    max_data_points: int
    interval_ms: int
    time_range: TimeRange
    raw: Mapping[str, object]

    def message(self) -> backend_pb2.DataQuery:
        """Give it as the message that a plugin gets."""
        from debugtool.plugin.proto import backend_pb2

        return backend_pb2.DataQuery(
            refId=self.ref_id,
            queryType=self.query_type,
            maxDataPoints=self.max_data_points,
            intervalMS=self.interval_ms,
            timeRange=backend_pb2.TimeRange(fromEpochMS=self.time_range.from_ms, toEpochMS=self.time_range.to_ms),
            json=json.dumps(self.raw).encode(),
        )


@dataclass(frozen=True)
class Batch:
    """The queries of one request that go to one data source."""

    datasource: DataSource
    queries: tuple[Query, ...]


def parse_queries(
    body: bytes, datasources: Sequence[DataSource], *, own_ranges: bool = False, now: datetime | None = None
) -> list[Batch]:
    """Read the body of `POST /api/ds/query` or `/api/tsdb/query`.

    A query that names no data source goes to the first one, where Grafana answers 400.

    Args:
        body: JSON: `from`, `to`, `queries`.
        datasources: Those that exist.
        own_ranges: Honour a `timeRange` of each query, as Grafana does with the header `X-Query-V2: true`.
        now: What `now` means; the current time by default.

    Raises:
        BadQuery: Grafana would refuse it, and with what.

    Source:
        Grafana's pkg/api/ds_query.go, pkg/services/query/query.go and errors.go.
    """
    now = now or datetime.now(UTC)
    document = _document(body)
    start, end = document.get("from"), document.get("to")
    if not isinstance(start, str) or not isinstance(end, str):
        raise BadQuery(400, "bad request data", error="`from` and `to` are required, and are strings")
    listed = document.get("queries")
    if not isinstance(listed, list) or not listed:
        raise BadQuery(400, "No queries found", "query.noQueries")
    whole = _time_range(start, end, now)
    by_source: dict[str, tuple[DataSource, list[Query]]] = {}
    for raw in listed:
        if not isinstance(raw, dict):
            raise BadQuery(400, "bad request data", error="each query is an object")
        source = _datasource(raw, datasources)
        time_range = _own_range(raw, now) if own_ranges else None
        by_source.setdefault(source.uid, (source, []))[1].append(make_query(raw, time_range or whole))
    return [Batch(source, tuple(queries)) for source, queries in by_source.values()]


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadQuery(400, "bad request data", error=f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadQuery(400, "bad request data", error="the body is no JSON object")
    return document


def _time_range(start: str, end: str, now: datetime) -> TimeRange:
    try:
        return parse_range(start, end, now)
    except BadTime as error:
        raise BadQuery(400, "bad request data", error=str(error)) from None


def _own_range(raw: Mapping[str, object], now: datetime) -> TimeRange | None:
    own = raw.get("timeRange")
    if not isinstance(own, dict) or not isinstance(own.get("from"), str) or not isinstance(own.get("to"), str):
        return None
    return _time_range(own["from"], own["to"], now)


def make_query(raw: Mapping[str, object], time_range: TimeRange) -> Query:
    """Make a query of an object, with Grafana's defaults for what it does not say."""
    ref_id, query_type = raw.get("refId"), raw.get("queryType")
    return Query(
        ref_id=ref_id if isinstance(ref_id, str) and ref_id else DEFAULT_REF_ID,
        query_type=query_type if isinstance(query_type, str) else "",
        max_data_points=_whole(raw.get("maxDataPoints"), DEFAULT_MAX_DATA_POINTS),
        interval_ms=_whole(raw.get("intervalMs"), DEFAULT_INTERVAL_MS),
        time_range=time_range,
        raw=raw,
    )


def _whole(value: object, default: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return default
    return int(value)


def _datasource(raw: Mapping[str, object], datasources: Sequence[DataSource]) -> DataSource:
    named = raw.get("datasource")
    uid = named.get("uid") if isinstance(named, dict) else None
    number = raw.get("datasourceId")
    if not uid and not number:
        return datasources[0]
    for source in datasources:
        if source.uid == uid or (not uid and source.id == number):
            return source
    known = ", ".join(source.uid for source in datasources)
    raise BadQuery(404, "Data source not found", error=f"there is no data source {uid or number!r}; known: {known}")
