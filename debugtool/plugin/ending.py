"""How a plugin's process ends: for what reasons, and in time whatever its threads do."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable

from debugtool.plugin.debugger import let_threads_run
from debugtool.plugin.service_threads import hide_from_debugger

# The host kills 2 s after it has closed the connection (wire-spec 1.10); leave room for a busy machine.
LAST_CHANCE_S = 1.2
_PARENT_POLL_S = 1.0


class Ending:
    """Begun by Shutdown, SIGTERM or the end of the host; from then on the process has 1.2 seconds left.

    The last chance is a thread of its own, hidden from debuggers: the main thread may well stand at a breakpoint.

    Attributes:
        last_act: Called before the process is cut off.
    """

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self.last_act: Callable[[], None] = lambda: None
        # A pipe wakes the main thread, because a signal handler may write to one; setting an Event in it can deadlock
        # with the very wait() that it interrupts.
        self._wake_read, self._wake_write = os.pipe()

    def begin(self) -> None:
        """End the process, now or at the latest in 1.2 seconds; callable from any thread and more than once."""
        with self._lock:
            if self._begun.is_set():
                return
            self._begun.set()
        self._wake()
        _start_hidden_thread("plugin-end", self._end_in_time)
        let_threads_run()

    def wait(self) -> None:
        """Wait until the end has begun."""
        os.read(self._wake_read, 1)

    def _wake(self) -> None:
        os.write(self._wake_write, b"x")

    def _end_in_time(self) -> None:
        threading.Event().wait(LAST_CHANCE_S)  # handlers that hang, threads an author forgot, a debugger
        with contextlib.suppress(OSError):
            self.last_act()
        os._exit(0)

    def begin_on_signals(self) -> None:
        """Wake `wait` at SIGTERM; take SIGINT: Ctrl-C on a terminal reaches the host too, which stops the plugin.

        SIGTERM is noticed by a thread of ours, hidden from debuggers: the main thread, which alone runs Python's
        handlers, may stand at a breakpoint.

        Only the main thread may set signals; in another one they stay the author's. Children start with the defaults,
        after fork() as after exec(): ignoring a signal, unlike handling it, would be inherited.
        """
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, _take_no_notice)
            signal.signal(signal.SIGTERM, _take_no_notice)
            numbers_read, numbers_write = os.pipe()
            os.set_blocking(numbers_write, False)
            signal.set_wakeup_fd(numbers_write, warn_on_full_buffer=False)
            _start_hidden_thread("plugin-signals", lambda: self._wait_for_sigterm(numbers_read))
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_default_signals)

    def _wait_for_sigterm(self, numbers: int) -> None:
        while number := os.read(numbers, 1):
            if number[0] == signal.SIGTERM:
                self.begin()

    def begin_with_host(self) -> None:
        """Begin when the host, our parent, has ended without having stopped us."""
        host = os.getppid()
        _start_hidden_thread("plugin-host", lambda: self._wait_for(host))

    def _wait_for(self, host: int) -> None:
        # No pidfd_open before Linux 5.3 and elsewhere; a host in another pid namespace is pid 0 to us.
        with contextlib.suppress(OSError, AttributeError):
            descriptor = os.pidfd_open(host)
            if os.getppid() == host:
                select.select([descriptor], [], [])
            os.close(descriptor)
        while os.getppid() == host and not self._begun.wait(_PARENT_POLL_S):
            pass
        self.begin()


def _take_no_notice(number: int, frame: object) -> None:
    pass


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _start_hidden_thread(name: str, target: Callable[[], None]) -> None:
    thread = threading.Thread(target=target, name=name, daemon=True)
    hide_from_debugger(thread)
    thread.start()
