"""Facts of this machine: the only package that asks which platform this is."""

import sys

PLATFORM: str = sys.platform

# After PLATFORM: the modules of this package read it.
from debugtool.system.permission import Credentials, Permission, examine, read_scope  # noqa: E402
from debugtool.system.platform import goos_goarch  # noqa: E402
from debugtool.system.process_facts import is_same_process, opened_pidfd, wait_for_exit  # noqa: E402
from debugtool.system.ptrace_scope import ask_on_terminal, temporarily_relax_ptrace_scope  # noqa: E402
from debugtool.system.refusal import Cause, Refusal, explain_refusal, why_not  # noqa: E402
from debugtool.system.sessions import SessionRecord, find_sessions, registered, start_ticks  # noqa: E402
from debugtool.system.tcp import (  # noqa: E402
    Listener,
    TcpSocket,
    listener_owner,
    loopback_peer_uid,
    parse_tcp,
    peer_uid,
    socket_inodes,
    tcp_sockets,
)

__all__ = [
    "PLATFORM",
    "Cause",
    "Credentials",
    "Listener",
    "Permission",
    "Refusal",
    "SessionRecord",
    "TcpSocket",
    "ask_on_terminal",
    "examine",
    "explain_refusal",
    "find_sessions",
    "goos_goarch",
    "is_same_process",
    "listener_owner",
    "loopback_peer_uid",
    "opened_pidfd",
    "parse_tcp",
    "peer_uid",
    "read_scope",
    "registered",
    "socket_inodes",
    "start_ticks",
    "tcp_sockets",
    "temporarily_relax_ptrace_scope",
    "wait_for_exit",
    "why_not",
]
