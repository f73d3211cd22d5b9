"""The process that does the one ptrace call: it hijacks a parked thread, runs a line of Python in it, and lets go.

Run as a script of its own (`python -I -S tracer.py`, one JSON request on stdin, one JSON line on stdout), in its own
session, and not inside debugtool: a tracer that dies while the target runs its code kills the target. So it outlives a
killed debugtool and always finishes what it has begun. Standard library only, and no import of the rest of debugtool,
so that it is up within milliseconds.

Why no `dlopen` (as hypno and debugpy do): the dynamic loader's lock would be held while we wait for the GIL, and a
target that imports an extension module at that moment holds the GIL while it waits for that lock. Neither continues.
`PyGILState_Ensure`, `PyRun_SimpleString` and `PyGILState_Release` are in every CPython already, and calling them takes
no lock but the GIL. docs/architecture.md has the measurement.

Source:
    ptrace(2); System V AMD64 ABI (registers, red zone, stack alignment); syscall numbers of x86_64 Linux.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

_SEIZE, _INTERRUPT, _CONT, _DETACH = 0x4206, 0x4207, 7, 17
_GETREGS, _SETREGS, _GETREGSET, _SETREGSET = 12, 13, 0x4204, 0x4205
_NT_X86_XSTATE = 0x202
_WALL = 0x40000000

# struct user_regs_struct of x86_64, in the order of the kernel's header
_REGISTERS = (
    *(
        "r15",
        "r14",
        "r13",
        "r12",
        "rbp",
        "rbx",
        "r11",
        "r10",
        "r9",
        "r8",
        "rax",
        "rcx",
        "rdx",
        "rsi",
        "rdi",
        "orig_rax",
    ),
    *("rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_LAYOUT = struct.Struct(f"<{len(_REGISTERS)}Q")
_RED_ZONE = 128
# Nothing is mapped there: returning to it stops the thread with SIGSEGV, which we take for ourselves.
_RETURN_ADDRESS = 0

# Calls in which a thread waits for the outside and holds no lock of the C library: read, poll, select, nanosleep,
# accept, recvfrom, recvmsg, pause, wait4, waitid, rt_sigtimedwait, rt_sigsuspend, clock_nanosleep, epoll_wait and their
# newer kin
_PARKED_CALLS = {0, 7, 23, 34, 35, 43, 45, 47, 61, 128, 130, 230, 232, 247, 270, 271, 281, 288, 299, 441}
_FUTEX = 202
# pthread conditions and semaphores wait with WAIT_BITSET; the mutexes inside malloc and the loader with plain WAIT
_FUTEX_WAIT_BITSET = 9
_FUTEX_COMMAND = 0x7F

Regs = dict[str, int]


class NotParked(Exception):
    """The thread turned out to be doing something, so it may hold a lock."""


class Iovec(ctypes.Structure):
    """`struct iovec`, for the register sets."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, tid: int, address: int = 0, data: object = 0) -> None:
    if _libc.ptrace(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class StoppedThread:
    """One thread of the target, stopped by us; a context manager that always lets it go as it was.

    Args:
        pid: The process; `tid` one of its threads.

    Raises:
        OSError: ptrace refused (EPERM), or the thread ended (ESRCH).
        NotParked: A signal was faster than our stop; the thread has it, and was let go.
    """

    def __init__(self, pid: int, tid: int) -> None:
        self.pid, self.tid = pid, tid
        self.began = time.monotonic()

    def __enter__(self) -> StoppedThread:
        _ptrace(_SEIZE, self.tid)
        _ptrace(_INTERRUPT, self.tid)
        _, status = os.waitpid(self.tid, _WALL)
        if os.WIFSTOPPED(status) and not status >> 16:
            # Stopped by a signal on its way in, and not by us: if we went on, it would be lost.
            _ptrace(_DETACH, self.tid, 0, os.WSTOPSIG(status))
            raise NotParked(self.tid)
        self.registers = self._read_registers()
        self._vectors = self._read_vectors()
        self._changed = False
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if self._changed:
                self._write_registers(self.registers)
                self._write_vectors()
            _ptrace(_DETACH, self.tid)
        except ProcessLookupError:
            pass  # it was killed meanwhile
        self.stall_ms = (time.monotonic() - self.began) * 1000

    def _read_registers(self) -> Regs:
        buffer = ctypes.create_string_buffer(_LAYOUT.size)
        _ptrace(_GETREGS, self.tid, 0, ctypes.addressof(buffer))
        return dict(zip(_REGISTERS, _LAYOUT.unpack(buffer.raw), strict=True))

    def _write_registers(self, registers: Regs) -> None:
        buffer = ctypes.create_string_buffer(_LAYOUT.pack(*(registers[name] for name in _REGISTERS)), _LAYOUT.size)
        _ptrace(_SETREGS, self.tid, 0, ctypes.addressof(buffer))

    def _read_vectors(self) -> bytes:
        buffer = ctypes.create_string_buffer(32768)  # AMX state alone is 8 KiB
        part = Iovec(ctypes.addressof(buffer), len(buffer))
        _ptrace(_GETREGSET, self.tid, _NT_X86_XSTATE, ctypes.addressof(part))
        return buffer.raw[: part.length]

    def _write_vectors(self) -> None:
        buffer = ctypes.create_string_buffer(self._vectors, len(self._vectors))
        part = Iovec(ctypes.addressof(buffer), len(self._vectors))
        _ptrace(_SETREGSET, self.tid, _NT_X86_XSTATE, ctypes.addressof(part))

    def call(self, function: int, argument: int, stack: int) -> int:
        """Call a C function of one integer argument in this thread and give what it returns.

        Args:
            function: Its address in the target.
            argument: First argument.
            stack: Address below which the stack is free, 16-byte aligned.

        Raises:
            OSError: The target crashed in it or ended.
        """
        top = stack - 8
        with Path(f"/proc/{self.pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(top)
            memory.write(struct.pack("<Q", _RETURN_ADDRESS))
        self._changed = True
        # orig_rax -1: the kernel must not take the hijacked thread for one that has a system call to restart
        changes = {"rip": function, "rdi": argument, "rsp": top, "rax": 0, "orig_rax": 2**64 - 1}
        self._write_registers({**self.registers, **changes})
        signal_number = 0
        while True:
            _ptrace(_CONT, self.tid, 0, signal_number)
            _, status = os.waitpid(self.tid, _WALL)
            if not os.WIFSTOPPED(status):
                raise ProcessLookupError(f"the target ended (status {status:#x})")
            signal_number = os.WSTOPSIG(status)
            if status >> 16:
                signal_number = 0  # a ptrace event (a job-control stop), not a signal for the target
            elif signal_number == signal.SIGSEGV:
                now = self._read_registers()
                if now["rip"] == _RETURN_ADDRESS:
                    return now["rax"]
                raise OSError(f"SIGSEGV at {now['rip']:#x} inside the target")


def is_parked(number: int, arguments: tuple[int, int], interpreter: list[tuple[int, int]]) -> bool:
    """Say whether a thread in this system call waits for the outside, holding no lock that we could need.

    Args:
        number: System call number.
        arguments: Its first two arguments.
        interpreter: Address ranges of the interpreter's own data: a futex there is the GIL's, and taking the GIL once
            more on top of a wait for it corrupts glibc's condition variable.
    """
    if number in _PARKED_CALLS:
        return True
    address, operation = arguments
    return (
        number == _FUTEX
        and operation & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET
        and not any(start <= address < end for start, end in interpreter)
    )


def waiting_threads(pid: int, interpreter: list[tuple[int, int]]) -> list[int]:
    """List the threads that look parked from outside, the main thread last.

    Raises:
        OSError: The process ended, or its threads may not be looked at.
    """
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = (task / "syscall").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if len(fields) > 3 and is_parked(int(fields[0]), (int(fields[1], 16), int(fields[2], 16)), interpreter):
            found.append(int(task.name))
    return sorted(found, key=lambda tid: (tid == pid, tid))


def run_in_thread(pid: int, tid: int, request: dict[str, object]) -> float:
    """Stop one parked thread, run the request's text in it, let it go; give how long it stood still, in ms.

    Raises:
        NotParked: Once stopped it was not parked any more.
        OSError: ptrace refused, or the target ended.
    """
    functions: dict[str, int] = request["functions"]  # type: ignore[assignment]
    interpreter: list[tuple[int, int]] = request["interpreter"]  # type: ignore[assignment]
    text = str(request["text"]).encode() + b"\0"
    with StoppedThread(pid, tid) as thread:
        regs = thread.registers
        if not is_parked(regs["orig_rax"], (regs["rdi"], regs["rsi"]), interpreter):
            raise NotParked(tid)
        text_at = (regs["rsp"] - _RED_ZONE - len(text)) & ~0xFF
        with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(text_at)
            memory.write(text)
        state = thread.call(functions["PyGILState_Ensure"], 0, text_at)
        failed = thread.call(functions["PyRun_SimpleString"], text_at, text_at) & 0xFFFFFFFF
        thread.call(functions["PyGILState_Release"], state, text_at)
    if failed:
        raise OSError("the interpreter reported an error for the bootstrap line")
    return thread.stall_ms


def carry_out(request: dict[str, object]) -> dict[str, object]:
    """Find a parked thread until the deadline and run the request in it; give the answer for debugtool."""
    pid = int(request["pid"])  # type: ignore[call-overload]
    deadline = time.monotonic() + float(request["deadline_s"])  # type: ignore[arg-type]
    while True:
        try:
            for tid in waiting_threads(pid, request["interpreter"]):  # type: ignore[arg-type]
                try:
                    return {"ok": True, "tid": tid, "stall_ms": run_in_thread(pid, tid, request)}
                except NotParked:
                    continue
        except OSError as error:
            return {"ok": False, "errno": error.errno, "why": str(error)}
        if time.monotonic() > deadline:
            return {"ok": False, "errno": None, "why": "no thread of it was parked in a system call"}
        time.sleep(0.002)  # look again a little later, without taking the processor from the target


def main() -> None:
    """Answer one request. The answer may find nobody listening any more; the target has been let go by then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    line = sys.stdin.readline()
    if not line:
        return  # started ahead and not needed
    answer = json.dumps(carry_out(json.loads(line)))
    try:
        print(answer, flush=True)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
