"""Traces the process whose pid it is given, without stopping it; says `ready`, and waits to be ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) != 0:
    raise SystemExit(os.strerror(ctypes.get_errno()))
print("ready", flush=True)
signal.pause()
