"""What a go-plugin host asks for in the environment, and the line that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Source: grafana-plugin-sdk-go, backend/grpcplugin/handshake.go (wire-spec 2.1). The cookie is no secret: it only
# tells a start by a host from a start by hand, and is the same for app plugins.
COOKIE_KEY = "grafana_plugin_type"
COOKIE_VALUE = "datasource"
PROTOCOL_VERSIONS = (2,)
CORE_PROTOCOL = 1

NOT_HOSTED = """\
This is a backend plugin: a program such as Grafana starts it and talks to it. It does nothing when run by hand.
Put it into a plugin directory of the host and start the host, or try it with: debugtool run
"""


class NotHosted(Exception):
    """No host started this process: the magic cookie is missing or wrong."""


class StartRefused(Exception):
    """The host asks for something this runtime cannot do."""


@dataclass(frozen=True)
class HostSettings:
    """What the host asks for.

    Attributes:
        offered: The protocol versions it speaks, as sent; empty when it sent none.
        socket_dir: Directory for the unix socket, empty for the system's temporary directory.
        socket_group: Group name or number that may use the socket, empty for the owner only.
        min_port: First TCP port to try where there are no unix sockets; `max_port` the last.
        multiplex: Whether it asks for broker multiplexing.
    """

    offered: str
    socket_dir: str
    socket_group: str
    min_port: int
    max_port: int
    multiplex: bool


def read_settings(environment: Mapping[str, str]) -> HostSettings:
    """Read what the host asks for.

    Raises:
        NotHosted: No cookie, or a wrong one.
        StartRefused: The host wants AutoMTLS, or its port range is no range.

    Source:
        wire-spec 1.1.
    """
    if environment.get(COOKIE_KEY) != COOKIE_VALUE:
        raise NotHosted(NOT_HOSTED)
    if environment.get("PLUGIN_CLIENT_CERT"):
        raise StartRefused(
            "the host asks for AutoMTLS, which this runtime does not do: its P-521 certificates are beyond gRPC's TLS"
            " library. Grafana does not use it; in another host, leave AutoMTLS out of go-plugin's ClientConfig"
        )
    return HostSettings(
        offered=environment.get("PLUGIN_PROTOCOL_VERSIONS", ""),
        socket_dir=environment.get("PLUGIN_UNIX_SOCKET_DIR", ""),
        socket_group=environment.get("PLUGIN_UNIX_SOCKET_GROUP", ""),
        min_port=_port(environment, "PLUGIN_MIN_PORT"),
        max_port=_port(environment, "PLUGIN_MAX_PORT"),
        multiplex=bool(environment.get("PLUGIN_MULTIPLEX_GRPC")),
    )


def _port(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name) or "0"
    if not text.isdecimal() or int(text) > 65535:
        raise StartRefused(f"{name} is not a port number: {text!r}")
    return int(text)


def negotiate(offered: str, own: Sequence[int] = PROTOCOL_VERSIONS) -> tuple[int, list[str]]:
    """Choose the protocol version: the highest in common, else our lowest, which the host then refuses in its words.

    Args:
        offered: The host's versions, comma separated, in any order; may be empty.
        own: The versions we speak.

    Returns:
        The version to announce, and the items of `offered` that are no numbers.

    Source:
        wire-spec 1.4.
    """
    items = [item.strip() for item in offered.split(",") if item.strip()]
    bad = [item for item in items if not item.isdecimal()]
    common = {int(item) for item in items if item.isdecimal()} & set(own)
    return (max(common) if common else min(own)), bad


def handshake_line(version: int, network: str, address: str, *, multiplex: bool) -> bytes:
    r"""Give the one line the host waits for on stdout, with its newline.

    Args:
        version: The negotiated protocol version.
        network: `unix` or `tcp`.
        address: Socket path, or `127.0.0.1:PORT`.
        multiplex: Whether the host asked for broker multiplexing; only then there is a seventh field (always `false`),
            because go-plugin 1.0.1 cannot read one.

    Source:
        wire-spec 1.2. The sixth field is the certificate's, empty without AutoMTLS.
    """
    fields = [str(CORE_PROTOCOL), str(version), network, address, "grpc", ""]
    if multiplex:
        fields.append("false")
    return "|".join(fields).encode() + b"\n"
