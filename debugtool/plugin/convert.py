"""Turns the host's protobuf messages into what handlers are given."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from debugtool.plugin import logs
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.requests import (
    AdmissionRequest,
    AppSettings,
    Context,
    ConversionRequest,
    DataSource,
    Operation,
    Query,
    RawObject,
    ResourceRequest,
    TimeRange,
    User,
    parse_object,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# gRPC has no "no deadline" but one in the far future. Source: grpcio's ServicerContext.time_remaining.
_NO_DEADLINE_S = 10 * 365 * 24 * 3600.0
_LOGGER_PARAMS = "loggerparamsctxmetadata"  # Source: wire-spec 2.8
_LOGGER_PARAM_SEPARATOR = ":::"


def context_of(
    plugin_context: pb.PluginContext,
    headers: Mapping[str, str],
    metadata: Iterable[tuple[str, str | bytes]],
    remaining_s: float | None,
) -> Context:
    """Give the context of a call.

    Args:
        plugin_context: The message every request carries.
        headers: The request's own headers.
        metadata: gRPC metadata of the call.
        remaining_s: Seconds until its deadline, as gRPC tells.
    """
    texts = [(key, value) for key, value in metadata if isinstance(value, str)]
    parameters = (value.partition(_LOGGER_PARAM_SEPARATOR) for key, value in texts if key == _LOGGER_PARAMS)
    has_deadline = remaining_s is not None and remaining_s < _NO_DEADLINE_S
    return Context(
        org_id=plugin_context.orgId,
        plugin_id=plugin_context.pluginId,
        plugin_version=plugin_context.pluginVersion,
        user=_user(plugin_context.user) if plugin_context.HasField("user") else None,
        app=_app(plugin_context.appInstanceSettings) if plugin_context.HasField("appInstanceSettings") else None,
        data_source=_data_source(plugin_context),
        grafana_config=dict(plugin_context.grafanaConfig),
        user_agent=plugin_context.userAgent,
        api_version=plugin_context.apiVersion,
        namespace=plugin_context.namespace,
        headers=dict(headers),
        logger_params={_extra_key(key): value for key, _, value in parameters},
        metadata=dict(texts),
        deadline=time.monotonic() + remaining_s if has_deadline and remaining_s is not None else None,
        cancelled=threading.Event(),
    )


def _extra_key(key: str) -> str:
    """Keep a key from clashing with logging's own, which would make `extra=` raise KeyError."""
    return f"{key}_" if key in logs.RECORD_ATTRIBUTES else key


def _user(user: pb.User) -> User:
    return User(login=user.login, name=user.name, email=user.email, role=user.role)


def _app(settings: pb.AppInstanceSettings) -> AppSettings:
    return AppSettings(
        json_bytes=settings.jsonData,
        secure_json_data=dict(settings.decryptedSecureJsonData),
        updated_at_ms=settings.lastUpdatedMS,
        api_version=settings.apiVersion,
    )


def _data_source(plugin_context: pb.PluginContext) -> DataSource | None:
    if not plugin_context.HasField("dataSourceInstanceSettings"):
        return None
    settings = plugin_context.dataSourceInstanceSettings
    return DataSource(
        json_bytes=settings.jsonData,
        secure_json_data=dict(settings.decryptedSecureJsonData),
        updated_at_ms=settings.lastUpdatedMS,
        api_version=settings.apiVersion,
        id=settings.id,
        uid=settings.uid,
        name=settings.name,
        url=settings.url,
        user=settings.user,
        database=settings.database,
        basic_auth_enabled=settings.basicAuthEnabled,
        basic_auth_user=settings.basicAuthUser,
    )


def time_range(message: pb.TimeRange) -> TimeRange:
    """Give a time range; exact, where `fromtimestamp` would round."""
    return TimeRange(
        _EPOCH + timedelta(milliseconds=message.fromEpochMS), _EPOCH + timedelta(milliseconds=message.toEpochMS)
    )


def query(message: pb.DataQuery) -> Query:
    """Give one query.

    Raises:
        ValueError: Its JSON is not an object.
        OverflowError: Its time range lies beyond what datetime can hold.
    """
    return Query(
        ref_id=message.refId,
        json=parse_object(message.json),
        max_data_points=message.maxDataPoints,
        interval=timedelta(milliseconds=message.intervalMS),
        query_type=message.queryType,
        time_range=time_range(message.timeRange),
    )


def resource_request(message: pb.CallResourceRequest) -> ResourceRequest:
    """Give an HTTP request."""
    return ResourceRequest(
        method=message.method.upper(),
        path=message.path.lstrip("/"),
        url=message.url,
        headers={name: tuple(values.values) for name, values in message.headers.items()},
        body=message.body,
    )


def admission_request(message: pb.AdmissionRequest) -> AdmissionRequest:
    """Give an object that is up for admission."""
    return AdmissionRequest(
        operation=Operation(message.operation),
        group=message.kind.group,
        version=message.kind.version,
        kind=message.kind.kind,
        object=message.object_bytes,
        old_object=message.old_object_bytes,
    )


def conversion_request(message: pb.ConversionRequest) -> ConversionRequest:
    """Give objects to be converted."""
    return ConversionRequest(
        uid=message.uid,
        objects=tuple(RawObject(one.raw, one.content_type) for one in message.objects),
        target_group=message.target_version.group,
        target_version=message.target_version.version,
    )
