"""A debug build's start-up looks here for a session that waits for it: then it is armed before the user's code runs.

debugtool leaves a small file in the user's private directory while it waits for a plugin to be started again. What is
said over the socket that it names is JSON lines: `arm` with the payload's arguments, `wait` as long as the debugger is
being brought up, `go`. Whatever goes wrong, the plugin starts: silence is borne for SILENCE_S, all of it for LIMIT_S;
where a person is waited for, as long as the file says, LONGEST_S at most.

Runs inside targets: CPython 3.8 and later, standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time

from . import paths, payload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFIX = "rendezvous-"
SILENCE_S = 2.0
LIMIT_S = 20.0
LONGEST_S = 55.0  # a host gives a plugin 60 s for its handshake line


def keep(executable: str, uid: int) -> None:
    """Let a session that waits for this program bring its debugger in; return when the program may go on.

    Args:
        executable: The program's own file, as the host starts it.
        uid: The process's user.
    """
    directory = paths.runtime_dir(uid)
    try:
        paths.check_private(directory, uid)
        names = sorted(name for name in os.listdir(directory) if name.startswith(PREFIX) and name.endswith(".json"))
    except (OSError, paths.UnsafeDirectory):
        return
    for name in names:
        try:
            place = read(os.path.join(directory, name), uid)
            is_ours = place["program"] in (None, os.path.realpath(executable)) and runs(place["pid"], place["started"])
            limit_s = min(place.get("limit_s", LIMIT_S), LONGEST_S)
            if is_ours and meet(place["socket"], uid, limit_s, executable):
                return
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            continue  # not debugtool's, or it is gone: the plugin starts


def read(path: str, uid: int) -> dict[str, Any]:
    """Read a rendezvous file.

    Raises:
        ValueError: It is not this user's alone, a link, or no such file.
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != uid or facts.st_mode & 0o022:
            raise ValueError("%s may be somebody else's" % path)
        place = json.loads(file.read(65536).decode("utf-8"))
    wanted: dict[str, Any] = {"program": (str, type(None)), "socket": str, "pid": int, "started": int}
    if not isinstance(place, dict) or not all(isinstance(place.get(k), wanted[k]) for k in wanted):
        raise ValueError("%s is no rendezvous" % path)
    return place


def runs(pid: int, started: int) -> bool:
    """Tell whether the session that wrote the file still runs: its pid with its start time, in ticks since boot."""
    try:
        with open("/proc/%d/stat" % pid, errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19]) == started
    except OSError:
        return False


def meet(path: str, uid: int, limit_s: float, executable: str) -> bool:
    """Do what a waiting session says, until it says go, falls silent or takes too long; tell whether it has armed us.

    Args:
        path: The session's socket.
        uid: The process's user.
        limit_s: For how long it may take, seconds.
        executable: The launcher, whose code is no code of the user's: no step of theirs stops there.

    Raises:
        OSError: Nobody is there any more; ValueError, KeyError: what is there is not debugtool.
    """
    deadline = time.monotonic() + limit_s
    is_armed = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(SILENCE_S)
        channel.connect(path)
        if payload.peer_uid(channel) not in (0, uid):
            return False
        with channel.makefile("rb") as lines:
            while time.monotonic() < deadline:
                order = json.loads(lines.readline(65536).decode("utf-8"))
                if order["do"] == "arm":
                    payload.run(dict(order["arguments"], launcher=(executable, os.path.realpath(executable))))
                    is_armed = True
                elif order["do"] == "go":
                    channel.sendall(b"{}\n")
                    break
    return is_armed
