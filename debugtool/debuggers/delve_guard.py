"""The guard of one delve: starts it, and makes it let go when the session ends, however it ends.

Runs as a process of its own (`python -P delve_guard.py PID STARTED DLV DIRECTORY`) in a session of
its own, so that neither kill -9 of debugtool nor Ctrl-C at its terminal reaches delve: a delve that is killed leaves
its breakpoints in the target, which dies at the next of them.

Its standard input is a pipe that only debugtool holds the other end of: its end is the end of the session. On standard
output it says one JSON object per line:

    {"event": "attached", "delve": PID, "socket": PATH, "stall_ms": N}    the target runs, and delve can be spoken to
    {"event": "failed", "words": TEXT}                                     delve did not come up, or ended by itself
    {"event": "detached"}                                                  the target runs on without it
    {"event": "exited"}                                                    the target has ended
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path


def main(pid: int, started_ticks: int, program: str, directory: Path) -> None:
    """Attach delve to a process, wait for the end of standard input, make it let go.

    Args:
        pid: The process.
        started_ticks: Its start time (`system.start_ticks`).
        program: delve.
        directory: Private directory of ours, in which another one for the socket is made.
    """
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ending, signal.SIG_IGN)  # the pipe tells us
    with tempfile.TemporaryDirectory(prefix="delve-", dir=directory) as own:
        socket, log = Path(own, "delve.sock"), Path(own, "delve.log")
        command = [program, "attach", str(pid), "--headless", "--accept-multiclient", "--continue"]
        command += ["--api-version", "2", "--only-same-user", "--listen", f"unix:{socket}"]
        with log.open("wb") as stream:
            delve = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/")
        import asyncio  # while delve reads the program's debug information: all this takes as long as Python's start

        from debugtool.debuggers.delve_hold import hold

        asyncio.run(hold(delve, pid, started_ticks, socket, log))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
