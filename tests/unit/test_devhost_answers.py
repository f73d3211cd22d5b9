"""Grafana's answers, made of what a plugin said."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from debugtool.devhost.answers import health_answer, query_failure, results_answer, tsdb_answer
from debugtool.devhost.calls import CallFailed, Health
from debugtool.devhost.context import call_headers, end_to_end, plugin_context
from debugtool.devhost.datasources import DataSource
from debugtool.devhost.tables import result_lines
from debugtool.manifest import Manifest
from debugtool.plugin.frames import Field, FieldConfig, Frame, encode_frame
from debugtool.plugin.proto import backend_pb2

TIMES = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(2)]
START_MS = 1767225600000


def response(*frames: object, **fields: object) -> backend_pb2.DataResponse:
    return backend_pb2.DataResponse(frames=[encode_frame(frame) for frame in frames], **fields)  # type: ignore[arg-type]  # protobuf fields


def test_a_frame_without_a_ref_id_gets_its_querys() -> None:
    _, document = results_answer({"Q": response({"a": [1]}, status=200)})

    assert document["results"]["Q"]["frames"][0]["schema"]["refId"] == "Q"


@pytest.mark.parametrize(("said", "shown"), [(0, 500), (99, 500), (600, 500), (-1, 500), (100, 100), (599, 599)])
def test_a_status_that_is_none_is_500(said: int, shown: int) -> None:
    _, document = results_answer({"A": response(status=said)})

    assert document == {"results": {"A": {"status": shown, "frames": []}}}


def test_json_frames_are_taken_as_they_are() -> None:
    frame = {"schema": {"name": "j", "fields": []}, "data": {"values": []}}
    answer = backend_pb2.DataResponse(frames=[json.dumps(frame).encode()], format=backend_pb2.JSON, status=200)

    _, document = results_answer({"A": answer})

    assert document["results"]["A"]["frames"] == [frame | {"schema": {"name": "j", "fields": [], "refId": "A"}}]


@pytest.mark.parametrize("frame", [b"", b"ARROW1 but no file", b"{"])
@pytest.mark.parametrize("kind", [backend_pb2.ARROW, backend_pb2.JSON])
def test_a_frame_that_cannot_be_decoded_fails_the_call(frame: bytes, kind: backend_pb2.DataFrameFormat) -> None:
    with pytest.raises(CallFailed, match="frame 0 of A cannot be decoded"):
        results_answer({"A": backend_pb2.DataResponse(frames=[frame], format=kind)})


@pytest.mark.parametrize(
    ("code", "status", "message_id"),
    [
        ("UNIMPLEMENTED", 404, "plugin.notImplemented"),
        ("UNAVAILABLE", 500, "plugin.connectionUnavailable"),
        ("RESOURCE_EXHAUSTED", 500, "plugin.resourceExhausted"),
        ("UNKNOWN", 500, "plugin.requestFailureError"),
    ],
)
def test_a_call_that_fails_as_a_whole(code: str, status: int, message_id: str) -> None:
    found, document = query_failure(CallFailed(code, "because"))

    assert found == document["statusCode"] == status
    assert (document["messageId"], document["error"]) == (message_id, f"{code}: because")


@pytest.mark.parametrize(
    ("health", "status", "document"),
    [
        (Health("OK", "fine"), 200, {"message": "fine", "status": "OK"}),
        (Health("ERROR", "bad"), 400, {"message": "bad", "status": "ERROR"}),
        (Health("UNKNOWN", ""), 400, {"message": "", "status": "UNKNOWN"}),
        (Health("OK", "", b'{"a": 1}'), 200, {"message": "", "status": "OK", "details": {"a": 1}}),
    ],
)
def test_health(health: Health, status: int, document: dict[str, object]) -> None:
    assert health_answer(health) == (status, document)


@pytest.mark.parametrize("details", [b"[]", b"12", b"{", b"\xff"])
def test_health_details_must_be_an_object(details: bytes) -> None:
    assert health_answer(Health("OK", "", details))[0] == 500


def test_old_series_and_tables() -> None:
    time = Field("time", TIMES)
    wide = Frame(
        "wide",
        [
            time,
            Field("cpu", [1.5, None], labels={"host": "a"}),
            Field("b", [1, 2], config=FieldConfig(display_name="B")),
        ],
    )
    table = Frame("t", [Field("name", ["x"]), Field("n", [1])])
    answer = response(wide, table, status=200, jsonMeta=b'{"custom": 1}')

    status, document = tsdb_answer({"A": answer})

    result = document["results"]["A"]
    assert status == 200 and result["refId"] == "A" and result["meta"] == {"custom": 1}
    assert result["series"] == [
        {"name": "cpu", "points": [[1.5, START_MS], [None, START_MS + 1000]], "tags": {"host": "a"}},
        {"name": "B", "points": [[1, START_MS], [2, START_MS + 1000]]},
    ]
    assert result["tables"] == [{"columns": [{"text": "name"}, {"text": "n"}], "rows": [["x", 1]]}]
    assert len(result["dataframes"]) == 2


def test_tables_of_results() -> None:
    frame = Frame("f", [Field("time", TIMES), Field("v", [1.25, None], labels={"a": "b"}), Field("s", ["x", "long"])])
    _, document = results_answer(
        {"A": response(frame, status=200), "B": response(status=200), "C": response(error="no")}
    )

    assert result_lines(document, 0) == [
        "A f: 2 rows",
        "  time                 v{a=b}  s",
        "  2026-01-01 00:00:00    1.25  x",
        "  2026-01-01 00:00:01       -  long",
        "B: no data",
    ]
    assert result_lines(document, 1)[3] == "  ... 1 more rows: --rows 0 shows all"
    empty = results_answer({"A": response(Frame("e", []), status=200)})[1]
    assert result_lines(empty, 0) == ["A e: 0 rows"]


def manifest(kind: str) -> Manifest:
    from pathlib import Path

    return Manifest(Path("/p/plugin.json"), "acme", "Acme", kind, "gpx", True, "1.2.3")


def test_the_context_of_a_call() -> None:
    source = DataSource(
        4, "u", "N", "acme", url="http://x", json_data={"a": [1]}, secure_json_data={"k": "s"}, updated_ms=5
    )

    context = plugin_context(manifest("datasource"), source)

    settings = context.dataSourceInstanceSettings
    assert (settings.id, settings.uid, settings.name, settings.url, settings.lastUpdatedMS) == (
        4,
        "u",
        "N",
        "http://x",
        5,
    )
    assert json.loads(settings.jsonData) == {"a": [1]} and dict(settings.decryptedSecureJsonData) == {"k": "s"}
    assert (context.pluginId, context.pluginVersion, context.orgId, context.user.role) == ("acme", "1.2.3", 1, "Admin")
    assert context.userAgent.startswith("Grafana/12.4.0 (") and not context.HasField("appInstanceSettings")


def test_an_app_gets_app_settings_and_a_data_source_without_one_gets_none() -> None:
    app, bare = plugin_context(manifest("app"), None), plugin_context(manifest("datasource"), None)

    assert app.HasField("appInstanceSettings") and not app.HasField("dataSourceInstanceSettings")
    assert not bare.HasField("appInstanceSettings") and not bare.HasField("dataSourceInstanceSettings")


def test_headers_of_queries() -> None:
    assert call_headers({"x-panel-id": "7", "X-DASHBOARD-UID": "d", "Accept": "*/*", "Cookie": "c"}) == {
        "http_X-Panel-Id": "7",
        "http_X-Dashboard-Uid": "d",
    }


def test_headers_of_one_connection_are_dropped() -> None:
    sent = [
        ("Connection", "close, X-Mine"),
        ("x-mine", "1"),
        ("Keep-Alive", "1"),
        ("USER-AGENT", "curl"),
        ("Set-Cookie", "a=b"),
        ("Accept", "a"),
        ("Accept", "b"),
    ]

    assert end_to_end(sent) == {"Accept": ["a", "b"]}
