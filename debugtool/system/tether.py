"""A child process that is told to end when its parent has died, however that happened.

The file is also the program that does so: the child itself asks for the signal, and then becomes what was wanted.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

# Source: prctl(2), linux/prctl.h. The wish outlives exec().
_PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str]) -> list[str]:
    """Give the command line of a child that gets SIGTERM when the thread that starts it has ended.

    Start it from the main thread. Its pid is that of `command`, which takes its place.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _main(parent: int, command: list[str]) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() == parent:  # else it died before it could be waited for
        os.execv(command[0], command)


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
