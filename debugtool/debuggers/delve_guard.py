"""The guard of one delve: starts it, and makes it let go when the session ends, however it ends.

Runs as a process of its own (`python -I -S delve_guard.py [PID]`) in a session of its own, so that neither kill -9 of
debugtool nor Ctrl-C at its terminal reaches delve: a delve that is killed leaves its breakpoints in the target, which
dies at the next of them. PID is for who reads a list of processes. Neither these words nor delve's name debugtool.

Before delve a shell is started that waits for the guard's end. When the guard was killed, the shell starts one that
takes over (`delve_guard.py PID TICKS`): with the same input and output, so that it goes on as if it had been the first,
and lets go at once when debugtool was killed with that one.

Its standard input is a pipe that only debugtool holds the other end of: its end is the end of the session. The one line
on it has delve attached: four words with a zero byte between each, the process's pid, when it was started
(`system.start_ticks`), delve's path, and the directory that is made for its socket, in a private one of ours. On
standard output it says one JSON object per line:

    {"event": "attached", "delve": PID, "socket": PATH, "stall_ms": N}    the target runs, and delve can be spoken to;
                                                                           perhaps said again by the one that takes over
    {"event": "failed", "words": TEXT}                                     delve did not come up, or ended by itself
    {"event": "detached"}                                                  the target runs on without it
    {"event": "exited"}                                                    the target has ended
"""

from __future__ import annotations

# No more than these, for which delve waits; all else is imported while it reads the debug information of the program.
import os
import select
import signal
import sys

_SOON_S = 0.3
_SHELL = "/bin/sh"
# At the end of descriptor 3 without a word, the guard was killed; so was the one after it at a status above 128. All
# that would name debugtool comes by the environment, in which nobody looks for what to kill, and the private directory
# as a descriptor.
_WAIT = 'read -r over <&3 || eval "$GUARD_HEIR"'
_HEIR = 'cd "$GUARD_HOME"; while "$GUARD_PYTHON" -I -S delve_guard.py "$0" "$GUARD_TICKS"; [ $? -gt 128 ]; do :; done'
_OWN = 4


def main() -> None:
    """Attach delve to a process as standard input says, wait for the end of that, make delve let go."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ending, signal.SIG_IGN)  # the pipe tells us
    sys.path.append(__file__.rpartition("/debugtool/")[0])
    os.chdir("/")
    if len(sys.argv) == 3:
        take_over(sys.argv[1], sys.argv[2])
        return
    if not select.select([0], [], [], _SOON_S)[0]:
        from debugtool.debuggers.delve_hold import import_the_rest

        import_the_rest()  # for a process to come, which shall not wait for it
    with open(0, "rb", buffering=0, closefd=False) as orders:  # unbuffered: what follows is waited for elsewhere
        line = orders.readline()
    if not line.endswith(b"\n"):
        return  # started ahead and not needed
    pid, started, program, own = os.fsdecode(line[:-1]).split("\0")
    os.mkdir(own, 0o700)
    os.chdir(own)
    tether = start_shell(pid, started)
    guard(start_delve(program, pid), pid, started, own)
    if tether is not None:
        from contextlib import suppress

        with suppress(BrokenPipeError):  # the shell was killed
            os.write(tether, b"over\n")


def take_over(pid: str, started: str) -> None:
    """Be the guard of a delve whose own was killed, if that had one."""
    from debugtool.debuggers.delve_hold import find_left_delve

    os.fchdir(_OWN)
    own = os.getcwd()
    guard(find_left_delve(own), pid, started, own)


def guard(delve: int | None, pid: str, started: str, own: str) -> None:
    """Hold a delve until the session is over, and remove what there is of it."""
    try:
        if delve is not None:
            from debugtool.debuggers.delve_hold import hold

            hold(delve, int(pid), int(started), own)
    finally:
        for name in os.listdir(own):
            os.unlink(f"{own}/{name}")
        os.rmdir(own)


def start_shell(pid: str, started: str) -> int | None:
    """Start the shell that has another guard take over, unless a line is written to the descriptor that this gives.

    Where there is no shell it gives None: then debugtool alone can do a killed guard's work.
    """
    waiting, tether = os.pipe()
    home, _, _ = __file__.rpartition("/")
    environment = {**os.environ, "GUARD_HEIR": _HEIR, "GUARD_HOME": home, "GUARD_PYTHON": sys.executable}
    environment["GUARD_TICKS"] = started
    files = [(os.POSIX_SPAWN_DUP2, waiting, 3), (os.POSIX_SPAWN_OPEN, _OWN, ".", os.O_RDONLY, 0)]
    try:
        os.posix_spawn(_SHELL, ["sh", "-c", _WAIT, pid], environment, file_actions=files)
    except FileNotFoundError:
        return None
    finally:
        os.close(waiting)
    return tether


def start_delve(program: str, pid: str) -> int:
    """Have delve attach to a process, with a socket and a log in the working directory; give delve's pid."""
    command = ["dlv", "attach", pid, "--headless", "--accept-multiclient", "--continue"]
    command += ["--api-version", "2", "--only-same-user", "--listen", "unix:delve.sock"]
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "delve.log", os.O_WRONLY | os.O_CREAT, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, command, os.environ, file_actions=files, setsigdef=[signal.SIGPIPE])


if __name__ == "__main__":
    main()
    os._exit(0)  # all is said and removed; taking Python down in order would be waited for
