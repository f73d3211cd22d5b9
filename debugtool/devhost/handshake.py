"""go-plugin's handshake line, read as strictly as go-plugin reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

CORE_PROTOCOL_VERSION = 1
APP_PROTOCOL_VERSION = 2
"""The one version that Grafana offers. Source: grafana-plugin-sdk-go backend/grpcplugin/handshake.go."""

CERTIFICATE_MIN_CHARS = 50
"""go-plugin takes a sixth field for a certificate only above this length. Source: go-plugin client.go, Start."""

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")  # what Go's strconv.Atoi takes; Python's int() takes more
_EXAMPLE = "1|2|unix|/tmp/plugin123|grpc"


class HandshakeRefused(Exception):
    """The first line on the plugin's stdout is not a handshake that Grafana accepts.

    Args:
        reason: What is wrong with it, in a sentence.
        next_step: What the plugin's author can do about it.
    """

    def __init__(self, reason: str, next_step: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.next_step = next_step


@dataclass(frozen=True)
class Handshake:
    """Where the plugin listens.

    Attributes:
        network: `unix` or `tcp`.
        address: Path of the socket, or `host:port`.
    """

    network: str
    address: str

    @property
    def grpc_address(self) -> str:
        """The address as `ps` shows it: `unix:///path` or `host:port`."""
        return f"unix://{self.address}" if self.network == "unix" else self.address


def grpc_target(address: str) -> str:
    """Turn `unix:///path`, `host:port` or `:port` into what gRPC dials.

    gRPC reads a unix address as a URI, so that a `%` or a space in the path has to be quoted; Go dials `:port` on
    localhost, where gRPC dials nothing.
    """
    if address.startswith("unix://@"):
        return "unix-abstract:" + quote(address.removeprefix("unix://@"), safe="/")
    if address.startswith("unix://"):
        return "unix:" + quote(address.removeprefix("unix://"), safe="/")
    return f"localhost{address}" if address.startswith(":") else address


def parse_handshake(line: str) -> Handshake:
    """Read the first line of a plugin's stdout.

    Raises:
        HandshakeRefused: Grafana would not start this plugin, and why.

    Source:
        go-plugin client.go, Start: fields, order of the checks; Grafana allows gRPC only and asks for no TLS.
    """
    fields = line.strip().split("|")
    if len(fields) < 4:
        raise _printed_text(line)
    _check_versions(fields[0], fields[1])
    network, address = fields[2], fields[3]
    if network not in ("unix", "tcp"):
        raise HandshakeRefused(
            f"The handshake names the network {network!r}; only unix and tcp exist.", f"Print a line like {_EXAMPLE}."
        )
    _check_address(network, address)
    _check_transport(fields[4] if len(fields) > 4 else "netrpc")
    if len(fields) > 5 and len(fields[5]) > CERTIFICATE_MIN_CHARS:
        raise HandshakeRefused(
            "The handshake carries a TLS certificate (its sixth field), but Grafana asked for none.",
            "Announce a certificate only when PLUGIN_CLIENT_CERT is set; with one, Grafana itself would crash.",
        )
    return Handshake(network, address)


def _printed_text(line: str) -> HandshakeRefused:
    text = line.strip()
    if not text:
        return HandshakeRefused(
            "The plugin printed an empty line on stdout before its handshake line.",
            "Print nothing on stdout before the handshake: log to stderr.",
        )
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return HandshakeRefused(
        f"The plugin printed this on stdout instead of its handshake line: {shown}",
        "Print nothing on stdout before the handshake: send it to stderr, print(..., file=sys.stderr), or log it.",
    )


def _check_versions(core: str, app: str) -> None:
    if not _INTEGER.match(core):
        raise _printed_text(f"{core}|{app}|...")
    if int(core) != CORE_PROTOCOL_VERSION:
        raise HandshakeRefused(
            f"The plugin speaks version {core} of go-plugin's core protocol; hosts speak {CORE_PROTOCOL_VERSION}.",
            "Update the plugin's go-plugin library.",
        )
    if not _INTEGER.match(app) or int(app) != APP_PROTOCOL_VERSION:
        raise HandshakeRefused(
            f"The plugin announced protocol version {app!r}; Grafana offers only {APP_PROTOCOL_VERSION}.",
            f"Serve protocol version {APP_PROTOCOL_VERSION} (Grafana's `pluginv2` services).",
        )


def _check_address(network: str, address: str) -> None:
    if network == "unix" and address:
        return
    _host, colon, port = address.rpartition(":")
    if network == "unix" or not colon or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise HandshakeRefused(
            f"The handshake's {network} address is {address!r}, which nobody can dial.",
            "Announce the path of a unix socket, or host:port.",
        )


def _check_transport(protocol: str) -> None:
    if protocol == "grpc":
        return
    said = f"the protocol {protocol!r}" if protocol else "no protocol"
    raise HandshakeRefused(
        f"The handshake announces {said}; Grafana allows grpc only"
        + (" (a line of four fields means netrpc)." if protocol == "netrpc" else "."),
        f"Serve gRPC and print its line: {_EXAMPLE}.",
    )
