"""The guard of one delve: starts it, and makes it let go when the session ends, however it ends.

Runs as a process of its own (`python -I -S delve_guard.py [PID]`) in a session of its own, so that neither kill -9 of
debugtool nor Ctrl-C at its terminal reaches delve: a delve that is killed leaves its breakpoints in the target, which
dies at the next of them. PID is for who reads a list of processes.

Its standard input is a pipe that only debugtool holds the other end of: its end is the end of the session. The one line
on it has delve attached: four words with a zero byte between each, the process's pid, when it was started
(`system.start_ticks`), delve's path, and the directory that is made for its socket, in a private one of ours. On
standard output it says one JSON object per line (without a path of delve it takes over from a guard that was killed):

    {"event": "attached", "delve": PID, "socket": PATH, "stall_ms": N}    the target runs, and delve can be spoken to
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


def main() -> None:
    """Attach delve to a process as standard input says, wait for the end of that, make delve let go."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ending, signal.SIG_IGN)  # the pipe tells us
    sys.path.append(__file__.rpartition("/debugtool/")[0])
    os.chdir("/")
    if not select.select([0], [], [], _SOON_S)[0]:
        from debugtool.debuggers.delve_hold import import_the_rest

        import_the_rest()  # for a process to come, which shall not wait for it
    with open(0, "rb", buffering=0, closefd=False) as orders:  # unbuffered: what follows is waited for elsewhere
        line = orders.readline()
    if not line.endswith(b"\n"):
        return  # started ahead and not needed
    pid, started, program, own = os.fsdecode(line[:-1]).split("\0")
    os.makedirs(own, 0o700, exist_ok=True)
    try:
        delve = start_delve(program, pid, own) if program else None
        from debugtool.debuggers.delve_hold import find_left_delve, hold

        delve = delve or find_left_delve(own)
        if delve is not None:
            hold(delve, int(pid), int(started), own)
    finally:
        for name in os.listdir(own):
            os.unlink(f"{own}/{name}")
        os.rmdir(own)


def start_delve(program: str, pid: str, own: str) -> int:
    """Have delve attach to a process, with a socket and a log in a directory of ours; give delve's pid."""
    command = [program, "attach", pid, "--headless", "--accept-multiclient", "--continue"]
    command += ["--api-version", "2", "--only-same-user", "--listen", f"unix:{own}/delve.sock"]
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{own}/delve.log", os.O_WRONLY | os.O_CREAT, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, command, os.environ, file_actions=files, setsigdef=[signal.SIGPIPE])


if __name__ == "__main__":
    main()
    os._exit(0)  # all is said and removed; taking Python down in order would be waited for
