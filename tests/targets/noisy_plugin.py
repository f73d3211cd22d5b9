"""A plugin that prints whenever it can: before serve(), in its constructor, in handlers, from a child, at its end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import warnings

from debugtool import plugin

print("printed before serve")
plugin.guard_stdout()
os.write(1, b"written to fd 1 before serve\n")
subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)

log = logging.getLogger("noisy")


class Unprintable:
    """Cannot be formatted."""

    def __str__(self):
        raise ValueError("no text")


class Noisy:
    """Prints and logs."""

    def __init__(self):
        print("printed by the constructor")

    def call_resource(self, ctx, request):
        """Make the noise named by the path."""
        getattr(self, request.path)()
        return "done"

    def long_line(self):
        """Print more than a host takes in one line, and one that does not end."""
        print("x" * 200_000)
        print("no newline", end="", flush=True)

    def records(self):
        """Log in all ways."""
        log.log(5, "traced")
        log.debug("debugged")
        log.info("informed %d", 7, extra={"count": 7, "nan": float("nan"), "thing": object, "@message": 5, "é": "ü"})
        log.warning("warned\nin two lines")
        log.critical("critical")
        log.info("z" * 100_000, extra={"much": "y" * 100_000})
        log.info(12345)
        log.info("%s", Unprintable())
        log.info("surrogate \udc80")
        try:
            {}["missing"]
        except KeyError:
            log.exception("caught")
        warnings.warn("deprecated thing", DeprecationWarning, stacklevel=1)

    def thread(self):
        """Let a thread die."""
        thread = threading.Thread(target=lambda: 1 / 0, name="doomed")
        thread.start()
        thread.join()

    def stderr(self):
        """Write plain text to stderr."""
        print("plain text on stderr", file=sys.stderr, flush=True)

    def close(self):
        """Print at the end."""
        print("printed by close")


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    log.setLevel(1)
    plugin.serve(Noisy)
    print("printed after serve")
