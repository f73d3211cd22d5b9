"""What a plugin has to say to debugtool's debugger, if that is in its process."""

from __future__ import annotations

import contextlib
import sys
from types import FrameType
from typing import Any


def let_threads_run() -> None:
    """Have threads that stand at a breakpoint run on, past all others: the process is to end."""
    session = _session()
    if session is not None:
        with contextlib.suppress(Exception):  # the end goes on whatever becomes of a debugger
            session.let_end()


def stop_at_start() -> None:
    """Stand still in the plugin's own code that called us, if `debugtool attach --wait-at-start` asked for it."""
    session, frame = _session(), _first_frame_outside()
    if session is not None and frame is not None:
        with contextlib.suppress(Exception):  # the plugin serves whatever becomes of a debugger
            session.stop_at_start_of(frame)


def _session() -> Any:
    """Give the agent's payload (`debugtool/plugin/agent/payload.py`), None where no debugger has been loaded."""
    return getattr(sys.modules.get("pydevd"), "debugtool_session", None)


def _first_frame_outside() -> FrameType | None:
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("debugtool.plugin"):
        frame = frame.f_back
    return frame
