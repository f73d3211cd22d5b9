"""An injection that is under way while its caller does other things."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from debugtool.inject.bootstrap import Bootstrap
from debugtool.inject.injectors import Injected, inject
from debugtool.inject.readiness import check_state
from debugtool.model import Target

# While an injection runs, the main thread imports: with Python's own 5 ms, each answer would wait that long for a turn.
_SWITCH_S = 0.0005

Outcome = Injected | Exception


class Attempt:
    """Runs `inject` in a thread that the process need not wait for at its end.

    What has begun in the target is finished by a process of its own; the payload finds nobody then and ends.

    Args:
        target: The process.
        bootstrap: What to start there.
        method: One of METHODS forces that one.
        timeout_s: For all of it.
    """

    def __init__(self, target: Target, bootstrap: Bootstrap, *, method: str | None, timeout_s: float) -> None:
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._listener: Callable[[Outcome], None] | None = None
        self._ended = threading.Event()
        arguments = (target, bootstrap, method, timeout_s)
        threading.Thread(target=self._run, args=arguments, name="injection", daemon=True).start()

    def tell(self, listener: Callable[[Outcome], None]) -> None:
        """Have the outcome told once there is one: from here when it is there already, else from the other thread."""
        with self._lock:
            outcome = self._outcome
            if outcome is None:
                self._listener = listener
                return
        listener(outcome)

    def go_first(self, most_s: float) -> None:
        """Wait for the outcome, for a moment: what the caller would do takes turns with it, Python has one lock."""
        self._ended.wait(most_s)

    def _run(self, target: Target, bootstrap: Bootstrap, method: str | None, timeout_s: float) -> None:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        outcome: Outcome
        try:
            check_state(target)  # as late as can be: it may have ended, and its pid be used again
            outcome = inject(target, bootstrap, method=method, timeout_s=timeout_s)
        except Exception as error:  # whatever it is, it belongs to the one who waits
            outcome = error
        finally:
            sys.setswitchinterval(interval)
        with self._lock:
            self._outcome = outcome
            listener = self._listener
        self._ended.set()
        if listener is not None:
            listener(outcome)
