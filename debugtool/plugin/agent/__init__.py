"""The debug agent of a debug build: it waits for debugtool on a private unix socket, and costs nothing until then.

No ptrace and no privileges: the plugin itself starts the payload when its own user (or root) asks. A release build
holds none of this.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import threading

from . import paths, payload, rendezvous  # relative: an editable build loads this package under a name of its own


def start(executable: str) -> None:
    """Begin to listen for debugtool, in a daemon thread; called by a debug build's launcher before the user's code.

    A session that waits for this program is let in first, so that the user's code does not run undebugged.

    Never stands in the plugin's way: where no socket or thread can be had (a read-only machine, a full disk), the
    plugin runs on without an agent and debugtool gets in another way.

    Args:
        executable: The launcher's own file.
    """
    uid, pid = os.geteuid(), os.getpid()
    rendezvous.keep(executable, uid)
    try:
        paths.make_runtime_dir(uid)
        path = paths.agent_socket(uid, pid)
        sweep(os.path.dirname(path))
        remove(path)  # of a process that had this pid before
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(4)
    except (OSError, paths.UnsafeDirectory):
        return
    thread = threading.Thread(target=serve, args=(listener, uid, pid), name="debugtool agent", daemon=True)
    payload.hide(thread)
    try:
        thread.start()
    except RuntimeError:  # no thread can be had
        listener.close()
        remove(path)
        return
    atexit.register(remove_own, path, pid)


def serve(listener: socket.socket, uid: int, pid: int) -> None:
    """Start a session for each request of our own user; runs in the agent's thread for the life of the process."""
    while os.getpid() == pid:
        try:
            channel, _ = listener.accept()
        except OSError:
            return
        with channel:
            try:
                channel.settimeout(5)
                if payload.peer_uid(channel) not in (0, uid):
                    continue
                line = channel.makefile("rb").readline(65536)
                channel.sendall(json.dumps(begin(line)).encode("ascii") + b"\n")
            except OSError:
                continue  # it says nothing, or is gone: the next one is served


def begin(line: bytes) -> dict[str, str]:
    """Start the session that was asked for; give the answer, which tells what stood in its way."""
    try:
        payload.run(read_request(line))
    except (OSError, ValueError, RuntimeError) as error:  # not debugtool, or no thread or file can be had
        return {"failed": "%s: %s" % (type(error).__name__, error)}
    return {}


def read_request(line: bytes) -> dict[str, object]:
    """Read what a client sent: the payload's arguments.

    Raises:
        ValueError: It is something else. (RuntimeError where it is nested beyond reason.)
    """
    request = json.loads(line.decode("utf-8"))
    payload.check(request)
    return dict(request)


def sweep(directory: str) -> None:
    """Remove the sockets of agents whose process was killed and could not do it."""
    for name in os.listdir(directory):
        if name.startswith("agent-") and not os.path.exists(f"/proc/{name[len('agent-') : -len('.sock')]}"):
            remove(os.path.join(directory, name))


def remove(path: str) -> None:
    """Remove a socket that may not be there."""
    try:
        os.unlink(path)
    except OSError:
        pass


def remove_own(path: str, pid: int) -> None:
    """Remove the socket at the end of the process that made it, not at the end of a fork."""
    if os.getpid() == pid:
        remove(path)
