"""Where the plugin listens: a unix socket as go-plugin makes it, or TCP where there are none."""

# ruff: noqa: PTH101, PTH108, PTH112, PTH118
# pathlib and tempfile take 6 and 5 ms to import, and a handshake takes 150 in all.

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from debugtool.plugin.handshake import HostSettings, StartRefused

# sizeof(sun_path) is 108 on Linux and 104 on macOS, the final zero included; the smaller one serves everywhere.
MAX_SOCKET_PATH_BYTES = 103
_RANDOM_BYTES = 5
_TEMPORARY = "/tmp"


@dataclass(frozen=True)
class Address:
    """Where a plugin listens: `network` is `unix` or `tcp`, `address` a path or `127.0.0.1:PORT`."""

    network: str
    address: str

    @property
    def grpc_target(self) -> str:
        """The address as gRPC takes it."""
        return f"unix:{self.address}" if self.network == "unix" else self.address

    def remove(self) -> None:
        """Remove the socket's file, if there is one."""
        if self.network == "unix":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address)


def listen(settings: HostSettings, bind: Callable[[str], object]) -> Address:
    """Bind a server where the host expects it.

    Args:
        settings: What the host asks for.
        bind: Makes the server listen on a gRPC target; raises RuntimeError when it cannot.

    Raises:
        StartRefused: The directory is too long a path, the group does not exist or is not ours to give the socket to,
            or no address is free.

    Source:
        wire-spec 1.1 and 1.6.
    """
    if not hasattr(socket, "AF_UNIX"):
        return _listen_tcp(settings, bind)
    group = _group_id(settings.socket_group) if settings.socket_group else None
    address = Address("unix", socket_path(settings.socket_dir))
    try:
        bind(address.grpc_target)
    except RuntimeError as error:
        raise StartRefused(f"cannot listen on {address.address}: {error}") from error
    if group is not None:
        try:
            os.chown(address.address, -1, group)
            os.chmod(address.address, 0o660)
        except OSError as error:
            address.remove()
            raise StartRefused(f"cannot give the socket to group {settings.socket_group}: {error.strerror}") from error
    return address


def socket_path(wanted_dir: str) -> str:
    """Choose a path for the socket: in the host's directory, else TMPDIR, else /tmp (where TMPDIR is too long).

    Raises:
        StartRefused: The host's directory is not there, or leaves no room for a name: a socket's path has at most 103
            bytes.
    """
    directory = wanted_dir or os.environ.get("TMPDIR") or _TEMPORARY
    if _is_too_long(directory):
        if wanted_dir:
            raise StartRefused(
                f"PLUGIN_UNIX_SOCKET_DIR is too long: {wanted_dir}; a socket's path has at most"
                f" {MAX_SOCKET_PATH_BYTES} bytes"
            )
        directory = _TEMPORARY
    if not os.path.isdir(directory):
        raise StartRefused(f"cannot make a socket in {directory}: no such directory")
    return os.path.join(directory, f"plugin{os.urandom(_RANDOM_BYTES).hex()}")


def _is_too_long(directory: str) -> bool:
    return len(os.fsencode(directory)) + len("/plugin") + 2 * _RANDOM_BYTES > MAX_SOCKET_PATH_BYTES


def _group_id(group: str) -> int:
    if group.isdecimal():
        return int(group)
    import grp  # absent where there are no unix sockets

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartRefused(f"PLUGIN_UNIX_SOCKET_GROUP names no group: {group}") from None


def _listen_tcp(settings: HostSettings, bind: Callable[[str], object]) -> Address:
    if settings.min_port > settings.max_port:
        raise StartRefused(f"PLUGIN_MIN_PORT {settings.min_port} is above PLUGIN_MAX_PORT {settings.max_port}")
    for port in range(settings.min_port, settings.max_port + 1):
        address = Address("tcp", f"127.0.0.1:{port}")
        with contextlib.suppress(RuntimeError):  # taken: try the next
            bind(address.grpc_target)
            return address
    raise StartRefused(f"no free port from {settings.min_port} to {settings.max_port}")
