"""What a handler is given: the call's context, time ranges, queries and the other requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; nothing at all counts as an empty one.

    Raises:
        ValueError: It is not JSON, or not an object.
    """
    value = json.loads(raw) if raw else {}
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    return value


@dataclass(frozen=True)
class User:
    """Who asks, as Grafana knows him."""

    login: str
    name: str
    email: str
    role: str


@dataclass(frozen=True)
class AppSettings:
    """The settings of one instance of an app plugin.

    Attributes:
        json_bytes: The settings as sent; `json_data` reads them.
        secure_json_data: Secrets, decrypted. Not shown by repr().
        updated_at_ms: When the settings last changed, milliseconds since the epoch: a cache key for connections.
        api_version: Version of the settings' schema, empty when the host has none.
    """

    json_bytes: bytes
    secure_json_data: Mapping[str, str] = field(repr=False)
    updated_at_ms: int
    api_version: str

    @cached_property
    def json_data(self) -> dict[str, Any]:
        """The settings as an object.

        Raises:
            ValueError: The host sent something else than a JSON object.
        """
        return parse_object(self.json_bytes)


@dataclass(frozen=True)
class DataSource(AppSettings):
    """The settings of one data source. Attributes are those of Grafana's data source page, and `AppSettings`'."""

    id: int
    uid: str
    name: str
    url: str
    user: str
    database: str
    basic_auth_enabled: bool
    basic_auth_user: str


@dataclass(frozen=True)
class Context:
    """Who calls, for what, and for how long the answer is wanted.

    Attributes:
        org_id: Organisation of the user.
        plugin_id: `id` of the plugin's plugin.json.
        plugin_version: Its version as the host knows it, may be empty.
        user: Who asks; None when the host itself does.
        app: Settings of the app instance, None for a data source.
        data_source: Settings of the data source, None for an app.
        grafana_config: Grafana's configuration for plugins, such as `GF_APP_URL`.
        user_agent: `Grafana/<version> (<os>; <arch>)`.
        api_version: API version of the request, may be empty.
        namespace: Grafana namespace of the request, may be empty.
        headers: Headers as the host sent them: those of HTTP begin with `http_`. `header()` looks one up.
        logger_params: Facts the host wants in log lines about this call: pass them as `extra=`.
        metadata: gRPC metadata of the call: `traceparent` among it.
        deadline: When the caller gives up, on `time.monotonic()`'s clock; None without a deadline.
        cancelled: Set when nobody waits for the answer any more: the caller went away, the deadline passed, or the
            answer has been given. Wait on it instead of sleeping.

    Source:
        wire-spec 2.8 (headers, logger params), pluginv2.PluginContext.
    """

    org_id: int
    plugin_id: str
    plugin_version: str
    user: User | None
    app: AppSettings | None
    data_source: DataSource | None
    grafana_config: Mapping[str, str]
    user_agent: str
    api_version: str
    namespace: str
    headers: Mapping[str, str]
    logger_params: Mapping[str, str]
    metadata: Mapping[str, str]
    deadline: float | None
    cancelled: threading.Event

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.cancelled.is_set()

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the caller gives up, 0 when he has; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def header(self, name: str) -> str | None:
        """Look a forwarded HTTP header up, whatever its case and with or without Grafana's `http_` prefix."""
        wanted = name.lower()
        for key, value in self.headers.items():
            if key.lower() in (wanted, f"http_{wanted}"):
                return value
        return None


@dataclass(frozen=True)
class TimeRange:
    """From when to when, as aware datetimes in UTC."""

    start: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        """How long the range is."""
        return self.end - self.start


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        ref_id: Its name in the request, such as "A"; answers are keyed by it.
        json: The whole query object as the editor made it, the other fields repeated inside.
        max_data_points: How many points the panel can show.
        interval: Step between points that gives about so many.
        query_type: The editor's own kind of query, may be empty.
        time_range: From when to when; usually the same for all queries of a request.
    """

    ref_id: str
    json: Mapping[str, Any]
    max_data_points: int
    interval: timedelta
    query_type: str
    time_range: TimeRange


@dataclass(frozen=True)
class ResourceRequest:
    """An HTTP request to `/api/.../resources/<path>`.

    Attributes:
        method: HTTP method, upper case.
        path: Path below `resources/`, without a leading slash.
        url: The path with its `?query`.
        headers: HTTP headers, each with all its values.
        body: The body as sent.
    """

    method: str
    path: str
    url: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.body)


@dataclass(frozen=True)
class StreamRequest:
    """A subscription to, a run of, or a publication on a live channel.

    Attributes:
        path: The channel's path below the plugin's own scope.
        data: Bytes that the client sent along, usually JSON.
    """

    path: str
    data: bytes

    def json(self) -> Any:
        """Read the data as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.data)


class Operation(IntEnum):
    """What is to be done with an object that is up for admission."""

    CREATE = 0
    UPDATE = 1
    DELETE = 2


@dataclass(frozen=True)
class AdmissionRequest:
    """An object that is about to be stored.

    Attributes:
        operation: Create, update or delete.
        group: API group of the object's kind; `version` and `kind` complete it.
        object: The object as it would be stored, in JSON.
        old_object: The object as it is stored now, empty when there is none.
    """

    operation: Operation
    group: str
    version: str
    kind: str
    object: bytes
    old_object: bytes


@dataclass(frozen=True)
class RawObject:
    """A stored object and how it is written."""

    raw: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class ConversionRequest:
    """Objects that are to be brought to another version of their kind.

    Attributes:
        uid: Identifies the request; the runtime repeats it in the answer.
        objects: The objects as stored.
        target_group: API group wanted, with `target_version`.
    """

    uid: str
    objects: tuple[RawObject, ...]
    target_group: str
    target_version: str
