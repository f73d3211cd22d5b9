"""Where the plugin listens: a unix socket as go-plugin makes it, or TCP where there are none."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from debugtool.plugin.handshake import HostSettings, StartRefused

# sizeof(sun_path) is 108 on Linux and 104 on macOS, the final zero included; the smaller one serves everywhere.
MAX_SOCKET_PATH_BYTES = 103
_PREFIX = "plugin"
_RANDOM_NAME_BYTES = len("/" + _PREFIX) + 8


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
            Path(self.address).unlink(missing_ok=True)


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
            Path(address.address).chmod(0o660)
        except OSError as error:
            address.remove()
            raise StartRefused(f"cannot give the socket to group {settings.socket_group}: {error.strerror}") from error
    return address


def socket_path(wanted_dir: str) -> str:
    """Choose a free path for the socket: in the host's directory, else TMPDIR, else /tmp.

    Raises:
        StartRefused: The host's directory leaves no room for a name: a socket's path has at most 103 bytes.
    """
    if wanted_dir:
        if len(os.fsencode(wanted_dir)) + _RANDOM_NAME_BYTES > MAX_SOCKET_PATH_BYTES:
            raise StartRefused(
                f"PLUGIN_UNIX_SOCKET_DIR is too long: {wanted_dir}; a socket's path has at most"
                f" {MAX_SOCKET_PATH_BYTES} bytes"
            )
        directory = wanted_dir
    else:
        directory = tempfile.gettempdir()  # TMPDIR, and /tmp when there is none
        if len(os.fsencode(directory)) + _RANDOM_NAME_BYTES > MAX_SOCKET_PATH_BYTES:
            directory = "/tmp"
    # go-plugin's way: the name of a temporary file that has just been removed.
    try:
        descriptor, path = tempfile.mkstemp(prefix=_PREFIX, dir=directory)
    except OSError as error:
        raise StartRefused(f"cannot make a socket in {directory}: {error.strerror}") from error
    os.close(descriptor)
    Path(path).unlink()
    return path


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
