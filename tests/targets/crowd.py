"""A target whose threads all come to the same line, again and again, at the same time.

Runs on CPython 3.8 and later, standard library only. Prints `ready PID`; ends with its stdin.
"""

import os
import sys
import threading
import time

THREADS = 8


def work():
    turns = 0
    while True:
        turns += 1  # EACH TURN
        time.sleep(0.001)


for _ in range(THREADS):
    threading.Thread(target=work, daemon=True).start()
print("ready", os.getpid(), flush=True)
sys.stdin.read()
os._exit(0)
