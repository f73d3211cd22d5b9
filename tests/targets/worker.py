"""A target for attaching: a pool of old threads, and a main thread that is in the state named on the command line.

Runs on CPython 3.8 and later, standard library only. Prints `ready PID`; then each line on stdin is a number to work
on, and each line on stdout the answer with facts of the process. `quit` ends it. With `--agent DIRECTORY` the debug
agent of the checkout in DIRECTORY is started first. With `--switch-interval SECONDS` threads take turns that often.
"""

import concurrent.futures
import ctypes  # noqa: F401 # pydevd imports it, and some libffi keep their own file open from then on
import json
import os
import sys
import threading
import time


def work(number):
    doubled = number * 2
    result = doubled + 1  # BREAK HERE
    return result


def fib(number):
    return number if number < 2 else fib(number - 1) + fib(number - 2)


def tracing():
    """Tell whether anything traces this thread (or, from 3.12 on, the process)."""
    if sys.gettrace() is not None or type(sys.settrace) is not type(len):  # pydevd replaces settrace by one that warns
        return True
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(monitoring.get_tool(tool) for tool in range(6))


def facts(number):
    began = time.perf_counter()
    fib(12)
    spent = time.perf_counter() - began
    answer = work(number)
    with open("/proc/self/status") as status:
        memory = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
    with os.scandir("/proc/self/task") as tasks:
        threads = len(list(tasks))
    return {
        "answer": answer,
        "fib_s": spent,
        "tracing": tracing(),
        "threads": threads,
        "fds": len(os.listdir("/proc/self/fd")),
        "rss_kb": memory,
        "main_trace": threading._trace_hook is not None,
    }


def serve(pool):
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        if line.startswith("child"):
            import subprocess

            child = subprocess.run([sys.executable] + line.split()[1:], stdout=subprocess.PIPE, universal_newlines=True)
            print(json.dumps({"child": child.stdout.strip(), "code": child.returncode}), flush=True)
            continue
        print(json.dumps(pool.submit(facts, int(line)).result()), flush=True)
    os._exit(0)


def allocate():
    while True:
        [bytes(n * 37) for n in range(300)]


def load_libraries():
    """Load extension modules again and again: the loader's lock is taken while the GIL is held."""
    import _ctypes
    import importlib.util
    import shutil
    import tempfile

    origin = next(
        spec.origin
        for name in ("_json", "_bisect", "_heapq", "_ctypes")  # some interpreters have the small ones built in
        for spec in [importlib.util.find_spec(name)]
        if spec.has_location
    )
    with tempfile.TemporaryDirectory() as directory:
        copies = [shutil.copy(origin, os.path.join(directory, "copy%d.so" % n)) for n in range(50)]
        while True:
            for copy in copies:
                _ctypes.dlclose(_ctypes.dlopen(copy, 2))


def main():
    state = sys.argv[1] if len(sys.argv) > 1 else "idle"
    if "--agent" in sys.argv:
        sys.path.insert(0, sys.argv[sys.argv.index("--agent") + 1])
        from debugtool.plugin import agent

        agent.start(__file__)
    if "--switch-interval" in sys.argv:
        sys.setswitchinterval(float(sys.argv[sys.argv.index("--switch-interval") + 1]))
    pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="pool")
    list(pool.map(work, range(8)))  # the pool's threads exist before anybody attaches
    threading.Thread(target=serve, args=(pool,), daemon=True).start()
    if state == "busy":
        for _ in range(2):
            threading.Thread(target=allocate, daemon=True).start()
    elif state == "importing":
        for _ in range(2):
            threading.Thread(target=load_libraries, daemon=True).start()
    print("ready", os.getpid(), flush=True)
    if state == "busy":
        allocate()
    elif state == "locked":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    while True:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
