"""serve(): turns an object with handler methods into a running plugin process."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass

from debugtool.plugin import handshake, logs, stdout

_log = logging.getLogger("plugin")


@dataclass(frozen=True)
class Options:
    """How a plugin is served.

    Attributes:
        max_receive_bytes: Largest request taken; the Go SDK's default.
        workers: How many calls run at the same time, each on a thread of its own, `async` handlers included; further
            ones wait. Streams that subscribers listen to, health and Shutdown do not count.
        log_level: Lowest level of log records sent to the host, unless a logger has its own level.
        end_with_host: End the process when the host dies without having stopped it. go-plugin tells a plugin nothing
            then (wire-spec 1.1) and no later host can find it, so it would run for ever.
    """

    max_receive_bytes: int = 16 * 1024 * 1024
    workers: int = 32
    log_level: int = logging.INFO
    end_with_host: bool = True


def serve(plugin: object, options: Options | None = None) -> None:
    """Serve a plugin to the host that started this process, until the host ends it.

    From here on stdout belongs to the handshake: what is printed becomes debug log lines (see `guard_stdout`, which may
    be called earlier). `logging` goes to the host as JSON lines. SIGINT is ignored, since Ctrl-C on a terminal is the
    host's to handle; SIGTERM ends the plugin cleanly.

    When the host stops the plugin, `ctx.cancelled` of every running call is set, the plugin's `close()` runs if it
    has one, and serve() returns. Whatever still runs 1.2 seconds later is cut off with exit code 0, because the host
    kills the process after 2 seconds.

    A child process must not keep this process's stderr open: the host notices the plugin's exit only when every copy
    of it is closed (wire-spec 1.10). Start children with `stderr=subprocess.DEVNULL` or a pipe of your own; their
    stdout is harmless, it leads into this process. Do not fork without exec (multiprocessing's "fork"): gRPC's threads
    make that unsafe; "spawn" is fine.

    Args:
        plugin: An object with handler methods, or a class that makes one without arguments. The methods are listed in
            the documentation of `debugtool.plugin`.
        options: Other settings than the defaults.

    Raises:
        SystemExit: Code 1: run by hand, or the host asks for what cannot be done; stderr says which.
    """
    options = options or Options()
    try:
        settings = handshake.read_settings(os.environ)
    except handshake.NotHosted as error:
        sys.stderr.write(str(error))
        raise SystemExit(1) from None
    except handshake.StartRefused as error:
        logs.write({"@level": "error", "@message": f"plugin cannot start: {error}", "@module": "plugin"})
        raise SystemExit(1) from None
    stdout.guard_stdout()
    logs.install(options.log_level)

    # Only now: gRPC takes most of the time to the handshake, and the notices above need none of it.
    from debugtool.plugin import server

    handlers = plugin() if isinstance(plugin, type) else plugin
    try:
        server.run(handlers, settings, options)
    except (handshake.StartRefused, OSError) as error:
        _log.error("plugin cannot start: %s", error)
        raise SystemExit(1) from None
