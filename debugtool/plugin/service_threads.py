"""Marks the threads that answer the host, so that a debugger stops user code only.

While a user's thread stands at a breakpoint, pydevd stops every other thread it knows. A host that gets no answer to
Shutdown then waits for ever (wire-spec 1.10), so these threads are not pydevd's to stop.
"""

from __future__ import annotations

import threading


def hide_from_debugger(thread: threading.Thread) -> None:
    """Make pydevd neither trace nor stop nor list a thread.

    Source:
        debugpy's pydevd: `is_pydev_daemon_thread` in pydevd_daemon_thread.py, `pydev_do_not_trace` in pydevd_comm.py.
    """
    thread.pydev_do_not_trace = True  # type: ignore[attr-defined]  # pydevd's own mark
    thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]  # pydevd's own mark


def hide_current_thread() -> None:
    """Do so for the calling thread; for `ThreadPoolExecutor(initializer=...)`."""
    hide_from_debugger(threading.current_thread())
