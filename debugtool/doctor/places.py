"""The places that an attach takes: the port, the runtime directory, launch.json."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from debugtool import editors, system
from debugtool.doctor.finding import Finding, Status, of_error
from debugtool.errors import DebugtoolError
from debugtool.model import Target
from debugtool.plugin.agent import paths

_HOST = "127.0.0.1"

# A session writes some 100 KB; a copy of debugpy, for a user who cannot read debugtool's own, is 20 MB.
_SPACE_NEEDED, _SPACE_WANTED = 1 << 20, 32 << 20


def check_port(port: int, target: Target | None) -> Finding:
    """Take the port for a moment, as an attach would; no connection is made to whoever has it.

    Args:
        port: TCP port, 0 for any free one.
        target: The process that is meant, if there is one: its own session may have the port.
    """
    if port == 0:
        return Finding("port", Status.OK, "Any free one.")
    try:
        with socket.create_server((_HOST, port)):
            return Finding("port", Status.OK, f"{port} is free.")
    except OSError as error:
        refused = system.explain_bind(_HOST, port, error)
    owner = system.listener_owner(port)
    holder = owner.process.pid if owner and owner.process else None
    session = next((one for one in system.find_sessions() if (one.port, one.relay_pid) == (port, holder)), None)
    if session is None:
        return of_error("port", refused)
    name = f"{session.target_name} (pid {session.target_pid})"
    if target is None or session.target_pid == target.pid:
        return Finding("port", Status.OK, f"{port} is debugtool's own: a session on {name} listens there.")
    return Finding(
        "port",
        Status.PROBLEM,
        refused.what,
        f"a debugtool session on {name} listens there",
        f"end it with debugtool detach {session.target_pid}, or choose another --port (0 takes a free one)",
    )


def check_runtime_directory(uid: int) -> Finding:
    """See that a user's private meeting place is, or can be, private and has room."""
    check, path = "runtime-directory", Path(paths.runtime_dir(uid))
    parent = path if path.is_dir() else path.parent
    try:
        if os.path.lexists(path):
            paths.check_private(str(path), uid)
        free = _free_bytes(parent)
    except paths.UnsafeDirectory as error:
        advice = f"look at it, and remove it: rm -r {path}"
        return Finding(check, Status.PROBLEM, f"{path} is not private to uid {uid}.", str(error), advice)
    except OSError as error:
        return Finding(check, Status.PROBLEM, f"{path} cannot be used.", str(error), f"make {parent} usable")
    if not os.access(parent, os.W_OK | os.X_OK):
        why = f"uid {os.geteuid()} may not write {parent}, or its file system is read-only"
        return Finding(check, Status.PROBLEM, f"{path} cannot be written.", why, f"make {parent} writable")
    if free < _SPACE_WANTED:
        status = Status.PROBLEM if free < _SPACE_NEEDED else Status.WARNING
        why = f"{free >> 10} KB are free in {parent}; a session takes up to {_SPACE_WANTED >> 20} MB"
        return Finding(check, status, f"There is little room for {path}.", why, f"make room in {parent}")
    return Finding(check, Status.OK, f"{path}.")


def _free_bytes(path: Path) -> int:
    facts = os.statvfs(path)
    return facts.f_bavail * facts.f_frsize


def check_sessions() -> Finding:
    """List the sessions of this user. Records of killed ones are removed, as by every command that reads them."""
    directory = Path(paths.runtime_dir(os.geteuid()))
    before = len(list(directory.glob("session-*.json"))) if os.access(directory, os.R_OK) else 0
    sessions = system.find_sessions()
    words = ", ".join(f"{one.target_name} (pid {one.target_pid}) on {one.host}:{one.port}" for one in sessions)
    running = f"Running: {words or 'none'}."
    if before > len(sessions):
        why = "their debugtool was killed, or of another version"
        return Finding("sessions", Status.INFO, f"{running} Stale records removed: {before - len(sessions)}.", why)
    return Finding("sessions", Status.OK, running)


def check_launch_json(plugin_dir: Path | None) -> Finding:
    """See that the editor's configuration can be written; an attach goes on without it."""
    try:
        workspace = editors.find_workspace(None, plugin_dir)
        path = editors.check_launch_json(workspace, editors.debugpy_entry())
    except editors.LaunchJsonError as error:
        what = f"{error.details['path']} cannot be brought up to date."
        return Finding("launch-json", Status.WARNING, what, error.why, "correct it, then run debugtool launch-json")
    except DebugtoolError as error:
        return of_error("launch-json", error, Status.WARNING)
    return Finding("launch-json", Status.OK, f"{path} can be written.")
