"""The HTTP API of `debugtool run` over loopback, in front of a real plugin."""

from __future__ import annotations

import base64
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devhost_host import PLUGIN_ID, RunningHost, call, call_json, make_project, run_target, running_host

from debugtool.plugin.frames import decode_frame

PROVISIONING = """
apiVersion: 1
datasources:
  - name: Second
    type: acme-sample-datasource
  - name: First
    type: acme-sample-datasource
    uid: first
    isDefault: true
    url: http://backend:1234
    jsonData: {region: $REGION}
    secureJsonData: {apiKey: "se$$cret"}
  - name: Somebody else's
    type: prometheus
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    project = tmp_path_factory.mktemp("project")
    make_project(project, run_target("sample_plugin.py"))
    with running_host(project) as running:
        assert running.url
        yield running


@pytest.fixture
def base(host: RunningHost) -> str:
    return f"{host.url}/api/datasources/uid/{PLUGIN_ID}"


def query(host: RunningHost, *queries: object, path: str = "ds", **options: str) -> tuple[int, dict[str, object]]:
    status, answer = call_json(
        f"{host.url}/api/{path}/query", {"from": "1000", "to": "5000", "queries": queries}, headers=options
    )
    assert isinstance(answer, dict)
    return status, answer


def test_a_query(host: RunningHost) -> None:
    status, answer = query(host, {"refId": "Z", "rows": 2, "datasource": {"uid": PLUGIN_ID, "type": PLUGIN_ID}})

    assert status == 200
    assert answer == {
        "results": {
            "Z": {
                "status": 200,
                "frames": [
                    {
                        "schema": {
                            "refId": "Z",
                            "fields": [
                                {"name": "time", "type": "time", "typeInfo": {"frame": "time.Time"}},
                                {"name": "value", "type": "number", "typeInfo": {"frame": "float64"}},
                            ],
                        },
                        "data": {"values": [[1000, 2000], [0.0, 1.0]]},
                    }
                ],
            }
        }
    }


def test_one_query_that_fails_makes_it_400_with_all_results(host: RunningHost) -> None:
    status, answer = query(host, {"refId": "A", "rows": 1}, {"refId": "B", "fail": "no such table", "status": 502})

    results = answer["results"]
    assert status == 400 and isinstance(results, dict)
    assert results["A"]["status"] == 200 and len(results["A"]["frames"]) == 1
    assert results["B"] == {"error": "no such table", "errorSource": "downstream", "status": 502, "frames": []}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "bad request data"),
        (b"[]", 400, "bad request data"),
        ({"queries": [{}]}, 400, "bad request data"),
        ({"from": 1, "to": 2, "queries": [{}]}, 400, "bad request data"),
        ({"from": "yesterday", "to": "now", "queries": [{}]}, 400, "bad request data"),
        ({"from": "1", "to": "2", "queries": []}, 400, "No queries found"),
        ({"from": "1", "to": "2", "queries": [{"datasource": {"uid": "other"}}]}, 404, "Data source not found"),
        ({"from": "1", "to": "2", "queries": [{"datasourceId": 99}]}, 404, "Data source not found"),
    ],
)
def test_requests_that_grafana_refuses(host: RunningHost, body: object, status: int, message: str) -> None:
    found, answer = call_json(f"{host.url}/api/ds/query", body)

    assert (found, answer["message"]) == (status, message)


def test_each_query_may_have_its_own_time_range(host: RunningHost) -> None:
    own = {"refId": "A", "rows": 1, "timeRange": {"from": "7000", "to": "8000"}}

    with_header = query(host, own, **{"X-Query-V2": "true"})
    without = query(host, own)

    assert [json.dumps(answer).count("[7000]") for _, answer in (with_header, without)] == [1, 0]


def test_the_tutorials_old_query(host: RunningHost) -> None:
    status, answer = query(host, {"refId": "A", "datasourceId": 1, "rows": 2}, path="tsdb")
    failed, failure = query(host, {"refId": "A", "fail": "no"}, path="tsdb")

    results, failures = answer["results"], failure["results"]
    assert status == 200 and isinstance(results, dict) and isinstance(failures, dict)
    (encoded,) = results["A"].pop("dataframes")
    assert results["A"] == {
        "refId": "A",
        "series": [{"name": "value", "points": [[0.0, 1000], [1.0, 2000]]}],
        "tables": [],
    }
    assert [field.name for field in decode_frame(base64.b64decode(encoded)).fields] == ["time", "value"]
    assert (failed, failure["message"], failures["A"]["error"]) == (400, "no", "no")


def test_queries_run_at_the_same_time(host: RunningHost) -> None:
    begin = time.monotonic()
    threads = [threading.Thread(target=query, args=(host, {"sleep_s": 1.0})) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert time.monotonic() - begin < 5  # one after the other they take eight


def test_a_client_that_goes_away_cancels_its_query(host: RunningHost) -> None:
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=30)
    body = {"from": "now-1h", "to": "now", "queries": [{"refId": "gone", "sleep_s": 60, "log": "sleeping"}]}
    connection.request("POST", "/api/ds/query", json.dumps(body))
    host.wait_event("log", message="sleeping")

    connection.close()

    cancelled = host.wait_event("log", message="query cancelled")
    assert cancelled["fields"]["refId"] == "gone"


def test_health(host: RunningHost, base: str) -> None:
    for method in ("GET", "POST"):
        status, answer = call_json(f"{base}/health", method=method)
        assert (status, answer["status"], answer["message"]) == (200, "OK", "sample is healthy")
        assert set(answer["details"]) == {"pid", "cwd"}

    assert call_json(f"{host.url}/api/plugins/{PLUGIN_ID}/health")[0] == 200
    assert call_json(f"{host.url}/api/datasources/uid/other/health") == (
        404,
        {
            "message": "Data source not found",
            "error": f"there is no data source 'other'; known: {PLUGIN_ID}",
            "traceID": "",
        },
    )
    assert call_json(f"{host.url}/api/plugins/other/health")[0] == 404


def test_resources_take_any_method_and_keep_path_query_and_body(base: str) -> None:
    status, headers, body = call(f"{base}/resources/echo", b"\x00binary\xff", method="PATCH")
    assert (status, headers["Content-Type"], body) == (200, "text/plain", b"\x00binary\xff")

    status, answer = call_json(f"{base}/resources/context?a=1&b=%20x")
    assert (status, answer) == (200, {"user": "admin", "url": "context?a=1&b=%20x", "org": 1})

    status, answer = call_json(f"{base}/resources/no%20such/thing")
    assert (status, answer) == (404, {"message": "no resource no such/thing"})

    status, _, body = call(f"{base}/resources/empty")
    assert (status, body) == (204, b"")

    assert call(f"{base}/resources")[0] == 404  # the plugin's own answer for the empty path
    assert call(f"{base}/resources/raise")[0] == 500


def test_resources_are_streamed_with_status_and_repeated_headers(host: RunningHost, base: str) -> None:
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=30)
    connection.request("GET", f"{base.removeprefix(host.url)}/resources/stream/3")
    answer = connection.getresponse()

    assert answer.status == 201
    assert answer.headers.get_all("X-Many") == ["a", "b"]
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.read() == b"part 0\npart 1\npart 2\n"
    connection.close()


def test_metrics(host: RunningHost) -> None:
    for path in (f"/api/plugins/{PLUGIN_ID}/metrics", f"/metrics/plugins/{PLUGIN_ID}"):
        status, headers, body = call(host.url + path)
        assert status == 200 and headers["Content-Type"].startswith("text/plain")
        assert b"sample_up 1" in body


def test_what_is_there_can_be_listed(host: RunningHost, base: str) -> None:
    assert call_json(host.url)[1]["plugin"] == PLUGIN_ID
    assert call_json(f"{host.url}/api/health")[1]["database"] == "ok"
    (listed,) = call_json(f"{host.url}/api/datasources")[1]
    assert (listed["uid"], listed["name"], listed["isDefault"]) == (PLUGIN_ID, "Sample", True)
    assert call_json(base) == (200, listed)
    assert call_json(f"{host.url}/nothing/here")[0] == 404
    assert call_json(f"{host.url}/api/ds/query")[0] == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.evil.example:3001"},
        {"Host": "localhost.evil.example"},
    ],
)
def test_pages_of_other_sites_are_refused(base: str, headers: dict[str, str]) -> None:
    assert call(f"{base}/resources/echo", b"{}", headers=headers)[0] == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost:3000"}, {"Host": "localhost:1"}, {"Host": "[::1]"}])
def test_pages_of_this_machine_are_welcome(base: str, headers: dict[str, str]) -> None:
    assert call(f"{base}/resources/echo", b"{}", headers=headers)[0] == 200


def test_provisioned_data_sources(tmp_path: Path) -> None:
    make_project(tmp_path, run_target("sample_plugin.py"))
    directory = tmp_path / "provisioning" / "datasources"
    directory.mkdir(parents=True)
    (directory / "all.yaml").write_text(PROVISIONING)

    with running_host(tmp_path, environment={**os.environ, "REGION": "north"}) as host:
        listening = host.wait_event("listening")
        first, second = call_json(f"{host.url}/api/datasources")[1]
        both = [{"refId": "A", "datasource": {"uid": "first"}}, {"refId": "B", "datasource": {"uid": second["uid"]}}]
        status, answer = query(host, *both)
        old, refused = query(host, *both, path="tsdb")

    assert listening["uid"] == first["uid"] == "first"
    assert (first["jsonData"], first["url"]) == ({"region": "north"}, "http://backend:1234")
    assert first["secureJsonFields"] == {"apiKey": True} and "se$cret" not in json.dumps(first)
    assert second["uid"].startswith("P") and len(second["uid"]) == 17
    assert status == 200 and set(answer["results"]) == {"A", "B"}  # type: ignore[call-overload]  # JSON
    assert (old, refused["messageId"]) == (400, "query.differentDatasources")
