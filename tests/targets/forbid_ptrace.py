"""Runs a program that may not call ptrace, as a container's seccomp filter has it. Arguments: the program's."""

import ctypes
import errno
import os
import platform
import struct
import sys

PTRACE_NR = {"x86_64": 101, "aarch64": 117}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def forbid_ptrace():
    """Install the filter that a container's runtime would: ptrace answers EPERM. Source: seccomp(2)."""
    steps = [(LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, PTRACE_NR[platform.machine()]), (RETURN, 0, 0, REFUSE)]
    code = b"".join(struct.pack("HBBI", *step) for step in [*steps, (RETURN, 0, 0, ALLOW)])
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    program = Program(4, code)
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


if __name__ == "__main__":
    forbid_ptrace()
    os.execv(sys.argv[1], sys.argv[1:])
