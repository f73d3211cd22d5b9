"""Grafana's answers: what its HTTP API says about what a plugin said."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from debugtool.devhost.calls import CallFailed, Health

if TYPE_CHECKING:
    from debugtool.plugin.proto import backend_pb2

_UNKNOWN_STATUS = 500

# gRPC status -> HTTP status, message id, message. Source: Grafana's pkg/plugins/errors.go, manager/client/client.go.
_QUERY_FAILURES = {
    "UNIMPLEMENTED": (404, "plugin.notImplemented", "Method not implemented"),
    "UNAVAILABLE": (
        500,
        "plugin.connectionUnavailable",
        "Data source became unavailable during request. Please try again.",
    ),
    "RESOURCE_EXHAUSTED": (
        500,
        "plugin.resourceExhausted",
        "The response is too large. Please try to reduce the time range or narrow down your query to return fewer data"
        " points.",
    ),
}
_OTHER_FAILURE = (500, "plugin.requestFailureError", "An error occurred within the plugin")


def error_document(status: int, message: str, message_id: str = "", error: str = "") -> dict[str, object]:
    """Give the body of an error: Grafana's fields, and `error` with more for the developer."""
    document: dict[str, object] = {"message": message}
    if error:
        document["error"] = error
    if message_id:
        document |= {"messageId": message_id, "statusCode": status}
    return document | {"traceID": ""}


def query_failure(error: CallFailed) -> tuple[int, dict[str, object]]:
    """Give status and body for a QueryData call that failed as a whole."""
    status, message_id, message = _QUERY_FAILURES.get(error.code, _OTHER_FAILURE)
    return status, error_document(status, message, message_id, error=f"{error.code}: {error.details}")


def health_answer(health: Health) -> tuple[int, dict[str, object]]:
    """Give status and body of a data source's health: 200 if OK, else 400.

    Source:
        Grafana's pkg/api/datasources.go: details that are no JSON object are an error of 500.
    """
    document: dict[str, object] = {"message": health.message, "status": health.status}
    if health.details:
        try:
            details = json.loads(health.details)
        except ValueError:
            details = None
        if not isinstance(details, dict):
            message = "Failed to unmarshal detailed response from backend plugin"
            return 500, error_document(500, message, error="jsonDetails is no JSON object")
        document["details"] = details
    return 200 if health.status == "OK" else 400, document


def frame_documents(ref_id: str, response: backend_pb2.DataResponse) -> list[dict[str, Any]]:
    """Decode the frames of one answer into Grafana's JSON form.

    Raises:
        CallFailed: A frame cannot be decoded; for Grafana that fails the whole call.
    """
    from debugtool.plugin.frames import FrameError, decode_frame, frame_to_json

    documents: list[dict[str, Any]] = []
    for number, encoded in enumerate(response.frames):
        try:
            document = json.loads(encoded) if response.format == 1 else frame_to_json(decode_frame(encoded))
        except (FrameError, ValueError) as error:
            raise CallFailed("UNKNOWN", f"frame {number} of {ref_id} cannot be decoded: {error}") from error
        schema = document.setdefault("schema", {})
        if not schema.get("refId"):
            schema["refId"] = ref_id
        documents.append(document)
    return documents


def results_answer(responses: Mapping[str, backend_pb2.DataResponse]) -> tuple[int, dict[str, Any]]:
    """Give status and body of `/api/ds/query`: 400 if any refId has an error, always with all results.

    Raises:
        CallFailed: A frame cannot be decoded.

    Source:
        grafana-plugin-sdk-go backend/json.go; Grafana's pkg/api/ds_query.go.
    """
    results: dict[str, Any] = {}
    for ref_id in sorted(responses):
        response = responses[ref_id]
        result: dict[str, Any] = {}
        if response.error:
            result |= {"error": response.error, "errorSource": response.errorSource}
        result["status"] = response.status if 100 <= response.status < 600 else _UNKNOWN_STATUS
        result["frames"] = frame_documents(ref_id, response)
        results[ref_id] = result
    return _status(responses), {"results": results}


def _status(responses: Mapping[str, backend_pb2.DataResponse]) -> int:
    return 400 if any(response.error for response in responses.values()) else 200


def tsdb_answer(responses: Mapping[str, backend_pb2.DataResponse]) -> tuple[int, dict[str, Any]]:
    """Give status and body of the old `/api/tsdb/query`: series and tables, and the frames as base64 Arrow files.

    Raises:
        CallFailed: A frame cannot be decoded.

    Source:
        Grafana 8's pkg/api/metrics.go and pkg/tsdb/legacydata.
    """
    results: dict[str, Any] = {}
    for ref_id in sorted(responses):
        response = responses[ref_id]
        result: dict[str, Any] = {"refId": ref_id, "series": [], "tables": []}
        if response.error:
            result["error"] = response.error
        if response.jsonMeta:
            result["meta"] = json.loads(response.jsonMeta)
        for document in frame_documents(ref_id, response):
            series = _series(document)
            result["series" if series else "tables"] += series or [_table(document)]
        arrow = response.frames if response.format == 0 else ()
        result["dataframes"] = [base64.b64encode(frame).decode() for frame in arrow]
        results[ref_id] = result
    errors = [response.error for response in responses.values() if response.error]
    return _status(responses), {"results": results, **({"message": errors[0]} if errors else {})}


def _columns(document: dict[str, Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    fields = document["schema"].get("fields", [])
    return list(zip(fields, document.get("data", {}).get("values", []), strict=False))


def _series(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Read a frame as series: one time field, and numbers beside it; anything else gives none."""
    columns = _columns(document)
    times = [values for field, values in columns if field.get("type") == "time"]
    numbers = [(field, values) for field, values in columns if field.get("type") in ("number", "boolean")]
    if len(times) != 1 or not numbers or len(numbers) + 1 != len(columns):
        return []
    return [
        {
            "name": _series_name(field, document),
            "points": [list(point) for point in zip(values, times[0], strict=True)],
            **({"tags": field["labels"]} if field.get("labels") else {}),
        }
        for field, values in numbers
    ]


def _series_name(field: dict[str, Any], document: dict[str, Any]) -> str:
    config = field.get("config") or {}
    return str(
        config.get("displayNameFromDS")
        or config.get("displayName")
        or field.get("name")
        or document["schema"].get("name", "")
    )


def _table(document: dict[str, Any]) -> dict[str, Any]:
    columns = _columns(document)
    return {
        "columns": [{"text": field.get("name", "")} for field, _ in columns],
        "rows": [list(row) for row in zip(*(values for _, values in columns), strict=True)],
    }
