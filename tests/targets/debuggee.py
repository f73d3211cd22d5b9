"""A target with something of everything a debugger is used for, each thing done by an old thread of a pool.

Runs on CPython 3.8 and later, standard library only. Prints `ready PID`; then each line on stdin is a number, the name
of a function here and its argument in JSON, and each line on stdout that number and the result, in JSON. Breakpoints
go where a comment is in capitals.
"""

import concurrent.futures
import gc
import json
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time

GREETING = "hello"
WORKERS = 3
for_main, from_main = queue.Queue(), queue.Queue()
loop_ends = False
processes = []  # pools of them, see `spawn`


class Box:
    def __init__(self, content):
        self.content = content


def count(number):
    total = 0
    for index in range(number):
        total += index  # IN LOOP
    return total


def steps(number):
    first = double(number)  # STEP HERE
    second = first + 1  # AFTER STEP
    return second


def double(number):
    result = number * 2  # INSIDE
    return result


def values(number):
    box = Box(number)
    names = {"one": 1}
    text = "plain"  # VALUES
    return [box.content, names, text]


def jump(number):
    marks = []
    marks.append("early")  # EARLY
    marks.append("late")  # LATE
    return marks


def catch(text):
    try:
        raise ValueError(text)  # RAISED
    except ValueError as error:
        return str(error)


def fail(text):
    raise LookupError(text)  # ESCAPES


def fail_thread(text):
    thread = threading.Thread(target=fail, args=(text,))
    thread.start()
    thread.join()
    return "failed"


def library(text):
    indented = textwrap.indent(text, "> ")  # LIBRARY
    return indented


def loop(number):
    print(json.dumps([0, "looping"]), flush=True)
    turns = 0
    while not loop_ends and turns < number * 100:
        turns += 1
        time.sleep(0.01)
    return loop_ends


def run_child(arguments):
    child = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    return [child.returncode, child.stdout, child.stderr]


def fork(number):
    pid = os.fork()
    if pid == 0:
        code = double(number)
        os._exit(code)
    return os.waitpid(pid, 0)[1] >> 8


def fork_to_be_killed(nothing):
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # KILLS ITSELF
    return os.waitpid(pid, 0)[1]


def fork_and_leave(seconds):
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        os._exit(0)
    return pid


def replace(nothing):
    os.execv(sys.executable, [sys.executable, "-u", __file__])


def spawn(method):
    """Have a worker of multiprocessing work for us; `end_workers` ends it."""
    processes.append(multiprocessing.get_context(method).Pool(1))
    return processes[-1].map(double, [20])


def end_workers(nothing):
    while processes:
        with processes.pop():
            pass


def threads_with_dict(nothing):
    """Name the threads that keep their attributes in a dict: from CPython 3.11 on made on demand only, and slower."""
    threads = threading.enumerate()
    held = {thread.name: [value for value in gc.get_referents(thread) if isinstance(value, dict)] for thread in threads}
    return sorted(name for name, dicts in held.items() if any("_name" in one for one in dicts))


def trace_facts(nothing):
    """Tell what traces this process: trace functions of threads and frames, monitoring tools, threads of a debugger."""
    barrier = threading.Barrier(WORKERS)

    def look():
        barrier.wait(10)  # so that each thread of the pool takes one
        return repr(sys.gettrace())

    looks = [pool.submit(look) for _ in range(WORKERS - 1)]  # this thread is one of them
    barrier.wait(10)
    for_main.put(look_here)
    monitoring = getattr(sys, "monitoring", None)
    frames = [frame for bottom in sys._current_frames().values() for frame in walk(bottom)]
    codes = [value.__code__ for value in globals().values() if hasattr(value, "__code__")]
    return {
        "trace": [repr(sys.gettrace()), from_main.get(timeout=10)] + [asked.result(10) for asked in looks],
        "frames": sorted({getattr(frame.f_trace, "__name__", "?") for frame in frames if frame.f_trace}),
        "hook": repr(threading._trace_hook),
        "monitoring": [] if monitoring is None else [name for name in map(monitoring.get_tool, range(6)) if name],
        "events": []
        if monitoring is None
        else [code.co_name for code in codes if monitoring.get_local_events(0, code)],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "patched": [name for name in ("fork", "execv", "_exit") if hasattr(getattr(os, name), "__code__")],
    }


def look_here():
    from_main.put(repr(sys.gettrace()))


def walk(frame):
    while frame is not None:
        yield frame
        frame = frame.f_back


def serve():
    for line in sys.stdin:
        call, name, argument = line.split(" ", 2)
        answer = pool.submit(globals()[name], json.loads(argument))
        try:
            result = answer.result()
        except LookupError as error:
            result = {"error": str(error)}
        print(json.dumps([int(call), result]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="pool")
    start = threading.Barrier(WORKERS)
    list(pool.map(lambda _: start.wait(10), range(WORKERS)))  # the pool's threads exist before anybody attaches
    threading.Thread(target=serve, name="server", daemon=True).start()
    print("ready", os.getpid(), flush=True)
    while True:
        for_main.get()()
