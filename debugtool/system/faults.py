"""Named points at which a test can stop or kill debugtool, to prove that nothing is lost, whatever happens there."""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "DEBUGTOOL_FAULT"
FAULT_POINTS = (
    "locked",  # this attach is the only one on its target; its port is not bound yet
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

# From the end of a process to the next one armed; those of an attach are passed a second time in between.
REPLAY_POINTS = (
    "rendezvous",  # the file is there at which the next process calls; the first time before the attach is done
    "exited",  # the process has ended
    "met",  # the next one has called, and waits for us; of debug builds only
    "succeeded",  # the next process is found, and is ours
    "reconnected",  # pydevd is up in it, for the editor that waits
    "reinitialized",  # pydevd has the editor's `initialize` and `attach`
    "replaying",  # and one of its settings
    "replayed",  # and all of them; `configurationDone` is next
    "rearmed",  # the process runs on, debugged
)

# From the order to end a session to its end; "asked_release" and "asked_end" lie between.
DETACH_POINTS = (
    "hung_up",  # the editor has been sent away
    "released",  # pydevd has gone; the first time after the proof of an attach
    "channel_closed",  # the payload, too
    "unregistered",  # the session's record is removed
)

GO_FAULT_POINTS = (
    "guarded",  # delve is on its way into a Go target, under its guard
    "traced",  # it has the target, which runs
    "verified",
    "registered",
)

# "lent": an editor has delve's connection. The others, and "asked_end", are passed with pydevd too.
GO_EDITOR_POINTS = ("lent", "asked_release", "released")

BUILD_FAULT_POINTS = (
    "frozen",  # PyInstaller has ended
    "tried",  # the program has been started once
    "support",  # the directory with its modules is in dist/
    "swapped",  # the program is, too
)

_passed: list[str] = []


def fault_point(name: str) -> None:
    """Die or stand still here when the environment says so; nothing otherwise.

    `NAME` in DEBUGTOOL_FAULT dies by SIGKILL, `NAME:stop` stops the process (SIGSTOP) until something continues it;
    `NAME:stop:2` and `NAME:kill:2` do it when the point is passed for the second time, and only then.
    """
    point, _, rest = os.environ.get(VARIABLE, "").partition(":")
    if name != point:
        return
    action, _, turn = rest.partition(":")
    _passed.append(name)
    if len(_passed) == int(turn or 1):
        # this very thread, so that it goes no step further
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)
