"""The debug sessions of this user on this machine: one small record for each, beside the agents' sockets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from debugtool.model import Target
from debugtool.plugin.agent import paths
from debugtool.system.as_user import files_as
from debugtool.system.process_facts import age_s, has_ended, namespace_mark, start_ticks

_SWEEP_S = 0.2  # far longer than one debugtool looks at the lock of another
_SUCCESSION_S = 10.0  # far longer than a session that waits takes to have the lock of the process it waited for
_EVERY = b"all"  # in the locks of a session that takes all processes of a name


class SessionKind(StrEnum):
    """What a session that has a process does with the others of its name."""

    SINGLE = "single"
    EVERY = "every"  # it has them too, or will have


@dataclass(frozen=True)
class SessionRecord:
    """A relay that is running.

    Attributes:
        relay_pid: The `debugtool attach` process; `relay_started` its start time in clock ticks since boot.
        target_pid: The process it debugs; `target_started` likewise.
        target_name: Its name as `debugtool ps` shows it.
        host: Address an editor connects to, with `port`.
        method: How the debugger got in.
        namespace: Where the numbers count (`namespace_mark`).
        target_host: Pid of the target's host; None without one.
        follows: Whether it goes on with the process that comes after the target.
        is_ending: Whether it lets the target go, and ends; with it all records of the same relay.
    """

    relay_pid: int
    relay_started: int
    target_pid: int
    target_started: int
    target_name: str
    host: str
    port: int
    method: str
    namespace: str
    target_host: int | None = None
    follows: bool = False
    is_ending: bool = False

    @classmethod
    def of(cls, target: Target, host: str, port: int, method: str, *, follows: bool = False) -> SessionRecord:
        """Make the record of a session of this process."""
        return cls(
            relay_pid=os.getpid(),
            relay_started=start_ticks(os.getpid()) or 0,
            target_pid=target.pid,
            target_started=target.started_ticks,
            target_name=target.name,
            host=host,
            port=port,
            method=method,
            namespace=namespace_mark(),
            target_host=target.host.pid if target.host else None,
            follows=follows,
        )

    def awaits(self, target: Target) -> bool:
        """Tell whether it waits for a process such as this one, its own having ended."""
        if not self.follows or self.is_ending or target.name != self.target_name:
            return False
        if not has_ended(self.target_pid, self.target_started):
            return False
        host = self.target_host
        is_its_hosts = (
            host is None or start_ticks(host) is None or (target.host is not None and target.host.pid == host)
        )
        return is_its_hosts and target.started_ticks >= self.target_started


_FIELDS = SessionRecord.__dataclass_fields__


def _directory() -> Path:
    return Path(paths.make_runtime_dir(os.geteuid()))


@contextlib.contextmanager
def registered(record: SessionRecord) -> Iterator[None]:
    """Keep the record of a session for as long as the block runs.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    path = write_record(record)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def registered_beside(record: SessionRecord) -> Iterator[None]:
    """Keep one more record of a session, for another process that it debugs, for as long as the block runs.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    path = _write(record, f"session-{record.relay_pid}-{record.target_pid}.json")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_record(record: SessionRecord) -> Path:
    """Write a session's record, in the place of the one before: its target is another process after a restart.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    return _write(record, f"session-{record.relay_pid}.json")


def _write(record: SessionRecord, name: str) -> Path:
    path = _directory() / name
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(asdict(record)))
    beside.rename(path)
    return path


@contextlib.contextmanager
def sole_session(target_pid: int, uid: int, *, every: bool = False) -> Iterator[bool]:
    """Be the only session on a target while the block runs, whichever user's debugtool asks.

    Args:
        target_pid: The target.
        uid: Its user, in whose runtime directory the lock lies.
        every: Whether the session takes all processes of the target's name (`attach --all`).

    Yields:
        Whether we are; another session has it otherwise.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    if os.geteuid() not in (0, uid):
        yield True  # that user's directory is closed to us; the kernel has the say about the rest
        return
    directory = Path(paths.make_runtime_dir(uid))
    for left in directory.glob("target-*.lock"):  # of a debugtool that was killed
        _release(left, _take(left, uid, patience_s=0))
    path = directory / f"target-{target_pid}.lock"
    descriptor = _take(path, uid, patience_s=_SWEEP_S)
    try:
        if descriptor is not None and every:
            os.write(descriptor, _EVERY)
        yield descriptor is not None
    finally:
        _release(path, descriptor)


def session_kind_on(target_pid: int, uid: int) -> SessionKind | None:
    """Say what kind of session has a target, whichever user's it is; None where none has, or none can be seen.

    Args:
        target_pid: The target.
        uid: Its user.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    if os.geteuid() not in (0, uid):
        return None  # as for `sole_session`
    path = Path(paths.make_runtime_dir(uid)) / f"target-{target_pid}.lock"
    descriptor = _take(path, uid, patience_s=_SWEEP_S)
    if descriptor is not None:
        _release(path, descriptor)
        return None
    with contextlib.suppress(FileNotFoundError):  # it ends just now
        return SessionKind.EVERY if path.read_bytes() == _EVERY else SessionKind.SINGLE
    return None


@contextlib.contextmanager
def announced_end(target: Target) -> Iterator[None]:
    """Have it known, for as long as the block runs, that a process is to end: a session lets it go at a breakpoint.

    Where that cannot be written down the process is ended all the same.
    """
    with contextlib.ExitStack() as announcement:
        with contextlib.suppress(OSError, paths.UnsafeDirectory):
            path = Path(paths.make_runtime_dir(target.uid)) / f"ending-{target.pid}.lock"
            announcement.callback(_release, path, _take(path, target.uid, patience_s=_SWEEP_S))
        yield


def is_end_announced(target: Target) -> bool:
    """Tell whether some debugtool is about to end a process, see `announced_end`."""
    path = Path(paths.runtime_dir(target.uid)) / f"ending-{target.pid}.lock"
    with contextlib.suppress(OSError, paths.UnsafeDirectory):
        if path.exists():
            paths.check_private(str(path.parent), target.uid)
            descriptor = _take(path, target.uid, patience_s=0)
            _release(path, descriptor)  # of a debugtool that was killed
            return descriptor is None
    return False


def _take(path: Path, uid: int, patience_s: float) -> int | None:
    """Take the lock of a file, made if need be and owned by `uid`; None when another session has it.

    Any debugtool that starts takes each lock for a moment, to see whether it was left behind: that is waited for.
    """
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.ExitStack() as unless_taken:
            with files_as(uid):  # root may be first; the user's own debugtool must be able to open it later
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            unless_taken.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(_SWEEP_S / 20)
                continue
            if os.fstat(descriptor).st_nlink > 0:  # else its last holder has just removed it
                unless_taken.pop_all()
                return descriptor


def _release(path: Path, descriptor: int | None) -> None:
    """Give a lock back that `_take` gave, and remove its file first, so that nobody else takes that one."""
    if descriptor is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def find_sessions() -> list[SessionRecord]:
    """List the running sessions of this user; records of relays that are gone are removed on the way."""
    directory = Path(paths.runtime_dir(os.geteuid()))
    with contextlib.suppress(OSError, paths.UnsafeDirectory):
        paths.check_private(str(directory), os.geteuid())
        return [record for path in sorted(directory.glob("session-*.json")) if (record := _read(path))]
    return []


def session_on(target: Target) -> SessionRecord | None:
    """Give the session of this user that has a target, and keeps it; None without one."""
    sessions = find_sessions()
    ending = {session.relay_pid for session in sessions if session.is_ending}
    theirs = (target.pid, target.started_ticks)
    on_it = [session for session in sessions if (session.target_pid, session.target_started) == theirs]
    return next((session for session in on_it if session.relay_pid not in ending), None)


def is_awaited(target: Target) -> bool:
    """Tell whether a process has just been started that a session of this user waits for: the next one of its plugin.

    One that has run for longer is not: that session leaves it alone, or is stopped.
    """
    return age_s(target.pid) < _SUCCESSION_S and any(session.awaits(target) for session in find_sessions())


def _read(path: Path) -> SessionRecord | None:
    try:
        fields = json.loads(path.read_text())
        # what another version writes besides is left out: removed, its session would be lost to it
        record = SessionRecord(**{name: fields[name] for name in fields if name in _FIELDS})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        path.unlink(missing_ok=True)  # written by another version, or cut short by a full disk
        return None
    if record.namespace != namespace_mark():
        return None  # of another container that shares this directory: nothing of it can be seen from here
    if has_ended(record.relay_pid, record.relay_started):
        path.unlink(missing_ok=True)
        return None
    return record
