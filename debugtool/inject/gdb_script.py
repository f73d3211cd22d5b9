"""Run by gdb (`gdb -x`), in gdb's own Python: the three calls of `tracer.py`, made with gdb's means.

Source:
    GDB manual, "Python API"; the choice of a thread and its reasons are those of `tracer.py`.
"""

# mypy: ignore-errors
# gdb's own module and the variable it sets exist inside gdb only

import json
import os
import sys
import time

import gdb

# gdb tells no script where it lies; the tracer beside it has the rules for parked threads
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
from tracer import is_parked


def register(name):
    """Read a general register of the selected thread as an unsigned number."""
    return int(gdb.parse_and_eval("(unsigned long)$" + name)) & (2**64 - 1)


def select_parked(interpreter):
    """Select a parked thread, the main thread last; False when there is none."""
    threads = sorted(gdb.selected_inferior().threads(), key=lambda t: (t.ptid[0] == t.ptid[1], t.ptid[1]))
    for thread in threads:
        thread.switch()
        if is_parked(register("orig_rax"), (register("rdi"), register("rsi")), interpreter):
            return True
    return False


def call(address, argument):
    """Call a C function of one integer argument in the selected thread."""
    return int(gdb.parse_and_eval(f"((long (*)(long)) {address})({argument})"))


def main(request):
    """Answer the request in one line on stdout."""
    began = time.monotonic()
    functions = request["functions"]
    if not select_parked([tuple(pair) for pair in request["interpreter"]]):
        return {"ok": False, "why": "no thread of it was parked in a system call"}
    stack = register("rsp")
    text = request["text"].encode() + b"\0"
    text_at = (stack - 128 - len(text)) & ~0xFF
    gdb.selected_inferior().write_memory(text_at, text)
    gdb.execute(f"set $rsp = {text_at - 256}")
    try:
        state = call(functions["PyGILState_Ensure"], 0)
        failed = call(functions["PyRun_SimpleString"], text_at) & 0xFFFFFFFF
        call(functions["PyGILState_Release"], state)
    finally:
        gdb.execute(f"set $rsp = {stack}")
    if failed:
        return {"ok": False, "why": "the interpreter reported an error for the bootstrap line"}
    return {"ok": True, "stall_ms": (time.monotonic() - began) * 1000}


print("debugtool: " + json.dumps(main(json.loads(request))))  # noqa: F821 # set on gdb's command line
