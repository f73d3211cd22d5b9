"""Handlers over a real gRPC connection: what they may return, and what the host hears if they return other things."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from debugtool import plugin
from debugtool.plugin.host_services import HostServices
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.proto import backend_pb2_grpc, goplugin_pb2_grpc, health_pb2
from debugtool.plugin.proto.goplugin_pb2 import Empty
from debugtool.plugin.registry import Pools, generic_handlers

LIMIT_S = 20


class Served:
    """A plugin's services on a socket, and a channel to them."""

    def __init__(self, handlers: object, path: Path) -> None:
        self.stopped = threading.Event()
        self.pools = Pools(ThreadPoolExecutor(2), ThreadPoolExecutor(2), ThreadPoolExecutor(1))
        services = generic_handlers(handlers, HostServices(self.stopped.set), self.pools)
        self.server = grpc.server(self.pools.workers, handlers=services)
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()
        self.channel = grpc.insecure_channel(f"unix:{path}")
        self.data = backend_pb2_grpc.DataStub(self.channel)
        self.diagnostics = backend_pb2_grpc.DiagnosticsStub(self.channel)
        self.resource = backend_pb2_grpc.ResourceStub(self.channel)
        self.stream = backend_pb2_grpc.StreamStub(self.channel)
        self.admission = backend_pb2_grpc.AdmissionControlStub(self.channel)
        self.conversion = backend_pb2_grpc.ResourceConversionStub(self.channel)

    def close(self) -> None:
        self.channel.close()
        self.server.stop(None).wait(LIMIT_S)
        for pool in (self.pools.workers, self.pools.streams, self.pools.control):
            pool.shutdown()

    def query(self, *ref_ids: str) -> Any:
        queries = [pb.DataQuery(refId=ref_id) for ref_id in ref_ids or ("A",)]
        return self.data.QueryData(pb.QueryDataRequest(queries=queries), timeout=LIMIT_S).responses

    def chunks(self, *ref_ids: str) -> list[Any]:
        queries = [pb.DataQuery(refId=ref_id) for ref_id in ref_ids or ("A",)]
        return list(self.data.QueryChunkedData(pb.QueryChunkedDataRequest(queries=queries), timeout=LIMIT_S))

    def call_resource(self) -> list[Any]:
        return list(self.resource.CallResource(pb.CallResourceRequest(path="p", method="GET"), timeout=LIMIT_S))

    def run_stream(self) -> list[bytes]:
        return [packet.data for packet in self.stream.RunStream(pb.RunStreamRequest(path="p"), timeout=LIMIT_S)]


@contextlib.contextmanager
def serving(path: Path, **methods: Any) -> Iterator[Served]:
    """Serve a plugin with these methods; each gets the handler's arguments without the context."""
    handlers = type("Handlers", (), {name: staticmethod(_without_context(method)) for name, method in methods.items()})
    served = Served(handlers(), path / "plugin.sock")
    try:
        yield served
    finally:
        served.close()


def _without_context(method: Any) -> Any:
    return lambda ctx, *arguments: method(*arguments)


def raising(error: Exception) -> Any:
    def raise_it(*_: object) -> Any:
        raise error

    return raise_it


@contextlib.contextmanager
def fails_with(code: grpc.StatusCode, text: str) -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    call: Any = caught.value
    assert (call.code(), text in call.details()) == (code, True), call.details()


# Queries -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "source", "text"),
    [
        (plugin.QueryError("no rows", status=404, source="downstream"), 404, "downstream", "no rows"),
        (plugin.QueryError("bad"), 500, "plugin", "bad"),
        (TimeoutError(), 504, "plugin", "TimeoutError"),
        (PermissionError("not you"), 401, "plugin", "not you"),
        (ConnectionRefusedError(111, "refused"), 502, "plugin", "[Errno 111] refused"),
        (KeyError("column"), 500, "plugin", "KeyError: 'column'"),
    ],
)
def test_an_error_has_the_same_answer_raised_or_returned(
    tmp_path: Path, error: Exception, status: int, source: str, text: str
) -> None:
    with serving(tmp_path, query_data=raising(error)) as served:
        raised = served.query("A")["A"]
    with serving(tmp_path, query_data=lambda *_: {"A": error}) as served:
        returned = served.query("A")["A"]
    for answer in (raised, returned):
        assert (answer.status, answer.errorSource, answer.error) == (status, source, text)


def test_what_a_query_may_be_answered_with(tmp_path: Path) -> None:
    frame = {"value": [1, 2]}
    answers: dict[str, object] = {
        "one": frame,
        "several": [frame, plugin.Frame.from_dict(frame, ref_id="own")],
        "generated": (one for one in (frame, frame, frame)),
        "none": None,
        "response": plugin.DataResponse([frame], meta={"m": 1}, status=206),
        "warned": plugin.DataResponse([frame], error="half of it", error_source="downstream"),
    }
    with serving(tmp_path, query_data=lambda *_: answers) as served:
        responses = served.query(*answers)
    assert {name: len(one.frames) for name, one in responses.items()} == {
        "one": 1,
        "several": 2,
        "generated": 3,
        "none": 0,
        "response": 1,
        "warned": 1,
    }
    assert {name: one.status for name, one in responses.items() if one.status != 200} == {
        "response": 206,
        "warned": 500,
    }
    assert json.loads(responses["response"].jsonMeta) == {"m": 1}
    assert (responses["warned"].error, responses["warned"].errorSource) == ("half of it", "downstream")
    assert b"own" in responses["several"].frames[1] and b"several" in responses["several"].frames[0]


def test_a_frame_that_cannot_be_sent_fails_its_query_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(
        tmp_path, query_data=lambda *_: {"A": {"value": [1]}, "B": [{"value": [1]}, {"value": [1, "x"]}]}
    ) as served:
        responses = served.query("A", "B")
    assert (responses["A"].status, len(responses["A"].frames)) == (200, 1)
    assert (responses["B"].status, len(responses["B"].frames)) == (500, 0)
    assert responses["B"].error.startswith("the answer is no frame: ")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("returned", [None, [], 5])
def test_a_handler_must_return_a_mapping(tmp_path: Path, returned: object) -> None:
    with serving(tmp_path, query_data=lambda *_: returned) as served:
        answer = served.query("A")["A"]
    assert (answer.status, "must return a mapping of refId to frames" in answer.error) == (500, True)


def test_a_request_without_queries_asks_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, query_data=raising(AssertionError("asked"))) as served:
        assert not served.data.QueryData(pb.QueryDataRequest(), timeout=LIMIT_S).responses


# Chunks --------------------------------------------------------------------------------------------------------------


def test_chunks_end_with_the_error_of_what_raised(tmp_path: Path) -> None:
    def chunks(time_range: object, source: object, queries: Any) -> Iterator[plugin.Chunk]:
        yield plugin.Chunk("A", {"value": [1]}, "first")
        yield plugin.Chunk("B", error=plugin.QueryError("gone", status=410))
        raise RuntimeError("broke off")

    with serving(tmp_path, query_chunked=chunks) as served:
        found = served.chunks("A", "B")
        with fails_with(grpc.StatusCode.UNIMPLEMENTED, "in chunks only"):
            served.query("A")
    assert [(one.refId, one.frameId, one.status, one.error) for one in found] == [
        ("A", "first", 200, ""),
        ("B", "error", 410, "gone"),
        ("A", "error", 500, "broke off"),
        ("B", "error", 500, "broke off"),
    ]
    assert all(one.frame.startswith(b"ARROW1") for one in found)


@pytest.mark.parametrize(
    ("yielded", "text"),
    [
        ({"value": [1]}, "must yield Chunk, not dict"),
        (plugin.Chunk("", {"value": [1]}), "needs a ref_id and a frame_id"),
        (plugin.Chunk("A"), "no frame"),
    ],
)
def test_what_is_no_chunk_is_an_error(tmp_path: Path, yielded: object, text: str) -> None:
    with serving(tmp_path, query_chunked=lambda *_: iter([yielded])) as served:
        (chunk,) = served.chunks("A")
    assert chunk.status == 500 and text in chunk.error


def test_a_query_that_cannot_be_read_is_refused_in_a_chunk(tmp_path: Path) -> None:
    request = pb.QueryChunkedDataRequest(queries=[pb.DataQuery(refId="A", json=b"{")])
    with serving(tmp_path, query_chunked=raising(AssertionError("asked"))) as served:
        (chunk,) = served.data.QueryChunkedData(request, timeout=LIMIT_S)
    assert (chunk.refId, chunk.status) == ("A", 400)


# Health and metrics --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "status", "message", "details"),
    [
        (None, "OK", "", {}),
        (True, "OK", "", {}),
        (False, "ERROR", "", {}),
        (plugin.HealthResult(plugin.HealthStatus.UNKNOWN, "hm", {"a": [1]}), "UNKNOWN", "hm", {"a": [1]}),
        ("fine", "ERROR", "check_health must return a HealthResult, a bool or None, not str", {}),
        (plugin.HealthResult(details=["list"]), "ERROR", "must be a mapping, not list", {}),  # type: ignore[arg-type]  # on purpose
        (plugin.HealthResult(details={"a": object()}), "ERROR", "not JSON serializable", {}),
    ],
)
def test_health(tmp_path: Path, result: object, status: str, message: str, details: object) -> None:
    with serving(tmp_path, check_health=lambda: result) as served:
        answer = served.diagnostics.CheckHealth(pb.CheckHealthRequest(), timeout=LIMIT_S)
    assert pb.CheckHealthResponse.HealthStatus.Name(answer.status) == status
    assert message in answer.message
    assert json.loads(answer.jsonDetails) == details  # always an object


def test_metrics_are_text_or_bytes(tmp_path: Path) -> None:
    for result in ("up 1\n", b"up 1\n"):
        with serving(tmp_path, collect_metrics=lambda result=result: result) as served:
            answer = served.diagnostics.CollectMetrics(pb.CollectMetricsRequest(), timeout=LIMIT_S)
        assert answer.metrics.prometheus == b"up 1\n"
    broken = serving(tmp_path, collect_metrics=raising(OSError("no counters")))
    with broken as served, fails_with(grpc.StatusCode.UNKNOWN, "no counters"):
        served.diagnostics.CollectMetrics(pb.CollectMetricsRequest(), timeout=LIMIT_S)


# Resources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "code", "body", "content_type"),
    [
        (None, 204, b"", None),
        (b"\x00", 200, b"\x00", None),
        ("text", 200, b"text", "text/plain; charset=utf-8"),
        ({"a": 1}, 200, b'{"a": 1}', "application/json"),
        ([1, 2], 200, b"[1, 2]", "application/json"),
        (plugin.ResourceResponse(404, {"a": 1}, {"content-type": "text/csv"}), 404, b'{"a": 1}', "text/csv"),
        (iter(()), 200, b"", None),
        (iter([{"a": 1}]), 200, b'{"a": 1}', "application/json"),
        (object(), 500, b'{"message": "Object of type object is not JSON serializable"}', "application/json"),
    ],
)
def test_resources(tmp_path: Path, result: object, code: int, body: bytes, content_type: str | None) -> None:
    with serving(tmp_path, call_resource=lambda request: result) as served:
        (message,) = served.call_resource()
    types = [value.values[0] for name, value in message.headers.items() if name.lower() == "content-type"]
    assert (message.code, message.body, types) == (code, body, [content_type] if content_type else [])


def test_a_resource_that_fails_half_way_fails_the_call(tmp_path: Path) -> None:
    def half(request: object) -> Iterator[bytes]:
        yield b"begin"
        raise OSError("disk gone")

    received: list[bytes] = []
    with serving(tmp_path, call_resource=half) as served, fails_with(grpc.StatusCode.UNKNOWN, "disk gone"):
        for message in served.resource.CallResource(pb.CallResourceRequest(), timeout=LIMIT_S):
            received.append(message.body)
    assert received == [b"begin"]


# Streams -------------------------------------------------------------------------------------------------------------


def test_packets_are_json_whatever_they_are_made_of(tmp_path: Path) -> None:
    values = [b'{"a":1}', '{"b":2}', {"c": 3}, [4], plugin.Frame.from_dict({"v": [5]})]
    with serving(tmp_path, run_stream=lambda request: iter(values)) as served:
        packets = [json.loads(packet) for packet in served.run_stream()]
    assert packets[:4] == [{"a": 1}, {"b": 2}, {"c": 3}, [4]]
    assert packets[4]["data"]["values"] == [[5]]


def test_streams_that_end_or_fail(tmp_path: Path) -> None:
    with serving(tmp_path, run_stream=lambda request: None) as served:
        assert served.run_stream() == []
    number = serving(tmp_path, run_stream=lambda request: 5)
    with number as served, fails_with(grpc.StatusCode.UNKNOWN, "must yield, or return an iterator; it returned int"):
        served.run_stream()
    no_json = serving(tmp_path, run_stream=lambda request: iter([object()]))
    with no_json as served, fails_with(grpc.StatusCode.UNKNOWN, "object"):
        served.run_stream()


@pytest.mark.parametrize("result", [True, "OK", 0])
def test_a_subscription_s_answer_must_not_be_guessed_at(tmp_path: Path, result: object) -> None:
    """True is 1, which is NOT_FOUND on the wire."""
    with serving(tmp_path, subscribe_stream=lambda request: result) as served:
        with fails_with(grpc.StatusCode.UNKNOWN, "must return a StreamResult, a StreamStatus or None"):
            served.stream.SubscribeStream(pb.SubscribeStreamRequest(), timeout=LIMIT_S)
        with fails_with(grpc.StatusCode.UNIMPLEMENTED, ""):
            served.stream.PublishStream(pb.PublishStreamRequest(), timeout=LIMIT_S)


# Admission -----------------------------------------------------------------------------------------------------------


def test_admission_answers_must_have_their_types(tmp_path: Path) -> None:
    def nothing(request: object) -> None:
        return None

    with serving(tmp_path, validate_admission=nothing, mutate_admission=nothing, convert_objects=nothing) as served:
        with fails_with(grpc.StatusCode.INTERNAL, "a ValidationResult or a bool, not NoneType"):
            served.admission.ValidateAdmission(pb.AdmissionRequest(), timeout=LIMIT_S)
        with fails_with(grpc.StatusCode.INTERNAL, "a MutationResult, not NoneType"):
            served.admission.MutateAdmission(pb.AdmissionRequest(), timeout=LIMIT_S)
        with fails_with(grpc.StatusCode.INTERNAL, "a ConversionResult, not NoneType"):
            served.conversion.ConvertObjects(pb.ConversionRequest(), timeout=LIMIT_S)


def test_a_refusal_carries_its_reason(tmp_path: Path) -> None:
    why = plugin.StatusResult("Failure", "no such field", "Invalid", 422)
    result = plugin.ValidationResult(False, why, ["field x is old"])
    with serving(tmp_path, validate_admission=lambda request: result) as served:
        answer = served.admission.ValidateAdmission(pb.AdmissionRequest(), timeout=LIMIT_S)
    assert (answer.allowed, answer.result.code, answer.result.reason) == (False, 422, "Invalid")
    assert list(answer.warnings) == ["field x is old"]


# The host's own calls ------------------------------------------------------------------------------------------------


def test_health_service_knows_the_plugin_and_nobody_else(tmp_path: Path) -> None:
    def ask(served: Served, method: str, name: str) -> Any:
        path = f"/grpc.health.v1.Health/{method}"
        make = served.channel.unary_unary if method == "Check" else served.channel.unary_stream
        call = make(path, health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)
        return call(health_pb2.HealthCheckRequest(service=name), timeout=LIMIT_S)

    with serving(tmp_path) as served:
        for name in ("plugin", ""):
            assert ask(served, "Check", name).status == health_pb2.HealthCheckResponse.SERVING
        with fails_with(grpc.StatusCode.NOT_FOUND, "unknown service: other"):
            ask(served, "Check", "other")
        assert next(ask(served, "Watch", "plugin")).status == health_pb2.HealthCheckResponse.SERVING
        assert next(ask(served, "Watch", "other")).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def test_shutdown_answers_before_it_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        controller = goplugin_pb2_grpc.GRPCControllerStub(served.channel)
        assert controller.Shutdown(Empty(), timeout=LIMIT_S) == Empty()
        assert served.stopped.wait(LIMIT_S)


def test_a_cancelled_handler_that_raises_logs_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    running, ended = threading.Event(), threading.Event()

    class Handlers:
        def query_data(self, ctx: plugin.Context, *_: object) -> None:
            running.set()
            assert ctx.cancelled.wait(LIMIT_S)
            ended.set()
            raise ConnectionError("the connection was closed under me")

    served = Served(Handlers(), tmp_path / "plugin.sock")
    try:
        call = served.data.QueryData.future(pb.QueryDataRequest(queries=[pb.DataQuery(refId="A")]), timeout=LIMIT_S)
        assert running.wait(LIMIT_S)
        call.cancel()
        assert ended.wait(LIMIT_S)
    finally:
        served.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
