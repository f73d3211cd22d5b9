"""What a process listens on, in its own network namespace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from debugtool.processes.runtime import read_link
from debugtool.processes.scan import PROC
from debugtool.system import TcpSocket, socket_inodes, tcp_sockets

# Source: __SO_ACCEPTCON, include/linux/net.h: the socket listens.
_LISTENS = 0x10000
# Source: include/net/tcp_states.h.
_TCP_LISTEN = 10

GO_PLUGIN_PREFIX = "plugin"
"""go-plugin binds a temporary file's name with this prefix (server.go, serverListener_unix)."""


def parse_unix(text: str) -> dict[int, str]:
    """Map the inode of each listening unix socket with a name to that name, from the text of /proc/net/unix.

    Source:
        proc(5); an abstract name starts with "@".
    """
    listening = {}
    for line in text.splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & _LISTENS:
            listening[int(fields[6])] = fields[7]
    return listening


def unix_listeners(pid: int, proc: Path = PROC) -> dict[int, str]:
    """Give the listening unix sockets of a process's network namespace: inode to path."""
    try:
        return parse_unix((proc / str(pid) / "net/unix").read_text(errors="surrogateescape"))
    except OSError:
        return {}


def is_go_plugin_socket(path: str) -> bool:
    """Tell whether a unix socket has a name such as go-plugin gives it."""
    return not path.startswith("@") and path.rpartition("/")[2].startswith(GO_PLUGIN_PREFIX)


def grpc_address(pid: int, proc: Path = PROC) -> str | None:
    """Give the address a process serves on: its go-plugin socket, else another unix socket, else a TCP port.

    Returns:
        `unix:///path` or `127.0.0.1:port`; None when it listens on nothing, or its descriptors cannot be read. In
        another mount namespace the path leads through `/proc/PID/root`, so that it can be connected to from here.
    """
    inodes = socket_inodes(pid, proc=proc)
    if not inodes:
        return None
    listening = unix_listeners(pid, proc).items()
    paths = [path for inode, path in listening if inode in inodes and path.startswith("/") and not _is_agents(path)]
    for path in sorted(paths, key=lambda path: (not is_go_plugin_socket(path), path)):
        return f"unix://{_prefix(pid, proc)}{path}"
    return _first_tcp(inodes, tcp_sockets(pid, proc=proc))


def _is_agents(path: str) -> bool:
    """Tell whether it is the socket of a debug build's agent, see plugin/agent/paths.py."""
    directory, _, name = path.rpartition("/")
    return name.startswith("agent-") and directory.rpartition("/")[2].startswith("debugtool")


def _first_tcp(inodes: frozenset[int], sockets: Iterable[TcpSocket]) -> str | None:
    listening = [found.local for found in sockets if found.state == _TCP_LISTEN and found.inode in inodes]
    for address, port in sorted(listening, key=lambda local: (not local[0].is_loopback, local[1])):
        # What listens everywhere is reached over loopback.
        host = ("::1" if address.version == 6 else "127.0.0.1") if address.is_unspecified else str(address)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None


def _prefix(pid: int, proc: Path) -> str:
    theirs, ours = read_link(f"{proc}/{pid}/ns/mnt"), read_link(f"{proc}/self/ns/mnt")
    return f"{proc}/{pid}/root" if theirs and ours and theirs != ours else ""
