"""Tries to trace a process for real, and prints as JSON what the kernel answered and how debugtool explains it.

Arguments: the pid; `--uid N` to become that user first; `--seccomp` to forbid itself ptrace with a filter.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os

from forbid_ptrace import forbid_ptrace

from debugtool.errors import DebugtoolError
from debugtool.output import error_document, error_text
from debugtool.system import examine, explain_refusal, why_not

PTRACE_SEIZE = 0x4206

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

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
