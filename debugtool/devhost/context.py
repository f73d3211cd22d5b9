"""What Grafana tells a plugin with every call: who asks, for which data source, on which Grafana."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from debugtool.devhost.datasources import DataSource
from debugtool.devhost.environment import GRAFANA_VERSION
from debugtool.manifest import Manifest
from debugtool.system import goos_goarch

if TYPE_CHECKING:
    from debugtool.plugin.proto import backend_pb2

# Source: Grafana's conf/defaults.ini, and config/grafana_cfg.go of grafana-plugin-sdk-go for the names.
_GRAFANA_CONFIG = {
    "GF_APP_URL": "http://localhost:3000/",
    "GF_CONCURRENT_QUERY_COUNT": "10",
    "GF_RESPONSE_LIMIT": "0",
    "GF_SQL_ROW_LIMIT": "1000000",
    "GF_SQL_MAX_OPEN_CONNS_DEFAULT": "100",
    "GF_SQL_MAX_IDLE_CONNS_DEFAULT": "100",
    "GF_SQL_MAX_CONN_LIFETIME_SECONDS_DEFAULT": "14400",
    "GF_USER_FACING_DEFAULT_ERROR": "please inspect Grafana server log for details",
}

# Source: Grafana's pkg/services/pluginsintegration/clientmiddleware/tracing_header_middleware.go.
_FORWARDED = {
    "x-dashboard-uid": "X-Dashboard-Uid",
    "x-datasource-uid": "X-Datasource-Uid",
    "x-grafana-from-expr": "X-Grafana-From-Expr",
    "x-grafana-org-id": "X-Grafana-Org-Id",
    "x-panel-id": "X-Panel-Id",
    "x-panel-plugin-id": "X-Panel-Plugin-Id",
    "x-query-group-id": "X-Query-Group-Id",
}

# Source: grafana-plugin-sdk-go backend/resource_adapter and Grafana's pkg/util/proxyutil: dropped both ways.
_NEVER_FORWARDED = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    )
)


def plugin_context(manifest: Manifest, datasource: DataSource | None) -> backend_pb2.PluginContext:
    """Make the PluginContext of a call.

    Args:
        manifest: The plugin.
        datasource: The data source that is asked; None for a call to the plugin itself, as apps get.
    """
    from debugtool.plugin.proto import backend_pb2

    goos, goarch = goos_goarch()
    context = backend_pb2.PluginContext(
        orgId=1,
        pluginId=manifest.id,
        user=backend_pb2.User(login="admin", name="admin", email="admin@localhost", role="Admin"),
        grafanaConfig=_GRAFANA_CONFIG,
        pluginVersion=manifest.version,
        userAgent=f"Grafana/{GRAFANA_VERSION} ({goos}; {goarch})",
        namespace="default",
    )
    if datasource is not None:
        context.dataSourceInstanceSettings.CopyFrom(_settings(datasource))
    elif manifest.type == "app":
        context.appInstanceSettings.CopyFrom(backend_pb2.AppInstanceSettings(jsonData=b"{}"))
    return context


def _settings(source: DataSource) -> backend_pb2.DataSourceInstanceSettings:
    from debugtool.plugin.proto import backend_pb2

    return backend_pb2.DataSourceInstanceSettings(
        id=source.id,
        uid=source.uid,
        name=source.name,
        url=source.url,
        user=source.user,
        database=source.database,
        basicAuthEnabled=source.basic_auth,
        basicAuthUser=source.basic_auth_user,
        jsonData=json.dumps(source.json_data, default=str).encode(),
        decryptedSecureJsonData=dict(source.secure_json_data),
        lastUpdatedMS=source.updated_ms,
    )


def call_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Pick the HTTP headers that Grafana hands on with a query or a health check, under their `http_` names."""
    return {f"http_{_FORWARDED[name.lower()]}": value for name, value in headers.items() if name.lower() in _FORWARDED}


def end_to_end(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Drop the headers that belong to one connection, or that Grafana keeps to itself; group the rest by name."""
    pairs = [(name, value) for name, value in headers]
    named = {
        token.strip().lower() for name, value in pairs if name.lower() == "connection" for token in value.split(",")
    }
    kept: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.lower() not in _NEVER_FORWARDED | named:
            kept.setdefault(name, []).append(value)
    return kept
