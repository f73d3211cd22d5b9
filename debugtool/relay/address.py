"""The address that an editor connects to: whether others can reach it, and whether it may be listened on."""

from __future__ import annotations

import ipaddress

from debugtool.errors import Refused


def reachable(host: str) -> str:
    """Give the address to connect to on this machine where we listen on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine only. A name is no address, but for `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str, allow_remote: bool) -> None:
    """Refuse to listen where others can reach us, unless that is wanted.

    Raises:
        Refused: `host` is not a loopback address and `allow_remote` is false.
    """
    if not is_loopback(host) and not allow_remote:
        raise Refused(
            f"Not listening on {host}.",
            why="whoever reaches the debug port runs code as the plugin's user, without a password",
            next_step="leave --host out and forward the port (ssh -L 3222:127.0.0.1:3222), or add --allow-remote",
        )
