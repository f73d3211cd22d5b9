"""Whether ptrace works here: tried on a child of our own, as a seccomp filter does not say what it forbids."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

from debugtool.errors import Refused
from debugtool.system.refusal import explain_refusal

# Source: include/uapi/linux/ptrace.h. It does not stop what it attaches to.
_PTRACE_SEIZE = 0x4206


def try_tracing_a_child() -> Refused | None:
    """Trace a child process that is started for this and ended at once.

    Returns:
        Why the kernel refused; None when it did not. Yama permits it under scope 0 and 1 (scope 1 is about processes
        that are no children).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        try:
            if libc.ptrace(_PTRACE_SEIZE, child.pid, None, None) == 0:
                return None
            number = ctypes.get_errno()
            return explain_refusal(child.pid, OSError(number, os.strerror(number)), name="a child of debugtool")
        finally:
            child.kill()
