"""A plugin on a machine without unix sockets."""

import socket

del socket.AF_UNIX

from debugtool import plugin  # noqa: E402 - after the machine has lost its unix sockets

if __name__ == "__main__":
    plugin.serve(object())
