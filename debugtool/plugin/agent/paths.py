"""Where debugtool and the processes it debugs meet: one private directory for each user.

The same answer on both sides without any environment variable, because a host may hand a plugin none (Grafana 12.4 and
later). Runs inside targets: CPython 3.8 and later, standard library only.
"""

import os
import stat


class UnsafeDirectory(Exception):
    """The runtime directory is somebody else's, a link, or open to others."""


def runtime_dir(uid: int) -> str:
    """Name the private directory of a user, whether or not it exists.

    Args:
        uid: Numeric user id.

    Returns:
        `/run/user/UID/debugtool` where systemd made that user's directory, else `/tmp/debugtool-UID`.
    """
    session = f"/run/user/{uid}"
    try:
        if os.stat(session).st_uid == uid:
            return session + "/debugtool"
    except OSError:
        pass
    return f"/tmp/debugtool-{uid}"


def make_runtime_dir(uid: int) -> str:
    """Make that directory, 0700 and owned by `uid` (root may make another user's), and give its name.

    Raises:
        UnsafeDirectory: It exists and is not a directory of that user alone.
        OSError: It cannot be made.
    """
    path = runtime_dir(uid)
    try:
        os.mkdir(path, 0o700)
        if os.geteuid() != uid:
            os.chown(path, uid, -1, follow_symlinks=False)
    except FileExistsError:
        pass
    check_private(path, uid)
    return path


def check_private(path: str, uid: int) -> None:
    """Make sure that only `uid` can reach into a directory.

    Raises:
        UnsafeDirectory: It is a link, not a directory, owned by another user, or open to group or others.
        OSError: It cannot be looked at.
    """
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode):
        raise UnsafeDirectory(f"{path} is not a directory")
    if facts.st_uid != uid:
        raise UnsafeDirectory(f"{path} belongs to user {facts.st_uid}, not to {uid}")
    if facts.st_mode & 0o077:
        raise UnsafeDirectory(f"{path} is open to others (mode {stat.S_IMODE(facts.st_mode):04o})")


def agent_socket(uid: int, pid: int) -> str:
    """Name the socket on which the debug agent of a process listens."""
    return f"{runtime_dir(uid)}/agent-{pid}.sock"
