"""What runs inside a target: one daemon thread that brings the debugger up when told to, and lets go.

Runs in other people's processes, in whatever interpreter they use: CPython 3.8 and later, standard library only,
nothing imported at module level that a program may lack. The module is read as text and executed by the injected
bootstrap, so it must not import its own package.

The thread talks JSON lines with the session over a private unix socket (docs/architecture.md, "The control channel").
When that socket closes, for whatever reason, the debugger lets go and the thread ends: a killed debugtool leaves
nothing.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 1
# Keeps a warning about frozen modules off the plugin's stderr; the check it announces is of no use here.
QUIET = "PYDEVD_DISABLE_FILE_VALIDATION"
set_trace = sys.settrace  # pydevd replaces it by one that warns


def run(arguments: dict[str, Any]) -> None:
    """Start the control thread of one session and return; called from the bootstrap's raw thread.

    Args:
        arguments: `socket` (path of the session's unix socket), `token` (text that proves the session), `debugpy`
            (directory to import debugpy from), `uid` (user the session belongs to).
    """
    threading_was_loaded = "threading" in sys.modules
    import threading

    # the socket is made here, where a failure can still be told: a program may hide the standard module by its own
    session = Session(arguments, threading_was_loaded, socket.socket(socket.AF_UNIX))
    # daemon is given, so that Thread does not ask for the current thread: that would leave a dummy thread behind
    thread = threading.Thread(target=session.serve, name="debugtool", daemon=True)
    hide(thread)
    thread.start()


def hide(thread: Any) -> None:
    """Keep a thread of ours out of the debugger: never traced, never suspended, never listed."""
    thread.is_pydev_daemon_thread = True
    thread.pydev_do_not_trace = True


class Session:
    """One debugtool session inside the target, for the life of its control connection."""

    def __init__(self, arguments: dict[str, Any], threading_was_loaded: bool, connection: socket.socket) -> None:
        self.arguments = arguments
        self.connection = connection
        self.fix_main_thread = not threading_was_loaded
        self.channel: socket.socket | None = None
        self.pydevd: Any = None
        self.db: Any = None
        self.is_tracing = False
        self.quiets_children = False
        self.breakpointhook: Any = None

    def serve(self) -> None:
        """Connect to the session and carry out its commands until it goes away."""
        pid = os.getpid()
        try:
            with self.connection as channel, channel.makefile("r", encoding="utf-8") as lines:
                channel.connect(self.arguments["socket"])
                if peer_uid(channel) not in (0, self.arguments["uid"]):
                    return
                self.channel = channel
                self.say(
                    "hello", pid=pid, token=self.arguments["token"], protocol=PROTOCOL, python=sys.version_info[:3]
                )
                for line in lines:
                    if os.getpid() != pid:
                        return  # a fork copied this thread's stack; the child is not ours
                    if not self.obey(json.loads(line)):
                        return
        except OSError:
            pass  # the session is gone, which is no affair of the target's
        finally:
            self.channel = None
            self.release()
            tidy(os.path.dirname(self.arguments["socket"]))

    def say(self, event: str, **fields: object) -> None:
        """Send one event to the session."""
        if self.channel is not None:
            self.channel.sendall((json.dumps(dict(fields, event=event)) + "\n").encode("utf-8"))

    def obey(self, command: dict[str, Any]) -> bool:
        """Carry out one command; False ends the session."""
        name = command["do"]
        if name == "end":
            self.release()
            self.say("ended")
            return False
        try:
            if name == "load":
                self.load()
                self.say("loaded", debugpy=self.version)
            elif name == "probe":
                self.probe(command["host"], command["port"], command["token"])
                self.say("probed")
            elif name == "connect":
                self.connect(command["host"], command["port"], command["token"])
                self.say("connected")
            elif name == "release":
                self.release()
                self.say("released")
            else:
                self.say("failed", traceback="unknown command %r" % (name,))
        except Exception:  # whatever the debugger raises is for the user of debugtool to read, not for the plugin
            self.say("failed", traceback=words_for_failure())
        return True

    def load(self) -> None:
        """Import debugpy from the session's directory, unless the target has it loaded already."""
        if "pydevd" in sys.modules:
            import pydevd

            if pydevd.get_global_debugger() is not None:
                raise RuntimeError("another debugger (pydevd) is active in this process")
        breakpointhook, environment = sys.breakpointhook, set(os.environ)
        os.environ.setdefault(QUIET, "1")
        directory = self.arguments["debugpy"]  # holds debugpy alone: other threads may be importing just now
        sys.path.insert(0, directory)
        try:
            import debugpy
            import debugpy.server  # makes pydevd importable and sets its protocol to DAP
            import pydevd
        finally:
            if directory in sys.path:
                sys.path.remove(directory)
        # What the import alone has changed: breakpoint() is the debugger's only while an editor is connected, and the
        # environment is handed to the plugin's children.
        if sys.breakpointhook is not breakpointhook:
            pydevd.debugtool_breakpointhook = sys.breakpointhook  # the import happens once, sessions many times
        self.breakpointhook = getattr(pydevd, "debugtool_breakpointhook", breakpointhook)
        sys.breakpointhook = breakpointhook
        for name in set(os.environ) - environment:
            if name.startswith("PYDEVD_"):
                del os.environ[name]
        self.pydevd = pydevd
        self.version = debugpy.__version__
        package = os.path.dirname(os.path.abspath(debugpy.__file__))
        self.hidden = (package, os.path.realpath(package), self.arguments.get("payload", __file__))
        if self.fix_main_thread:
            self.fix_main_thread = False
            repair_main_thread(os.path.join(os.path.dirname(pydevd.__file__), "pydevd_attach_to_process"))

    def probe(self, host: str, port: int, token: str) -> None:
        """Connect pydevd to the relay as `connect` does, but trace nothing: enough for a handshake with it."""
        self.release()
        connection = connection_to(host, port)
        db = self.db = self.pydevd.PyDB()
        db._client_socket = connection
        db.authentication.access_token = db.authentication.client_access_token = token
        db.initialize_network(connection, terminate_on_socket_close=False)

    def connect(self, host: str, port: int, token: str) -> None:
        """Connect pydevd to the relay, tracing on."""
        self.release()
        self.is_tracing = True
        # pydevd keeps the first session's address here and hands it to child processes
        self.pydevd.SetupHolder.setup = None
        forget_originals()
        if sys.version_info < (3, 12):
            import threading

            forget_infos(threading.enumerate())
        start_client = self.pydevd.start_client
        self.pydevd.start_client = self.open_connection
        try:
            self.pydevd.settrace(
                host=host,
                port=port,
                suspend=False,
                wait_for_ready_to_run=False,
                block_until_connected=True,
                patch_multiprocessing=True,
                notify_stdin=False,
                client_access_token=token,
                access_token=token,
                dont_trace_start_patterns=self.hidden,
                dont_trace_end_patterns=("debugpy_launcher.py",),
            )
        finally:
            self.pydevd.start_client = start_client
            self.breakpointhook, sys.breakpointhook = sys.breakpointhook, self.breakpointhook
        self.quiets_children = QUIET not in os.environ  # pydevd is in them too, for as long as an editor is connected
        os.environ.setdefault(QUIET, "1")

    def open_connection(self, host: str, port: int) -> socket.socket:
        """Connect for pydevd, which has threads already: from here on there is something to release."""
        db = self.db = self.pydevd.get_global_debugger()
        initialize_network = db.initialize_network
        # When the connection ends, this thread lets go. If pydevd's reader did it too, each would wait for the other.
        db.initialize_network = lambda connection: initialize_network(connection, terminate_on_socket_close=False)
        return connection_to(host, port)

    def release(self) -> None:
        """Let go: stopped threads continue, tracing is off in every thread, pydevd's threads are gone."""
        db, self.db = self.db, None
        if db is None or self.pydevd is None:
            return
        import threading

        from _pydevd_bundle.pydevd_api import PyDevdAPI

        if not self.is_tracing:
            import pydevd_tracing

            hang_up(db)
            db.dispose_and_kill_all_pydevd_threads(wait=False)
            pydevd_tracing.restore_sys_set_trace_func()  # PyDB() alone replaces sys.settrace by one that warns
            forget_threads()
            return
        self.is_tracing = False
        self.breakpointhook, sys.breakpointhook = sys.breakpointhook, self.breakpointhook
        if self.quiets_children:
            os.environ.pop(QUIET, None)
        try:
            api = PyDevdAPI()
            api.remove_all_breakpoints(db, "*")
            api.remove_all_exception_breakpoints(db)
            api.request_disconnect(db, resume_threads=True)
        finally:
            hang_up(db)
            db.dispose_and_kill_all_pydevd_threads(wait=False)
            self.pydevd.stoptrace()
            unpatch_new_processes()
            stop_tracing_everywhere()
            wait_until_outside(self.hidden[:2])
            stop_tracing_everywhere()
            forget_monitored_code()
            forget_threads()
            forget_infos([threading.current_thread()])


def words_for_failure() -> str:
    """Put the exception that is being handled into words, whatever the program made of the traceback module."""
    try:
        import traceback

        return traceback.format_exc()
    except Exception:  # what a program's own module of that name does cannot be foreseen
        return repr(sys.exc_info()[1])


def tidy(directory: str) -> None:
    """Remove the session's private directory, which a debugtool that was killed could not remove itself."""
    for name in ("control.sock", "payload.py", "bootstrap.py"):
        try:
            os.unlink(os.path.join(directory, name))
        except OSError:
            pass  # debugtool was first
    try:
        os.rmdir(directory)
    except OSError:
        pass


def peer_uid(channel: socket.socket) -> int:
    """Say which user listens at the other end of a unix socket."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def connection_to(host: str, port: int) -> socket.socket:
    """Connect to the relay, in the place of pydevd's own function, which complains on the plugin's stderr.

    Each message is sent at once: small ones in a row would wait 40 ms for an acknowledgement of the first.
    """
    connection = socket.create_connection((host, port), timeout=10)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def hang_up(db: Any) -> None:
    """End pydevd's connection and its reader, before pydevd closes the socket under the reader's feet."""
    try:
        db._client_socket.shutdown(socket.SHUT_RDWR)
    except (OSError, AttributeError):
        pass  # the relay hung up first
    if db.reader is not None:
        db.reader.join(1.0)


def repair_main_thread(directory: str) -> None:
    """Undo that `threading`, first imported in this thread, took it for the main one (debugpy does the same)."""
    sys.path.insert(0, directory)
    try:
        import attach_script

        attach_script.fix_main_thread_id()
    finally:
        sys.path.remove(directory)


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
    import time

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
        info = thread.__dict__.pop("additional_info", None)
        if info is not None:
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
