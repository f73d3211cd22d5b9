"""Named points of an attach at which a test can kill debugtool, to prove that the target survives it."""

from __future__ import annotations

import os
import signal

VARIABLE = "DEBUGTOOL_FAULT"
POINTS = ("listening", "control", "injected", "payload", "verified", "registered")


def fault_point(name: str) -> None:
    """Die here by SIGKILL when the environment names this point; nothing otherwise."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
