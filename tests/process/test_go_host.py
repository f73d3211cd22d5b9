"""Plugins under the genuine host: every call of Grafana's SDK, and frames read by the SDK's own reader."""

from __future__ import annotations

import json
from typing import Any

from gohost_driver import Answer, GoHost, StartGoHost, from_base64, json_bytes, queries, query

CONTEXT: Answer = {
    "orgId": "7",
    "pluginId": "sample",
    "pluginVersion": "1.2.3",
    "user": {"login": "ada", "name": "Ada", "email": "ada@example.org", "role": "Admin"},
    "dataSourceInstanceSettings": {
        "id": "3",
        "uid": "uid-3",
        "name": "Sample",
        "url": "http://example.org",
        "jsonData": json_bytes({"region": "north"}),
        "decryptedSecureJsonData": {"password": "secret"},
        "lastUpdatedMS": "1700000000123",
    },
    "grafanaConfig": {"GF_APP_URL": "http://localhost:3000"},
    "userAgent": "Grafana/12.4.0 (linux; amd64)",
    "apiVersion": "v0alpha1",
    "namespace": "default",
}


def body(answer: Answer, ref_id: str = "A") -> Answer:
    response: Answer = answer["reply"]["responses"][ref_id]
    return response


def resource(host: GoHost, path: str, **request: Any) -> Answer:
    return host.good("CallResource", {"pluginContext": {}, "path": path, "method": "GET", "url": path, **request})


def test_it_starts_answers_its_health_and_stops(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    assert (host.start["network"], host.start["version"]) == ("unix", 2)
    host.good("ping")
    health = host.good("CheckHealth", {"pluginContext": CONTEXT})["reply"]
    assert (health["status"], health["message"]) == ("OK", "sample is healthy")
    assert json.loads(from_base64(health["jsonDetails"]))["pid"] == host.pid
    metrics = host.good("CollectMetrics")["reply"]["metrics"]["prometheus"]
    assert b"sample_up 1" in from_base64(metrics)
    killed = host.good("kill")
    assert (killed["exited"], killed["exit_code"]) == (True, 0)
    assert killed["kill_ms"] < 1900  # after 2 s it would have been SIGKILL
    host.wait_message("sample closed")


def test_queries_are_answered_with_frames_the_sdk_reads(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    answer = host.good("QueryData", {"pluginContext": CONTEXT, "queries": [query("A", rows=2), query("B", rows=0)]})
    (frame,) = answer["frames"]["A"]
    assert frame["schema"]["refId"] == "A"  # filled in by the runtime
    assert [field["type"] for field in frame["schema"]["fields"]] == ["time", "number"]
    assert frame["data"]["values"] == [[0, 1000], [0, 1]]
    assert answer["frames"]["B"][0]["data"]["values"] == [[], []]
    assert (body(answer, "A")["status"], body(answer, "A")["error"]) == (200, "")


def test_one_query_fails_with_its_status_and_source_and_the_others_do_not(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    answer = host.good("QueryData", queries(query("A"), query("B", fail="no such table", status=404)))
    assert body(answer, "A")["status"] == 200
    failed = body(answer, "B")
    assert (failed["error"], failed["status"], failed["errorSource"]) == ("no such table", 404, "downstream")
    assert not any(record["@level"] == "error" for record in host.logs)


def test_an_exception_fails_every_query_and_is_one_error_line(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    crashing = {**query("B"), "json": json_bytes({"raise": "boom\nsecond line"})}
    answer = host.good("QueryData", queries(query("A"), crashing))
    for ref_id in ("A", "B"):
        failed = body(answer, ref_id)
        assert (failed["error"], failed["status"], failed["errorSource"]) == ("boom\nsecond line", 500, "plugin")
    record = host.wait_message("query_data failed: boom")
    assert record["@level"] == "error"
    assert record["traceback"].startswith("Traceback") and "RuntimeError: boom" in record["traceback"]
    assert [one["@level"] for one in host.logs].count("error") == 1


def test_a_query_that_is_no_json_object_is_refused_alone(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    broken = {**query("B"), "json": json_bytes([1, 2])}
    answer = host.good("QueryData", queries(query("A"), broken))
    assert body(answer, "A")["status"] == 200
    assert body(answer, "B")["status"] == 400
    assert "expected a JSON object" in body(answer, "B")["error"]


def test_chunked_queries_are_whole_arrow_files(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    answer = host.good("QueryChunkedData", queries(query("A", rows=2), query("B", fail="nothing there", status=503)))
    good, failed = answer["messages"]
    assert (good["refId"], good["frameId"], good["status"], good["error"]) == ("A", "0", 200, "")
    assert answer["frames"][0]["data"]["values"] == [[0, 1000], [0, 1]]
    assert (failed["refId"], failed["status"], failed["error"]) == ("B", 503, "nothing there")
    assert failed["frameId"] and answer["frames"][1]["data"]["values"] == []  # a frame all the same


def test_resources_stream(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    answer = resource(host, "stream/3")
    head, *parts = answer["messages"]
    assert (head["code"], head["headers"]["X-Many"]["values"]) == (201, ["a", "b"])
    assert [from_base64(part["body"]) for part in parts] == [b"part 0\n", b"part 1\n", b"part 2\n"]
    assert all(part["code"] == 0 and not part["headers"] for part in parts)


def test_resources_answer_bodies_json_nothing_and_errors(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    (echo,) = resource(host, "echo", method="post", body=json_bytes({"a": 1}))["messages"]
    assert (echo["code"], from_base64(echo["body"])) == (200, b'{"a": 1}')
    assert echo["headers"] == {"Content-Type": {"values": ["text/plain"]}}
    (context,) = resource(host, "context", url="context?x=1", pluginContext=CONTEXT)["messages"]
    assert json.loads(from_base64(context["body"])) == {"user": "ada", "url": "context?x=1", "org": 7}
    assert context["headers"] == {"Content-Type": {"values": ["application/json"]}}
    (empty,) = resource(host, "empty")["messages"]
    assert (empty["code"], empty["body"]) == (204, "")
    (missing,) = resource(host, "nowhere")["messages"]
    assert missing["code"] == 404
    (failed,) = resource(host, "raise")["messages"]
    assert (failed["code"], json.loads(from_base64(failed["body"]))) == (500, {"message": "resource failed"})
    assert host.wait_message("call_resource failed")["@level"] == "error"


def test_streams_are_subscribed_to_run_and_published_on(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    channel = {"pluginContext": {}, "path": "ticks"}
    subscribed = host.good("SubscribeStream", channel)["reply"]
    assert (subscribed["status"], json.loads(from_base64(subscribed["data"]))) == ("OK", {"schema": {"fields": []}})
    assert host.good("SubscribeStream", {**channel, "path": "tocks"})["reply"]["status"] == "NOT_FOUND"
    packets = host.good("RunStream", channel, max_messages=3)["messages"]
    assert [json.loads(from_base64(packet["data"])) for packet in packets] == [{"tick": 0}, {"tick": 1}, {"tick": 2}]
    assert host.wait_message("stream ended")["ticks"] >= 3  # the handler saw its last subscriber go
    published = host.good("PublishStream", {**channel, "data": json_bytes({"x": 1})})["reply"]
    assert (published["status"], json.loads(from_base64(published["data"]))) == ("OK", {"x": 1})
    refused = host.good("PublishStream", {**channel, "data": json_bytes({"secret": 1})})["reply"]
    assert refused["status"] == "PERMISSION_DENIED"
    broken = host.call("PublishStream", {**channel, "data": json_bytes([1])})
    assert (broken["ok"], broken["code"]) == (False, "Unknown")


def test_admission_and_conversion(start_go_host: StartGoHost) -> None:
    host = start_go_host("sample_plugin.py")
    kind = {"group": "g", "version": "v1", "kind": "K"}
    wanted = {"pluginContext": {}, "kind": kind, "objectBytes": json_bytes({"spec": 1})}
    assert host.good("ValidateAdmission", wanted)["reply"]["allowed"] is True
    assert host.good("ValidateAdmission", {**wanted, "operation": "DELETE"})["reply"]["allowed"] is False
    mutated = host.good("MutateAdmission", wanted)["reply"]
    assert (mutated["allowed"], mutated["warnings"], mutated["objectBytes"]) == (
        True,
        ["left as it was"],
        wanted["objectBytes"],
    )
    objects = [{"raw": json_bytes({"a": 1}), "contentType": "application/json"}]
    request = {"pluginContext": {}, "uid": "u1", "objects": objects, "targetVersion": {"group": "g", "version": "v2"}}
    converted = host.good("ConvertObjects", request)["reply"]
    assert (converted["uid"], converted["objects"]) == ("u1", objects)


def test_a_plugin_with_no_methods_serves_what_the_go_sdk_serves(start_go_host: StartGoHost) -> None:
    host = start_go_host("bare_plugin.py")
    assert host.good("CheckHealth", {"pluginContext": {}})["reply"]["status"] == "OK"
    assert host.good("CollectMetrics")["reply"]["metrics"] is None
    for name in ("QueryData", "QueryChunkedData", "CallResource", "SubscribeStream", "RunStream", "ValidateAdmission"):
        assert host.call(name, {"pluginContext": {}})["code"] == "Unimplemented", name


def test_async_handlers_serve_everything_too(start_go_host: StartGoHost) -> None:
    host = start_go_host("async_plugin.py")
    answer = host.good("QueryData", {"pluginContext": CONTEXT, "queries": [query("A")]})
    assert answer["frames"]["A"][0]["data"]["values"] == [["Sample"], ["north"], ["secret"]]
    chunks = host.good("QueryChunkedData", queries(query("A"), query("B")))
    assert [(chunk["refId"], chunk["frameId"]) for chunk in chunks["messages"]] == [
        ("A", "part-0"), ("A", "part-1"), ("B", "part-0"), ("B", "part-1"),
    ]  # fmt: skip
    assert [frame["schema"]["refId"] for frame in chunks["frames"]] == ["A", "A", "B", "B"]
    assert host.good("CheckHealth", {"pluginContext": {}})["reply"]["status"] == "ERROR"
    head, part = resource(host, "parts")["messages"]
    assert (head["code"], from_base64(head["body"]), from_base64(part["body"])) == (200, b"first", b"second")
    packets = host.good("RunStream", {"pluginContext": {}, "path": "ticks"})["messages"]
    assert [json.loads(from_base64(packet["data"]))["data"]["values"] for packet in packets] == [[[0]], [[1]]]
    # A cancelled call is a CancelledError in the handler.
    waiting = host.call("QueryData", queries(query("A", sleep_s=60)), cancel_after_ms=300)
    assert waiting["code"] == "Canceled"
    host.wait_message("async query cancelled")


def test_the_context_reaches_the_handler_whole(start_go_host: StartGoHost) -> None:
    host = start_go_host("context_plugin.py")
    request = {
        "pluginContext": CONTEXT,
        "headers": {"http_X-Panel-Id": "4", "FromAlert": "true"},
        "queries": [query("A", own="key")],
    }
    metadata = {"loggerparamsctxmetadata": "traceID:::abc:::def", "traceparent": "00-1-2-01"}
    answer = host.good("QueryData", request, metadata=metadata, timeout_ms=20_000)
    (frame,) = answer["frames"]["A"]
    seen = json.loads(frame["data"]["values"][0][0])
    assert seen["context"] == {
        "org_id": 7,
        "plugin_id": "sample",
        "plugin_version": "1.2.3",
        "user": ["ada", "Ada", "ada@example.org", "Admin"],
        "app": None,
        "grafana_config": {"GF_APP_URL": "http://localhost:3000"},
        "user_agent": "Grafana/12.4.0 (linux; amd64)",
        "api_version": "v0alpha1",
        "namespace": "default",
        "logger_params": {"traceID": "abc:::def"},
        "traceparent": "00-1-2-01",
        "panel": "4",
        "from_alert": "true",
    }
    assert seen["data_source"] == [3, "uid-3", "Sample", "http://example.org", {"region": "north"}, "secret"]
    assert 0 < seen["remaining_s"] <= 20
    assert seen["time_range"] == ["1970-01-01T00:00:00+00:00", "1970-01-01T00:01:30+00:00"]
    assert seen["query"] == ["A", 100, 1.0, "", {"own": "key"}]
    assert not seen["secret_shown"]
    without_deadline = host.good("QueryData", queries(query("A")))
    assert json.loads(without_deadline["frames"]["A"][0]["data"]["values"][0][0])["remaining_s"] is None
