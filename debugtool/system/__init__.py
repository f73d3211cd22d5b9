"""Facts of this machine: the only package that asks which platform this is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from debugtool.parts import imported_when_asked_for

PLATFORM: str = sys.platform

if TYPE_CHECKING:
    from debugtool.system.as_user import files_as
    from debugtool.system.elf import elf_sections, exported_symbols, has_fixed_addresses
    from debugtool.system.faults import (
        BUILD_FAULT_POINTS,
        DETACH_POINTS,
        FAULT_POINTS,
        GO_EDITOR_POINTS,
        GO_FAULT_POINTS,
        REPLAY_POINTS,
        fault_point,
    )
    from debugtool.system.heap import give_back_memory
    from debugtool.system.ownership import changeable_by_others
    from debugtool.system.permission import Credentials, Permission, examine, in_initial_pid_namespace, read_scope
    from debugtool.system.pipes import pipe_holders
    from debugtool.system.platform import goos_goarch
    from debugtool.system.process_facts import (
        age_s,
        has_ended,
        is_same_process,
        namespace_mark,
        opened_pidfd,
        pending_signals,
        process_state,
        start_ticks,
        tracer_of,
        wait_for_exit,
    )
    from debugtool.system.ptrace_scope import ask_on_terminal, temporarily_relax_ptrace_scope
    from debugtool.system.python_version import find_version, python_version_in
    from debugtool.system.refusal import Cause, Refusal, explain_refusal, why_not
    from debugtool.system.sessions import (
        SessionKind,
        SessionRecord,
        announced_end,
        find_sessions,
        is_awaited,
        is_end_announced,
        registered,
        registered_beside,
        session_kind_on,
        session_on,
        sole_session,
        write_record,
    )
    from debugtool.system.shortage import explain_os_error, require_descriptors
    from debugtool.system.tcp import (
        Listener,
        TcpSocket,
        explain_bind,
        listener_owner,
        loopback_peer_uid,
        parse_tcp,
        peer_uid,
        socket_inodes,
        tcp_sockets,
    )
    from debugtool.system.tether import tethered
    from debugtool.system.trace_probe import try_tracing_a_child
    from debugtool.system.waiting_bytes import waiting_bytes
    from debugtool.system.words import printable

__all__ = [
    "BUILD_FAULT_POINTS",
    "DETACH_POINTS",
    "FAULT_POINTS",
    "GO_EDITOR_POINTS",
    "GO_FAULT_POINTS",
    "PLATFORM",
    "REPLAY_POINTS",
    "Cause",
    "Credentials",
    "Listener",
    "Permission",
    "Refusal",
    "SessionKind",
    "SessionRecord",
    "TcpSocket",
    "age_s",
    "announced_end",
    "ask_on_terminal",
    "changeable_by_others",
    "elf_sections",
    "examine",
    "explain_bind",
    "explain_os_error",
    "explain_refusal",
    "exported_symbols",
    "fault_point",
    "files_as",
    "find_sessions",
    "find_version",
    "give_back_memory",
    "goos_goarch",
    "has_ended",
    "has_fixed_addresses",
    "in_initial_pid_namespace",
    "is_awaited",
    "is_end_announced",
    "is_same_process",
    "listener_owner",
    "loopback_peer_uid",
    "namespace_mark",
    "opened_pidfd",
    "parse_tcp",
    "peer_uid",
    "pending_signals",
    "pipe_holders",
    "printable",
    "process_state",
    "python_version_in",
    "read_scope",
    "registered",
    "registered_beside",
    "require_descriptors",
    "session_kind_on",
    "session_on",
    "socket_inodes",
    "sole_session",
    "start_ticks",
    "tcp_sockets",
    "temporarily_relax_ptrace_scope",
    "tethered",
    "tracer_of",
    "try_tracing_a_child",
    "wait_for_exit",
    "waiting_bytes",
    "why_not",
    "write_record",
]

# Where each name comes from. A module is imported when one of its names is first asked for: `debugtool ps` needs a few
# of them, and all together take longer to import than its look at 2,000 processes.
_HOMES = {
    "as_user": ("files_as",),
    "elf": ("elf_sections", "exported_symbols", "has_fixed_addresses"),
    "faults": (
        "BUILD_FAULT_POINTS",
        "DETACH_POINTS",
        "FAULT_POINTS",
        "GO_EDITOR_POINTS",
        "GO_FAULT_POINTS",
        "REPLAY_POINTS",
        "fault_point",
    ),
    "heap": ("give_back_memory",),
    "ownership": ("changeable_by_others",),
    "permission": ("Credentials", "Permission", "examine", "in_initial_pid_namespace", "read_scope"),
    "pipes": ("pipe_holders",),
    "platform": ("goos_goarch",),
    "process_facts": (
        "age_s",
        "has_ended",
        "is_same_process",
        "namespace_mark",
        "opened_pidfd",
        "pending_signals",
        "process_state",
        "start_ticks",
        "tracer_of",
        "wait_for_exit",
    ),
    "python_version": ("find_version", "python_version_in"),
    "ptrace_scope": ("ask_on_terminal", "temporarily_relax_ptrace_scope"),
    "refusal": ("Cause", "Refusal", "explain_refusal", "why_not"),
    "sessions": (
        "SessionKind",
        "SessionRecord",
        "announced_end",
        "find_sessions",
        "is_awaited",
        "is_end_announced",
        "registered",
        "registered_beside",
        "session_kind_on",
        "session_on",
        "sole_session",
        "write_record",
    ),
    "shortage": ("explain_os_error", "require_descriptors"),
    "tcp": (
        "Listener",
        "TcpSocket",
        "explain_bind",
        "listener_owner",
        "loopback_peer_uid",
        "parse_tcp",
        "peer_uid",
        "socket_inodes",
        "tcp_sockets",
    ),
    "tether": ("tethered",),
    "trace_probe": ("try_tracing_a_child",),
    "waiting_bytes": ("waiting_bytes",),
    "words": ("printable",),
}

__getattr__ = imported_when_asked_for(__name__, _HOMES)
