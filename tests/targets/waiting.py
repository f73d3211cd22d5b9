"""Listens where it is told to, says `ready`, and waits to be ended.

Arguments, each may be left out: `--unix PATH`, `--tcp`, `--helper` (starts a child that inherits everything),
`--fork` (a child with the same command line), `--uid N`, `--undumpable`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("--unix")
parser.add_argument("--tcp", action="store_true")
parser.add_argument("--helper", action="store_true")
parser.add_argument("--fork", action="store_true")
parser.add_argument("--uid", type=int)
parser.add_argument("--undumpable", action="store_true")
options, _ = parser.parse_known_args()

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
prctl = ctypes.CDLL(None).prctl
if options.uid is not None:
    os.setgroups([])
    os.setresgid(options.uid, options.uid, options.uid)
    os.setresuid(options.uid, options.uid, options.uid)
    prctl(PR_SET_DUMPABLE, 1)  # the kernel clears it when the user changes, but not for a process that a host starts so
if options.undumpable:
    prctl(PR_SET_DUMPABLE, 0)
if options.unix:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(options.unix)
    listener.listen()
if options.tcp:
    tcp = socket.create_server(("127.0.0.1", 0))
if options.helper:
    subprocess.Popen(["sleep", "300"], preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
if options.fork and os.fork() == 0:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    time.sleep(300)
print("ready", tcp.getsockname()[1] if options.tcp else "", flush=True)
time.sleep(300)
