"""The environment a plugin is started with: Grafana's, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

GRAFANA_VERSION = "12.4.0"
"""The version this host answers for: the first that forwards none of its own environment."""

# Source: Grafana's pkg/plugins/envvars: what a plugin gets even when the host's environment is skipped.
_PASSED_ON = (
    "PLUGIN_UNIX_SOCKET_DIR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
)

# Source: grafana-plugin-sdk-go backend/grpcplugin/handshake.go; go-plugin client.go (port defaults).
_HANDSHAKE = {
    "grafana_plugin_type": "datasource",
    "PLUGIN_MIN_PORT": "10000",
    "PLUGIN_MAX_PORT": "25000",
    "PLUGIN_PROTOCOL_VERSIONS": "2",
}

# Source: Grafana's pkg/services/pluginsintegration/pluginconfig/envvars.go; its open source edition has a licence
# service too, with an empty path.
_GRAFANA = {
    "GF_VERSION": GRAFANA_VERSION,
    "GF_EDITION": "Open Source",
    "GF_ENTERPRISE_LICENSE_PATH": "",
    "GF_ENTERPRISE_APP_URL": "http://localhost:3000/",
}


def plugin_environment(
    host: Mapping[str, str], *, forward: bool = False, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give the environment that Grafana 12.4 starts a plugin with.

    Args:
        host: The host's own environment.
        forward: Forward all of `host`, as Grafana up to 12.3 did, where the host's values beat Grafana's own.
        extra: Variables of the user's, as `[plugin.<id>]` in Grafana's configuration gives them.
    """
    passed_on = dict(host) if forward else {name: host[name] for name in _PASSED_ON if name in host}
    return {**_GRAFANA, **(extra or {}), **passed_on, **_HANDSHAKE}
