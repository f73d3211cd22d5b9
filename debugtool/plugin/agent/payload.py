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
LINE_LIMIT = 1 << 20  # characters; an order has a few hundred


def run(arguments: dict[str, Any]) -> None:
    """Start the control thread of one session and return; called from the bootstrap's raw thread.

    Args:
        arguments: `socket` (path of the session's unix socket), `token` (text that proves the session), `debugpy`
            (directory to import debugpy from), `uid` (user the session belongs to).

    Raises:
        ValueError: They are something else.
    """
    check(arguments)
    threading_was_loaded = "threading" in sys.modules
    import threading

    # json and socket are used here, where a failure can still be told: a program may hide the standard modules
    json.loads(json.dumps(sorted(arguments)))
    session = Session(arguments, threading_was_loaded, socket.socket(socket.AF_UNIX))
    # daemon is given, so that Thread does not ask for the current thread: that would leave a dummy thread behind
    thread = threading.Thread(target=session.serve, name="debugtool", daemon=True)
    hide(thread)
    thread.start()


def check(arguments: Any) -> None:
    """Make sure that these are the arguments of a session: they may come from whoever reached a socket of ours.

    Raises:
        ValueError: They are not.
    """
    wanted = {"socket": str, "token": str, "debugpy": str, "uid": int}
    if not isinstance(arguments, dict) or not all(isinstance(arguments.get(k), wanted[k]) for k in wanted):
        raise ValueError("no arguments of debugtool's")


def hide(thread: Any) -> None:
    """Keep a thread of ours out of the debugger: never traced, never suspended, never listed."""
    thread.is_pydev_daemon_thread = True
    thread.pydev_do_not_trace = True


def beside(name: str, arguments: dict[str, Any]) -> Any:
    """Load the module that lies beside this file, whether this one was imported or executed as text.

    A debug build may hold this file in an archive, where nothing lies beside it; the session's directory has a copy.
    """
    import types

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    if not os.path.exists(path):
        path = os.path.join(os.path.dirname(str(arguments.get("payload"))), name + ".py")
    module = types.ModuleType("debugtool_" + name)
    with open(path) as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    return module


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
        self.stops_at_start = False
        self.up = beside("coming_up", arguments)
        self.undo = beside("letting_go", arguments)
        self.root: str | None = getattr(sys, "_MEIPASS", None) if getattr(sys, "frozen", False) else None
        self.frozen: Any = None if self.root is None else beside("frozen", arguments)
        self.quiets_children = False
        self.breakpointhook: Any = None

    def serve(self) -> None:
        """Connect to the session and carry out its commands until it goes away."""
        pid = os.getpid()
        current_frames = self.undo.guard_frames()
        try:
            with self.connection as channel, channel.makefile("r", encoding="utf-8") as lines:
                channel.connect(self.arguments["socket"])
                if peer_uid(channel) not in (0, self.arguments["uid"]):
                    return
                self.channel = channel
                green = green_threads()
                self.say(
                    "hello",
                    pid=pid,
                    token=self.arguments["token"],
                    protocol=PROTOCOL,
                    python=sys.version_info[:3],
                    green=green,
                )
                if green is None:
                    self.load_ahead()
                while True:
                    line = lines.readline(LINE_LIMIT)
                    if not line or os.getpid() != pid:
                        return  # a fork copied this thread's stack; the child is not ours
                    if not self.obey(read_order(line)):
                        return
        except (OSError, ValueError):
            pass  # the session is gone, or what is there is none, which is no affair of the target's
        finally:
            self.channel = None
            self.release()
            sys._current_frames = current_frames
            if "completion" in self.arguments:
                self.arguments["completion"].withdraw()
            directory = os.path.dirname(self.arguments["socket"])
            self.undo.forget_session(directory)
            self.undo.tidy(directory)

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
                self.say("loaded", debugpy=self.version, root=self.root)
            elif name == "probe":
                self.probe(command["host"], command["port"], command["token"])
                self.say("probed")
            elif name == "connect":
                if self.root is not None:
                    self.frozen.tell_own_code(command.get("own_code", []), self.arguments)
                self.connect(command["host"], command["port"], command["token"])
                self.say("connected")
            elif name == "stop_at_start":
                self.stops_at_start = True
                if command.get("entry"):
                    self.undo.stop_at_entry()
                self.say("stops_at_start")
            elif name == "look":
                self.say("looked", serves="debugtool.plugin.server" in sys.modules)
            elif name == "release":
                self.release()
                self.say("released")
            else:
                self.say("failed", traceback="unknown command %r" % (name,))
        except Exception:  # whatever the debugger raises is for the user of debugtool to read, not for the plugin
            self.say("failed", traceback=words_for_failure())
        return True

    def load_ahead(self) -> None:
        """Begin with what the session will ask for first, while it still gets ready to ask."""
        try:
            self.load()
        except Exception:
            pass  # it is tried again when it is asked for, and told then

    def load(self) -> None:
        """Import debugpy from the session's directory, unless the target has it loaded already."""
        if self.pydevd is not None:
            return
        if "pydevd" in sys.modules:
            import pydevd

            if pydevd.get_global_debugger() is not None:
                raise RuntimeError("another debugger (pydevd) is active in this process")
        breakpointhook, environment = sys.breakpointhook, set(os.environ)
        os.environ.setdefault(QUIET, "1")
        debugpy, pydevd = self.up.import_debugpy(
            self.arguments["debugpy"], None if self.frozen is None else self.frozen.plain_loader()
        )
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
        pydevd.debugtool_session = self  # where debugtool.plugin finds it (plugin/ending.py)
        self.version = debugpy.__version__
        package = os.path.dirname(os.path.abspath(debugpy.__file__))
        if self.root is not None:
            self.frozen.prepare(self.root)
        self.hidden = (package, os.path.realpath(package), os.path.dirname(os.path.abspath(__file__)))
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
        self.up.start_network(self.pydevd, db, connection)

    def connect(self, host: str, port: int, token: str) -> None:
        """Connect pydevd to the relay, tracing on."""
        self.release()
        self.is_tracing = True
        # pydevd keeps the first session's address here and hands it to child processes
        self.pydevd.SetupHolder.setup = None
        self.undo.forget_originals()
        if sys.version_info < (3, 12):
            import threading

            self.undo.forget_infos(threading.enumerate())
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
                dont_trace_end_patterns=("debugpy_launcher.py", *self.arguments.get("launcher", ())),
            )
        finally:
            self.pydevd.start_client = start_client
            self.breakpointhook, sys.breakpointhook = sys.breakpointhook, self.breakpointhook
        self.quiets_children = QUIET not in os.environ  # pydevd is in them too, for as long as an editor is connected
        os.environ.setdefault(QUIET, "1")

    def open_connection(self, host: str, port: int) -> socket.socket:
        """Connect for pydevd, which has threads already: from here on there is something to release."""
        db = self.db = self.pydevd.get_global_debugger()
        self.undo.keep_what_handlers_raise(db)
        # When the connection ends, this thread lets go. If pydevd's reader did it too, each would wait for the other.
        db.initialize_network = lambda connection: self.up.start_network(self.pydevd, db, connection)
        return connection_to(host, port)

    def stop_at_start_of(self, frame: Any) -> None:
        """Stand still in a frame of the calling thread, once, if the session asked for it and an editor is there."""
        if self.db is not None and self.is_tracing and self.stops_at_start:
            self.stops_at_start = False
            self.undo.stand_still(self.db, frame)

    def let_end(self) -> None:
        """Let stopped threads run to their end, past every breakpoint; called by a plugin that is to end."""
        if self.db is not None and self.is_tracing:
            self.undo.run_past_breakpoints(self.db)

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
            self.undo.forget_threads()
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
            self.undo.unpatch_new_processes()
            self.undo.stop_tracing_everywhere()
            self.undo.wait_until_outside(self.hidden[:2])
            self.undo.stop_tracing_everywhere()
            self.undo.forget_monitored_code()
            self.undo.forget_threads()
            self.undo.forget_infos([threading.current_thread()])


def green_threads() -> str | None:
    """Name the library that has made greenlets of this program's threads, None when they are threads."""
    for library, module, ask, what in (
        ("gevent", "gevent.monkey", "is_module_patched", "threading"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched", "thread"),
    ):
        patcher = sys.modules.get(module)
        if patcher is not None and getattr(patcher, ask)(what):
            return library
    return None


def read_order(line: str) -> dict[str, Any]:
    """Read a line that the session said.

    Raises:
        ValueError: It is no order.
    """
    try:
        order = json.loads(line)
    except RecursionError:
        raise ValueError("nested beyond reason") from None
    if not isinstance(order, dict) or "do" not in order:
        raise ValueError("no order")
    return order


def words_for_failure() -> str:
    """Put the exception that is being handled into words, whatever the program made of the traceback module."""
    try:
        import traceback

        return traceback.format_exc()
    except Exception:  # what a program's own module of that name does cannot be foreseen
        return repr(sys.exc_info()[1])


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
