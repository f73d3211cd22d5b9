"""Who owns a loopback TCP port or connection, read from /proc/net."""

from __future__ import annotations

import errno
import os
import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from debugtool.errors import AddressInUse, DebugtoolError
from debugtool.model import ProcessRef
from debugtool.system.words import printable

if TYPE_CHECKING:
    import socket

PROC = Path("/proc")

# Source: include/net/tcp_states.h.
ESTABLISHED, LISTEN = 1, 10


@dataclass(frozen=True)
class TcpSocket:
    """One line of /proc/net/tcp or tcp6.

    Attributes:
        local: Address and port at this end; `remote` at the other, port 0 when it listens.
        state: `ESTABLISHED`, `LISTEN`, or another number of tcp_states.h.
        uid: Owner of the socket: the effective uid of who made it. 0 is also shown once no process holds it any more.
        inode: Names the socket in /proc/PID/fd; 0 once no process holds it any more.
    """

    local: tuple[IPv4Address | IPv6Address, int]
    remote: tuple[IPv4Address | IPv6Address, int]
    state: int
    uid: int
    inode: int


def _endpoint(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    address, port = text.split(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    # Each 32-bit word is printed as a number of this machine's byte order.
    ip = ip_address(struct.pack(f"={len(words)}I", *words))
    return _plain(ip), int(port, 16)


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def parse_tcp(text: str, ports: tuple[int, int] | None = None) -> list[TcpSocket]:
    """Read the text of /proc/net/tcp or /proc/net/tcp6. An IPv4 address inside IPv6 is given as IPv4.

    Args:
        text: See above.
        ports: Leave out the sockets whose lines do not have these two ports, local and remote or the other way round.

    Source:
        Kernel Documentation/networking/proc_net_tcp.rst.
    """
    sockets = []
    # by text first: a table has a line for each connection of the last minute, and few of them are meant
    marks = [f":{port:04X} " for port in ports or ()]
    for line in text.splitlines()[1:]:
        if not all(mark in line for mark in marks):
            continue
        fields = line.split()
        if len(fields) >= 10:
            sockets.append(
                TcpSocket(
                    _endpoint(fields[1]), _endpoint(fields[2]), int(fields[3], 16), int(fields[7]), int(fields[9])
                )
            )
    return sockets


def tcp_sockets(pid: int | None = None, *, ports: tuple[int, int] | None = None, proc: Path = PROC) -> list[TcpSocket]:
    """List the TCP sockets of a process's network namespace, ours by default; empty when it cannot be read.

    Args:
        pid: The process.
        ports: As in `parse_tcp`.
        proc: Where procfs is mounted.
    """
    directory = proc / (str(pid) if pid is not None else "self") / "net"
    sockets = []
    for name in ("tcp", "tcp6"):
        try:
            sockets += parse_tcp((directory / name).read_text(), ports)
        except OSError:  # no IPv6 here, or the process is gone
            continue
    return sockets


def peer_uid(
    local_port: int,
    remote_port: int,
    *,
    local_host: str | None = None,
    remote_host: str | None = None,
    pid_netns: int | None = None,
    proc: Path = PROC,
) -> int | None:
    """Find the user at the other end of a loopback connection that we accepted.

    Args:
        local_port: Port at our end, with its address `local_host` (any loopback address by default).
        remote_port: Port at the peer's end, with its address `remote_host` likewise.
        local_host: See `local_port`.
        remote_host: See `remote_port`. Give both where a refusal hangs on it: 127.0.0.2 has all the ports once more.
        pid_netns: A process in whose network namespace both ends are; ours by default.
        proc: Where procfs is mounted.

    Returns:
        Uid of the owner of the peer's socket. None when there is no such connection, when several users have one with
        these ports, or when its owner has closed it already: the kernel then shows uid 0 for whomever, so that must
        never be taken for root.
    """
    owners = {
        found.uid
        for found in tcp_sockets(pid_netns, ports=(remote_port, local_port), proc=proc)
        if _is(found.local, remote_host, remote_port) and _is(found.remote, local_host, local_port) and found.inode != 0
    }
    return owners.pop() if len(owners) == 1 else None


def _is(endpoint: tuple[IPv4Address | IPv6Address, int], host: str | None, port: int) -> bool:
    address, its_port = endpoint
    return its_port == port and (address.is_loopback if host is None else address == _plain(ip_address(host)))


@dataclass(frozen=True)
class Listener:
    """Who listens on a port.

    Attributes:
        uid: Owner of the socket.
        process: The process that holds it, None when its file descriptors cannot be read (another user's).
    """

    uid: int
    process: ProcessRef | None


def listener_owner(port: int, *, proc: Path = PROC) -> Listener | None:
    """Find out who listens on a TCP port of our network namespace; None when nobody does."""
    for found in tcp_sockets(proc=proc):
        if found.state == LISTEN and found.local[1] == port:
            return Listener(found.uid, _holder(found.inode, proc))
    return None


def explain_bind(host: str, port: int, error: OSError) -> DebugtoolError:
    """Say why we could not listen on an address, and who does where it is in use: the error to raise, `from error`."""
    if error.errno != errno.EADDRINUSE:
        return DebugtoolError(f"Could not listen on {host}:{port}.", why=str(error), next_step="choose another --port")
    owner = listener_owner(port)
    if owner is None:
        who = "somebody listens there"
    elif owner.process is None:
        who = f"a process of user {owner.uid} listens there"
    else:
        who = f"pid {owner.process.pid} ({owner.process.name}) of user {owner.uid} listens there"
    return AddressInUse(
        f"Could not listen on {host}:{port}: the address is in use.",
        why=who,
        next_step="end that process, or choose another --port (0 takes a free one)",
    )


def _holder(inode: int, proc: Path) -> ProcessRef | None:
    for entry in sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit()):
        if inode in socket_inodes(entry, proc=proc):
            try:
                return ProcessRef(entry, printable((proc / str(entry) / "comm").read_text(errors="replace").strip()))
            except OSError:
                continue
    return None


_SOCKET = re.compile(r"socket:\[(\d+)\]")


def socket_inodes(pid: int, *, proc: Path = PROC) -> frozenset[int]:
    """Give the sockets that a process holds, by inode; empty when they cannot be read."""
    directory = f"{proc}/{pid}/fd"
    inodes = set()
    try:
        names = os.listdir(directory)  # noqa: PTH208 - this runs for thousands of descriptors
    except OSError:
        return frozenset()
    for name in names:
        try:
            match = _SOCKET.fullmatch(os.readlink(f"{directory}/{name}"))  # noqa: PTH115 - as above
        except OSError:  # closed meanwhile
            continue
        if match:
            inodes.add(int(match[1]))
    return frozenset(inodes)


def loopback_peer_uid(connection: socket.socket) -> int | None:
    """Find the user at the other end of a TCP connection we accepted.

    Returns:
        As `peer_uid`; None when the peer has gone, too.
    """
    try:
        local, remote = connection.getsockname(), connection.getpeername()
    except OSError:  # ENOTCONN: it went before we looked
        return None
    return peer_uid(local[1], remote[1], local_host=local[0], remote_host=remote[0])
