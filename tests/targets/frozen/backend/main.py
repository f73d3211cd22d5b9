"""The entry of a program that the tests freeze: CPython 3.8 and later, standard library only, and little of it.

Prints `ready PID`; then each line on stdin is a number, the name of a function and its argument, and each line on
stdout that number and the result, in JSON. Old threads of a pool do the work. Breakpoints go where a comment is in
capitals.
"""

import json
import multiprocessing
import os
import queue
import subprocess
import sys
import threading

import shop.orders
import tools

calls = queue.Queue()


def entry(number):
    doubled = number * 2
    result = tools.add_one(doubled)  # IN ENTRY
    return result


def library(text):
    return json.dumps(text)  # LIBRARY


def fail(text):
    try:
        raise ValueError(text)  # RAISED
    except ValueError as error:
        return str(error)


def can_import(name):
    """Tell whether the program's own `import NAME` works: it was frozen without some of the standard library."""
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def import_from(directory):
    """Import the debugger as it is, without what it lacks here; give the name of what was missing."""
    sys.path.insert(0, directory)
    try:
        import debugpy.server  # noqa: F401
    except ModuleNotFoundError as error:
        return error.name
    finally:
        sys.path.remove(directory)


def again(argument):
    """Start this program once more, as a child that says its arguments and ends."""
    child = subprocess.run([sys.executable, "--child", argument], stdout=subprocess.PIPE, check=True)
    return json.loads(child.stdout)


def double(number):
    result = number * 2  # IN CHILD
    return result


def spawn(method):
    """Have a worker of multiprocessing, which is this program again, work for us."""
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(double, [20])


def traces(nothing):
    """Tell what of a debugger is in this process."""
    monitoring = getattr(sys, "monitoring", None)
    return {
        "trace": repr(sys.gettrace()),
        "monitoring": [] if monitoring is None else [name for name in map(monitoring.get_tool, range(6)) if name],
        "threads": sorted(thread.name for thread in threading.enumerate() if "pool" not in thread.name),
        "finders": [getattr(finder, "__name__", type(finder).__name__) for finder in sys.meta_path],
        "path": [place for place in sys.path if not place.startswith(sys._MEIPASS)],
    }


def where(nothing):
    return {"root": sys._MEIPASS, "code": entry.__code__.co_filename, "optimize": sys.flags.optimize}


def work():
    while True:
        call, function, argument = calls.get()
        print(json.dumps([call, function(argument)]), flush=True)


FUNCTIONS = [entry, library, fail, can_import, import_from, again, spawn, traces, where]
FUNCTIONS += [tools.apply, tools.take, shop.orders.order, shop.orders.in_thread]


def serve():
    known = {function.__name__: function for function in FUNCTIONS}
    for line in sys.stdin:
        call, name, argument = line.split(" ", 2)
        calls.put((int(call), known[name], json.loads(argument)))
    os._exit(0)


if __name__ == "__main__":
    multiprocessing.freeze_support()
    if "--child" in sys.argv:
        print(json.dumps(sys.argv[1:]))
        sys.exit()
    for number in range(2):
        threading.Thread(target=work, name="pool_%d" % number, daemon=True).start()
    threading.Thread(target=serve, name="server", daemon=True).start()
    print("ready", os.getpid(), flush=True)
    threading.Event().wait()
