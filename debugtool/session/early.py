"""The port of a session that still waits for its first process."""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType

from debugtool import relay
from debugtool.errors import AddressInUse


class EarlyPort:
    """Listens while a plugin is waited for: an editor may come first, and has its answer once the plugin is there.

    Nobody accepts before: who may connect, and what the debugger can do, is known only with the process. A context
    manager; the sockets are closed with the block unless the session that took them has done it.

    Args:
        host: Address for the editor, with `port` (0: any free one).
        port: See `host`.
        allow_remote: Whether `host` may be an address that others can reach.
    """

    def __init__(self, host: str, port: int, allow_remote: bool) -> None:
        self.host = host
        self._port = port
        self._allow_remote = allow_remote
        self._listeners: list[socket.socket] = []

    def __enter__(self) -> EarlyPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    def listen(self) -> int | None:
        """Listen; give the port. None where somebody else does: it may be a session on the plugin, to be told of then.

        Raises:
            Refused: An address that others can reach, without `allow_remote`.
        """
        self._close()  # of a session that has failed
        with contextlib.suppress(AddressInUse):
            self._listeners = relay.listen_on(self.host, self._port, allow_remote=self._allow_remote)
            return int(self._listeners[0].getsockname()[1])
        return None

    @property
    def listeners(self) -> list[socket.socket]:
        """The sockets; none before `listen`, or where that found the port in use."""
        return list(self._listeners)
