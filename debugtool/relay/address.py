"""The address that an editor connects to: whether others can reach it, and whether it may be listened on."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from debugtool.errors import Refused
from debugtool.system import explain_bind

_BACKLOG = 100


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


def listen_on(host: str, port: int, *, allow_remote: bool) -> list[socket.socket]:
    """Listen on an address, on all of them where a name stands for several; no event loop is needed yet.

    Args:
        host: The address; `port` 0 asks for a free one, the same on all.
        port: See `host`.
        allow_remote: Whether it may be an address that others can reach.

    Raises:
        AddressInUse: Somebody listens there; the message says who.
        Refused: An address that others can reach, without `allow_remote`.
    """
    check_host(host, allow_remote)
    with contextlib.ExitStack() as unless_all_listen:
        listeners: list[socket.socket] = []
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                listener = unless_all_listen.enter_context(socket.socket(family, kind, protocol))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address[0], port, *address[2:]))
                listener.listen(_BACKLOG)
                listeners.append(listener)
                port = listener.getsockname()[1]
        except OSError as error:
            raise explain_bind(host, port, error) from error
        unless_all_listen.pop_all()
        return listeners
