"""Who debugs a process already: one of our sessions, a tracer, or debugpy's adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from debugtool.processes.scan import Seen
from debugtool.processes.table import ProcessTable
from debugtool.system import TcpSocket, printable, socket_inodes, tcp_sockets, tracer_of

if TYPE_CHECKING:
    from debugtool.system import SessionRecord

# Source: include/net/tcp_states.h.
_ESTABLISHED, _LISTEN = 1, 10


def debugger_words(seen: Seen, table: ProcessTable, sessions: Sequence[SessionRecord] = ()) -> str | None:
    """Say in words who debugs a process; None when nobody does.

    Args:
        seen: The process.
        table: The processes it was found among.
        sessions: Our own sessions that are running.
    """
    for session in sessions:
        if (session.target_pid, session.target_started) == (seen.pid, seen.started_ticks):
            return f"debugtool on {session.host}:{session.port} (pid {session.relay_pid})"
    return _tracer(seen.pid, table) or _debugpy(seen, table)


def _tracer(pid: int, table: ProcessTable) -> str | None:
    """Name who traces it with ptrace: gdb, dlv, strace."""
    tracer = tracer_of(pid, proc=table.proc)
    if not tracer:
        return None
    seen = table.get(tracer)
    return f"{printable(seen.comm) if seen else 'a process'} (pid {tracer})"


def _debugpy(seen: Seen, table: ProcessTable) -> str | None:
    """Find a debugpy adapter at the other end of one of its connections.

    The adapter is no child of what it debugs: it makes itself a daemon.
    """
    adapters = table.debugpy_adapters()
    if not adapters:
        return None
    sockets = tcp_sockets(seen.pid, proc=table.proc)
    own = socket_inodes(seen.pid, proc=table.proc)
    peers = {(found.remote, found.local) for found in sockets if found.inode in own and found.state == _ESTABLISHED}
    for adapter in adapters:
        held = socket_inodes(adapter.pid, proc=table.proc)
        theirs = [found for found in sockets if found.inode in held]
        for found in theirs:
            if found.state == _ESTABLISHED and (found.local, found.remote) in peers:
                return f"debugpy{_client_port(theirs, found)} (pid {adapter.pid})"
    return None


def _client_port(sockets: Sequence[TcpSocket], server_side: TcpSocket) -> str:
    """Say where the adapter listens for editors: on the port that is not for what it debugs."""
    for found in sockets:
        if found.state == _LISTEN and found.local[1] != server_side.local[1]:
            return f" on {found.local[0]}:{found.local[1]}"
    return ""
