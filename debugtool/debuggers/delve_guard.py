"""The guard of one delve: starts it, and makes it let go when the session ends, however it ends.

Runs as a process of its own (`python -I -S delve_guard.py PID`) in a session of its own, so that neither kill -9 of
debugtool nor Ctrl-C at its terminal reaches delve: a delve that is killed leaves its breakpoints in the target, which
dies at the next of them.

Its standard input is a pipe that only debugtool holds the other end of: its end is the end of the session. The one line
on it, a JSON object, has delve attached: `started` (when the process was, `system.start_ticks`), `program` (delve) and
`directory` (a private one of ours, in which another is made for the socket). The guard is started while that is found
out, because Python's own start takes time. On standard output it says one JSON object per line:

    {"event": "attached", "delve": PID, "socket": PATH, "stall_ms": N}    the target runs, and delve can be spoken to
    {"event": "failed", "words": TEXT}                                     delve did not come up, or ended by itself
    {"event": "detached"}                                                  the target runs on without it
    {"event": "exited"}                                                    the target has ended
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


def main(pid: int) -> None:
    """Attach delve to a process as standard input says, wait for the end of that, make delve let go."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ending, signal.SIG_IGN)  # the pipe tells us
    with open(0, "rb", buffering=0, closefd=False) as orders:  # unbuffered: what follows is waited for elsewhere
        line = orders.readline()
    if not line:
        return  # started ahead and not needed
    order = json.loads(line)
    with tempfile.TemporaryDirectory(prefix="delve-", dir=order["directory"]) as own:
        socket, log = Path(own, "delve.sock"), Path(own, "delve.log")
        command = [order["program"], "attach", str(pid), "--headless", "--accept-multiclient", "--continue"]
        command += ["--api-version", "2", "--only-same-user", "--listen", f"unix:{socket}"]
        with log.open("wb") as stream:
            delve = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/")
        sys.path.append(str(Path(__file__).parents[2]))
        import asyncio  # while delve reads the program's debug information: all this takes as long as Python's start

        from debugtool.debuggers.delve_hold import hold

        asyncio.run(hold(delve, pid, order["started"], socket, log))


if __name__ == "__main__":
    main(int(sys.argv[1]))
