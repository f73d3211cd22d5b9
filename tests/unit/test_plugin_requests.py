"""What handlers are given, made from the host's messages."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugtool import plugin
from debugtool.plugin import convert
from debugtool.plugin.proto import backend_pb2 as pb


def context(
    message: pb.PluginContext | None = None, *, remaining_s: float | None = None, headers: dict[str, str] | None = None
) -> plugin.Context:
    return convert.context_of(message or pb.PluginContext(), headers or {}, [], remaining_s)


def test_a_context_without_anything() -> None:
    bare = context()
    assert (bare.user, bare.app, bare.data_source, bare.deadline, bare.remaining_s) == (None, None, None, None, None)
    assert not bare.is_cancelled


def test_an_app_s_settings() -> None:
    message = pb.PluginContext()
    message.appInstanceSettings.jsonData = b'{"a": [1]}'
    message.appInstanceSettings.decryptedSecureJsonData["key"] = "hush"
    message.appInstanceSettings.lastUpdatedMS = 1_700_000_000_123
    app = context(message).app
    assert app is not None
    assert (app.json_data, app.secure_json_data, app.updated_at_ms) == ({"a": [1]}, {"key": "hush"}, 1_700_000_000_123)
    assert app.json_data is app.json_data  # read once
    assert "hush" not in repr(app)


def test_settings_that_are_no_object_fail_where_they_are_read() -> None:
    message = pb.PluginContext()
    message.dataSourceInstanceSettings.jsonData = b"[]"
    source = context(message).data_source
    assert source is not None
    with pytest.raises(ValueError, match="expected a JSON object, found list"):
        _ = source.json_data


def test_deadlines() -> None:
    soon = context(remaining_s=5.0)
    assert soon.deadline is not None and soon.remaining_s is not None
    assert 4 < soon.remaining_s <= 5 and soon.deadline > time.monotonic()
    assert context(remaining_s=0.0).remaining_s == 0
    assert context(remaining_s=9e9).remaining_s is None  # how gRPC says that there is none
    assert context(remaining_s=float("inf")).remaining_s is None


@pytest.mark.parametrize("name", ["X-Panel-Id", "x-panel-id", "X-PANEL-ID"])
def test_headers_are_found_with_and_without_grafana_s_prefix(name: str) -> None:
    assert context(headers={"http_X-Panel-Id": "4"}).header(name) == "4"
    assert context(headers={"x-panel-id": "5"}).header(name) == "5"
    assert context(headers={"Authorization": "x"}).header(name) is None


def test_logger_params_can_always_be_logged() -> None:
    """The host may call one `name` or `message`, which logging keeps for itself."""
    metadata = [("loggerparamsctxmetadata", f"{name}:::v") for name in ("name", "message", "traceID", "bare")]
    found = convert.context_of(pb.PluginContext(), {}, [*metadata, ("x-bin", b"\0")], None)
    assert found.logger_params == {"name_": "v", "message_": "v", "traceID": "v", "bare": "v"}
    logging.getLogger("test").debug("works", extra=found.logger_params)
    assert "x-bin" not in found.metadata


@given(st.integers(-62135596800000, 253402300799999), st.integers(0, 10**6))
def test_times_are_exact_to_the_millisecond(start_ms: int, length_ms: int) -> None:
    end_ms = min(start_ms + length_ms, 253402300799999)
    found = convert.time_range(pb.TimeRange(fromEpochMS=start_ms, toEpochMS=end_ms))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert (found.start - epoch) // timedelta(milliseconds=1) == start_ms
    assert found.duration == timedelta(milliseconds=end_ms - start_ms)
    assert found.end.utcoffset() == timedelta(0)


def test_a_query_without_json_is_an_empty_object() -> None:
    found = convert.query(pb.DataQuery(refId="A", maxDataPoints=10, intervalMS=1500, queryType="t"))
    assert (found.ref_id, found.json, found.max_data_points) == ("A", {}, 10)
    assert (found.interval, found.query_type) == (timedelta(seconds=1.5), "t")


def test_resource_requests() -> None:
    message = pb.CallResourceRequest(path="/a/b", method="post", url="a/b?c=1", body=b'{"x": 1}')
    message.headers["Accept"].values.extend(["text/csv", "*/*"])
    found = convert.resource_request(message)
    assert (found.path, found.method, found.url, found.json()) == ("a/b", "POST", "a/b?c=1", {"x": 1})
    assert found.headers == {"Accept": ("text/csv", "*/*")}


def test_frames_are_named_in_the_package_and_nothing_else_is() -> None:
    assert plugin.Frame.from_dict({"a": [1]}).fields[0] == plugin.Field("a", [1])
    with pytest.raises(AttributeError, match="no attribute 'Framee'"):
        plugin.Framee  # type: ignore[attr-defined]  # noqa: B018 - on purpose
    assert all(hasattr(plugin, name) for name in plugin.__all__)


def test_an_error_source_must_be_one_of_the_two() -> None:
    assert plugin.QueryError("x", source="downstream").source is plugin.ErrorSource.DOWNSTREAM
    with pytest.raises(ValueError, match="somebody"):
        plugin.QueryError("x", source="somebody")
