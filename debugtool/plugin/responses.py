"""What a handler returns: answers to queries, health, resources, streams and admission."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from debugtool.plugin.requests import RawObject

# A Frame of debugtool.plugin.frames, a pandas DataFrame, a pyarrow Table, or a dict of lists.
FrameLike = object


class ErrorSource(StrEnum):
    """Who is to blame for an error: Grafana counts them apart."""

    PLUGIN = "plugin"
    DOWNSTREAM = "downstream"


class QueryError(Exception):
    """One query failed; the others of the request may well succeed.

    Raise it in a handler, or put it (or any exception) in the place of the query's frames.

    Args:
        message: What the user reads on the panel.
        status: HTTP status number, 100 to 599.
        source: `plugin`, or `downstream` when the service behind the plugin failed.
    """

    def __init__(self, message: str, *, status: int = 500, source: ErrorSource | str = ErrorSource.PLUGIN) -> None:
        super().__init__(message)
        self.status = status
        self.source = ErrorSource(source)


def status_of(error: BaseException) -> int:
    """Guess the HTTP status of an exception as the Go SDK does: timeout 504, permission 401, refused connection 502.

    Source:
        wire-spec 3.1, `DataResponse.status`.
    """
    if isinstance(error, QueryError):
        return error.status
    if isinstance(error, TimeoutError):
        return 504
    if isinstance(error, PermissionError):
        return 401
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return 502
    return 500


@dataclass(frozen=True)
class DataResponse:
    """The answer to one query.

    Attributes:
        frames: Frames of any form the runtime can encode.
        error: Message of a failure; frames may be there all the same.
        status: HTTP status number; None means 200, or 500 with an error.
        error_source: Who is to blame for the error.
        meta: JSON object for the client, beside the frames.
    """

    frames: Sequence[FrameLike] = ()
    error: str = ""
    status: int | None = None
    error_source: ErrorSource | str = ErrorSource.PLUGIN
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Chunk:
    """One part of a query's answer, for `query_chunked`.

    Attributes:
        ref_id: The query it belongs to.
        frame: Rows; None only with an error.
        frame_id: Chunks with the same `ref_id` and `frame_id` are parts of one frame.
        error: An exception ends this query with an error.
    """

    ref_id: str
    frame: FrameLike | None = None
    frame_id: str = "0"
    error: BaseException | None = None


class HealthStatus(IntEnum):
    """What Grafana's "Save & test" shows."""

    UNKNOWN = 0
    OK = 1
    ERROR = 2


@dataclass(frozen=True)
class HealthResult:
    """The answer of `check_health`.

    Attributes:
        status: OK, ERROR or UNKNOWN.
        message: One sentence for the user.
        details: JSON object with more, shown on demand.
    """

    status: HealthStatus = HealthStatus.OK
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceResponse:
    """An HTTP response; when `call_resource` yields, the first one gives status and headers.

    Attributes:
        status: HTTP status number.
        body: bytes or str as they are; anything else is written as JSON.
        headers: Each header with one value or several.
    """

    status: int = 200
    body: object = b""
    headers: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


class StreamStatus(IntEnum):
    """Whether a channel may be subscribed to or published on."""

    OK = 0
    NOT_FOUND = 1
    PERMISSION_DENIED = 2


@dataclass(frozen=True)
class StreamResult:
    """The answer of `subscribe_stream` and `publish_stream`.

    Attributes:
        status: OK, or why not.
        data: JSON for the client, as bytes, str or an object: the initial value, or what is published.
    """

    status: StreamStatus = StreamStatus.OK
    data: object = b""


@dataclass(frozen=True)
class StatusResult:
    """Why an object was refused or could not be converted, in the words of the Kubernetes API."""

    status: str = "Success"
    message: str = ""
    reason: str = ""
    code: int = 200


@dataclass(frozen=True)
class ValidationResult:
    """The answer of `validate_admission`."""

    allowed: bool
    result: StatusResult = field(default_factory=StatusResult)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class MutationResult:
    """The answer of `mutate_admission`: the object as it shall be stored, in JSON."""

    allowed: bool
    object: bytes
    result: StatusResult = field(default_factory=StatusResult)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class ConversionResult:
    """The answer of `convert_objects`: as many objects as were asked for, in their order."""

    objects: Sequence[RawObject]
    result: StatusResult = field(default_factory=StatusResult)
