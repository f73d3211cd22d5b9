"""Starts a worker, and again whenever it ends, as a host does. What comes on stdin is the worker's; its end ends both.

The command line is the worker's own. Between two of them nothing is waited for.
"""

import os
import subprocess
import sys
import threading

workers = []
turn = threading.Lock()
over = []  # no other is started from then on


def feed():
    for line in sys.stdin:
        try:
            workers[-1].stdin.write(line)
            workers[-1].stdin.flush()
        except OSError:
            pass  # it has just been killed: whoever asked will ask the next one
    with turn:
        over.append(True)
        last = workers[-1]
    last.kill()
    last.wait()
    os._exit(0)


if __name__ == "__main__":
    command = [sys.executable, "-u"] + sys.argv[1:]
    workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, universal_newlines=True))
    threading.Thread(target=feed, daemon=True).start()
    while True:
        workers[-1].wait()
        with turn:
            if over:
                break
            workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, universal_newlines=True))
    threading.Event().wait()  # the other thread ends us
