"""Named points at which a test can kill debugtool, to prove that nothing is lost: of an attach, and of a build."""

from __future__ import annotations

import os
import signal

VARIABLE = "DEBUGTOOL_FAULT"
FAULT_POINTS = (
    "listening",  # nothing has been done to the target
    "control",  # its private socket exists
    "injecting",  # a tracer is on its way into it, and goes on without us
    "injected",
    "payload",  # the payload has connected
    "asked_load",  # it imports debugpy
    "asked_probe",  # pydevd starts
    "arrived",  # pydevd has connected and waits to be spoken to
    "asked_release",  # pydevd is told to go
    "verified",
    "registered",
    "asked_connect",  # pydevd starts for an editor; reached when one attaches
    "asked_end",  # the payload is told to go; reached when a session ends
)

GO_FAULT_POINTS = (
    "guarded",  # delve is on its way into a Go target, under its guard
    "verified",
    "registered",
)

BUILD_FAULT_POINTS = (
    "frozen",  # PyInstaller has ended
    "tried",  # the program has been started once
    "support",  # the directory with its modules is in dist/
    "swapped",  # the program is, too
)


def fault_point(name: str) -> None:
    """Die here by SIGKILL when the environment names this point; nothing otherwise."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
