"""Tries to trace a process for real, and prints as JSON what the kernel answered and how debugtool explains it.

Arguments: the pid; `--uid N` to become that user first; `--seccomp` to forbid itself ptrace with a filter.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import platform
import struct

from debugtool.errors import DebugtoolError
from debugtool.output import error_document, error_text
from debugtool.system import examine, explain_refusal, why_not

PTRACE_SEIZE, PTRACE_NR = 0x4206, {"x86_64": 101, "aarch64": 117}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def forbid_ptrace() -> None:
    """Install the filter that a container's runtime would: ptrace answers EPERM. Source: seccomp(2)."""
    steps = [(LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, PTRACE_NR[platform.machine()]), (RETURN, 0, 0, REFUSE)]
    code = b"".join(struct.pack("HBBI", *step) for step in [*steps, (RETURN, 0, 0, ALLOW)])
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    program = Program(4, code)
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


parser = argparse.ArgumentParser()
parser.add_argument("pid", type=int)
parser.add_argument("--uid", type=int)
parser.add_argument("--seccomp", action="store_true")
options = parser.parse_args()
if options.uid is not None:
    os.setgroups([])
    os.setresgid(options.uid, options.uid, options.uid)
    os.setresuid(options.uid, options.uid, options.uid)
if options.seccomp:
    forbid_ptrace()

predicted = why_not(examine(options.pid))
answer = libc.ptrace(PTRACE_SEIZE, options.pid, None, None)
document: dict[str, object] = {"predicted": str(predicted.cause) if predicted else None, "errno": None}
if answer != 0:
    number = ctypes.get_errno()
    document["errno"] = errno.errorcode[number]
    try:
        error: DebugtoolError = explain_refusal(options.pid, OSError(number, os.strerror(number)))
    except DebugtoolError as gone:
        error = gone
    document.update(error_document(error), text=error_text(error))
print(json.dumps(document))
