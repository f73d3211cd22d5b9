"""Printing that nobody has to wait for."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

_SOON_S = 0.05
_END_S = 1.0
_MOST = 10_000


class Telling:
    """Prints in a thread of its own, in order; a context manager.

    Who reads may stop reading: Ctrl-S halts a terminal, a pipe fills up. A session that waited for that would leave the
    plugin at its breakpoint, and the editor without an answer. As long as somebody reads, nothing is different from
    printing at once.

    Args:
        tell_lost: Prints how many texts are missing, once somebody reads again.
    """

    def __init__(self, tell_lost: Callable[[int], None]) -> None:
        self._tell_lost = tell_lost
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._lost = 0
        self._is_behind = False
        self._is_over = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="telling", daemon=True)

    def __enter__(self) -> Telling:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait for the rest to be printed, for a second at most."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join(_END_S)

    def do(self, printing: Callable[[], None]) -> None:
        """Have something printed, and wait until it is, unless nobody reads.

        Raises:
            OSError: It could not be printed, or what came before it: the reader is gone (BrokenPipeError), a full disk.
        """
        with self._changed:
            if len(self._waiting) < _MOST:
                self._waiting.append(printing)
            else:
                self._lost += 1
            self._changed.notify_all()
            if not self._is_behind:
                self._is_behind = not self._changed.wait_for(lambda: not self._waiting or self._failure, _SOON_S)
            if self._failure is not None:
                raise self._failure

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    return
                printing = self._waiting[0]
            try:
                printing()
            except Exception as failure:  # for the session's own thread, which is told at its next text at the latest
                with self._changed:
                    self._failure = failure
                    self._changed.notify_all()
                return
            with self._changed:
                self._waiting.popleft()
                if self._waiting:
                    continue
                self._is_behind = False
                if self._lost:
                    self._waiting.append(functools.partial(self._tell_lost, self._lost))
                    self._lost = 0
                self._changed.notify_all()


def own(stream: TextIO | None) -> TextIO:
    """Give a standard stream once more: at its end Python waits for the object that there is, and whoever uses it.

    What is no file, as in a test, is given as it is. Where there is no stream (`2>&-`) what is printed goes nowhere.
    """
    if stream is None:
        return Path(os.devnull).open("w")
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return stream
