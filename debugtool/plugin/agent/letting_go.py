"""What pydevd leaves behind in a target when it goes, and debugtool where it was killed; how each of it is undone.

And what pydevd must not do there. Runs inside targets, loaded by `payload.py`: CPython 3.8 and later, standard library
and pydevd only.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from _operator import methodcaller
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

set_trace = sys.settrace  # pydevd replaces it by one that warns


def guard_frames() -> "Any":
    """Have sys._current_frames() called with the garbage collector off; give the function it was, to be put back.

    CPython 3.11.0 to 3.11.8 make objects there with the list of threads locked. Where that begins a collection, and a
    finalizer or a callback gives up the GIL, any thread that starts or ends then takes the GIL and waits for that
    list: the program stands still for good (python/cpython#106883). pydevd calls it whenever an editor connects.
    """
    original = sys._current_frames
    if not (3, 11) <= sys.version_info < (3, 11, 9):
        return original
    call = methodcaller("__call__")

    def current_frames() -> "dict[int, Any]":
        if not gc.isenabled():
            return original()
        try:
            # One call from C, in which the GIL stays here: no other thread's use of gc.disable() comes in between.
            frames: "dict[int, Any]" = list(map(call, (gc.disable, original, gc.enable)))[1]
        except BaseException:
            gc.enable()
            raise
        return frames

    sys._current_frames = current_frames
    return original


def patched_modules() -> list[Any]:
    """List the modules in which pydevd replaces the functions that start processes."""
    names = ("os", "_posixsubprocess", "subprocess")
    return [sys.modules[name] for name in names if name in sys.modules]


def unpatch_new_processes() -> None:
    """Put os.fork, subprocess and the rest back, so that children start undebugged.

    pydevd has no undo for these. Its `original_*` stay until the next session: a program may hold a patched function.
    """
    for module in patched_modules():
        for name in [name for name in vars(module) if name.startswith("original_")]:
            setattr(module, name[len("original_") :], getattr(module, name))


def forget_originals() -> None:
    """Let pydevd patch those functions again: it takes an `original_*` for a sign that it has."""
    for module in patched_modules():
        for name in [name for name in vars(module) if name.startswith("original_")]:
            delattr(module, name)


def untrace(frame: Any, event: str, argument: object) -> None:
    """Be a trace function that takes itself out of the thread at the thread's next line or call."""
    import pydevd

    frame.f_trace = None

    if pydevd.get_global_debugger() is None:  # else the next session has begun, and sets its own
        set_trace(None)


def stop_tracing_everywhere() -> None:
    """Take the trace function out of every thread: before CPython 3.12 each one has its own."""
    if sys.version_info >= (3, 12):
        from _pydevd_sys_monitoring import pydevd_sys_monitoring

        pydevd_sys_monitoring.stop_monitoring(all_threads=True)
        return
    import pydevd_tracing

    pydevd_tracing.set_trace_to_threads(untrace, create_dummy_thread=False)
    # Frames that run already have pydevd's function of their own, which would put tracing back at their next line.
    for innermost in sys._current_frames().values():
        frame: Any = innermost
        while frame is not None:
            frame.f_trace = untrace
            frame = frame.f_back
    sys._getframe().f_trace = None
    set_trace(None)


def wait_until_outside(packages: "tuple[str, ...]", limit_s: float = 2.0) -> None:
    """Wait until no thread is inside the debugger: one that is puts its trace function back as it comes out.

    Args:
        packages: Where the debugger's code is.
        limit_s: Then go on all the same: the thread may be busy with an expression that an editor had it evaluate.
    """
    import threading

    own = {thread.ident for thread in threading.enumerate() if hasattr(thread, "is_pydev_daemon_thread")}
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        frames = [frame for ident, frame in sys._current_frames().items() if ident not in own]
        if not any(is_inside(frame, packages) for frame in frames):
            return
        time.sleep(0.001)


def is_inside(frame: Any, packages: "tuple[str, ...]") -> bool:
    """Say whether a thread is inside the debugger; what starts its threads and processes stays on their stacks."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(packages) and not path.endswith("pydev_monkey.py"):
            return True
        frame = frame.f_back
    return False


def forget_threads() -> None:
    """Make pydevd forget the threads it gave numbers to; its own of each session, and their sockets, would add up."""
    from _pydevd_bundle import pydevd_constants

    known = pydevd_constants._thread_id_to_thread_found
    for thread in list(known.values()):
        pydevd_constants.clear_cached_thread_id(thread)
    known.clear()


def forget_infos(threads: "list[Any]") -> None:
    """Drop what pydevd noted in threads; before CPython 3.12 a thread's tracers keep the whole session before alive.

    Not while that session ends: a thread may be inside one of them just then. From 3.12 on pydevd holds the notes of a
    living thread in a second place too, and the two must not differ.
    """
    from _pydevd_bundle.pydevd_additional_thread_info import remove_additional_info

    for thread in threads:
        # Not by its `__dict__`: CPython 3.11 finds an object's attributes slower for good once that was asked for, and
        # pydevd looks at one of the thread's in each call that is traced.
        try:
            info = thread.additional_info
            del thread.additional_info
        except AttributeError:
            continue
        remove_additional_info(info)


def forget_monitored_code() -> None:
    """Take pydevd's events out of every function it looked at, and make it forget them (CPython 3.12 and later).

    It leaves them there, and a function that had a breakpoint runs at half speed for good; and the next session's
    pydevd takes what is remembered for its own, conditions of breakpoints and all.
    """
    monitoring = getattr(sys, "monitoring", None)
    names = ("_pydevd_sys_monitoring_cython", "_pydevd_sys_monitoring")
    for module in [sys.modules.get("_pydevd_sys_monitoring." + name) for name in names]:
        seen = getattr(module, "_code_to_func_code_info_cache", {})
        codes = list(seen)
        seen.clear()
        if monitoring is None or monitoring.get_tool(monitoring.DEBUGGER_ID) is not None:
            continue  # before 3.12 pydevd uses none of this; and another debugger's events are its own
        monitoring.use_tool_id(monitoring.DEBUGGER_ID, "debugtool")
        try:
            for code in codes:
                if monitoring.get_local_events(monitoring.DEBUGGER_ID, code):
                    monitoring.set_local_events(monitoring.DEBUGGER_ID, code, 0)
        finally:
            monitoring.free_tool_id(monitoring.DEBUGGER_ID)


def forget_session(directory: str) -> None:
    """Have pydevd forget what it keeps for ever of each session: the names of our files, and locks that are gone.

    About 1 KB each; a plugin may see thousands.

    Args:
        directory: The session's private one.
    """
    files, constants = sys.modules.get("pydevd_file_utils"), sys.modules.get("_pydevd_bundle.pydevd_constants")
    if files is None or constants is None:
        return  # pydevd was never asked for
    caches = [files.NORM_PATHS_CONTAINER, files.NORM_PATHS_AND_BASE_CONTAINER, *(files.normcase.__defaults__ or ())]
    for cache in caches:
        for name in [name for name in list(cache) if name.startswith(directory)]:
            cache.pop(name, None)
    locks = getattr(constants, "_fork_safe_locks", [])
    locks[:] = [lock for lock in locks if lock() is not None]


def tidy(directory: str) -> None:
    """Remove the session's private directory, which a debugtool that was killed could not remove itself.

    Nothing is removed from a directory with another kind of name: then it was no session of debugtool that we obeyed.
    """
    if not os.path.basename(directory).startswith("session-"):
        return
    for name in ("control.sock", "payload.py", "coming_up.py", "letting_go.py", "frozen.py", "bootstrap.py"):
        try:
            os.unlink(os.path.join(directory, name))
        except OSError:
            pass  # debugtool was first
    try:
        os.rmdir(directory)
    except OSError:
        pass
    remove_rendezvous(directory)


def remove_rendezvous(directory: str) -> None:
    """Remove the place where a killed debugtool waited for this program's next start (`rendezvous.py`)."""
    base, _, name = directory.rpartition("/session-")
    pid, _, rest = name.partition("-")
    ticks = rest.partition("-")[0]
    try:
        with open("/proc/%s/stat" % pid, errors="replace") as file:
            if file.read().rpartition(")")[2].split()[19] == ticks:
                return  # it lives, and waits on
    except OSError:
        pass
    for suffix in ("json", "sock"):
        try:
            os.unlink("%s/rendezvous-%s-%s.%s" % (base, pid, ticks, suffix))
        except OSError:
            pass


def run_past_breakpoints(db: Any) -> None:
    """Let stopped threads run, past all breakpoints; pydevd stays."""
    from _pydevd_bundle.pydevd_api import PyDevdAPI

    api = PyDevdAPI()
    api.remove_all_breakpoints(db, "*")
    api.remove_all_exception_breakpoints(db)
    api.request_resume_thread("*")


def keep_what_handlers_raise(db: Any) -> None:
    """Have what a signal's handler raises come out in the program, where a thread stands at an exception, too.

    A handler runs in the main thread, inside pydevd's wait there. At a line, what it raises comes out of the trace
    function, and so in the program. At an exception pydevd catches it, logs it and goes on (`handle_exception`), and
    SIGTERM would end nothing. It is raised again in the call that follows, outside of that `try`. All threads run on.
    """
    from _pydevd_bundle.pydevd_api import PyDevdAPI

    wait, trace = db.do_wait_suspend, db.set_trace_for_frame_and_parents
    raised: "dict[int, BaseException]" = {}  # by thread

    def do_wait_suspend(thread: Any, frame: Any, event: Any, arg: Any, exception_type: Any = None) -> None:
        try:
            wait(thread, frame, event, arg, exception_type)
        except BaseException as error:
            if is_of_handler(error):
                PyDevdAPI().request_resume_thread("*")  # else the program stands at its next line, and nobody is told
                if event == "exception":
                    raised[get_ident()] = error
            raise

    def set_trace_for_frame_and_parents(*arguments: Any, **named: Any) -> None:
        trace(*arguments, **named)
        error = raised.pop(get_ident(), None)
        if error is not None:
            raise error

    db.do_wait_suspend = do_wait_suspend
    db.set_trace_for_frame_and_parents = set_trace_for_frame_and_parents


def is_of_handler(error: BaseException) -> bool:
    """Say whether an error is of a signal's handler, and not of pydevd, whose own must not reach the program."""
    import signal

    if isinstance(error, KeyboardInterrupt):
        return True  # of Python's own handler of SIGINT, which is no Python code
    codes = [getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()]
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in codes:
            return True
        step = step.tb_next
    return False


def stop_at_entry() -> None:
    """Have the main thread, which runs the agent of a debug build, stop at the first line of the program's own code."""
    from _pydevd_bundle.pydevd_api import PyDevdAPI

    PyDevdAPI().stop_on_entry()


def stand_still(db: Any, frame: Any) -> None:
    """Stop the calling thread in one of its frames, until the editor lets it go on; the other threads stop, too."""
    import threading

    from _pydevd_bundle.pydevd_comm_constants import CMD_STOP_ON_START

    thread: Any = threading.current_thread()
    info = thread.additional_info
    info.pydev_original_step_cmd = CMD_STOP_ON_START  # so that the editor is told "entry"
    # Else the thread would stop in the standard library's code that pydevd runs to stop it.
    info.is_tracing += 1
    monitoring: Any = None
    if sys.version_info >= (3, 12):
        from _pydevd_sys_monitoring import pydevd_sys_monitoring as monitoring

        monitoring.start_monitoring(all_threads=False)  # what it knows of this thread, to be changed in the next line
        monitoring.stop_monitoring(all_threads=False)
    try:
        db.set_suspend(thread, CMD_STOP_ON_START, suspend_other_threads=True)
        db.do_wait_suspend(thread, frame, "line", None)
    finally:
        info.is_tracing -= 1
        if monitoring is not None:
            monitoring.start_monitoring(all_threads=False)
