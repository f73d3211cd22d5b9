"""Where the payload inside a target finds its session: a private directory, made before there is an event loop."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from debugtool import system
from debugtool.debuggers.abandoned import prefix_for, remove_abandoned
from debugtool.plugin.agent import paths

_KIND = "session"
# Beside each other in the directory, as they are in the package: the payload's own, and what it loads when it needs it.
_SOURCES = ("payload.py", "coming_up.py", "letting_go.py", "frozen.py")


class MeetingPlace:
    """A directory with the payload's source, and a unix socket that listens there, both of the target's user alone.

    Args:
        uid: The target's user.

    Attributes:
        directory: The private directory.
        token: Proves that it is our payload that connects.
        listener: The socket that listens; `socket` is its path.
    """

    def __init__(self, uid: int) -> None:
        self.token = os.urandom(16).hex()
        self._uid = uid
        base = paths.make_runtime_dir(uid)
        home = Path(paths.__file__).parent
        sources = {name: (home / name).read_bytes() for name in _SOURCES}  # where that user may not look
        self.listener = socket.socket(socket.AF_UNIX)
        with system.files_as(uid):
            remove_abandoned(Path(base), _KIND)
            self.directory = Path(tempfile.mkdtemp(prefix=prefix_for(_KIND), dir=base))
        try:
            with system.files_as(uid):
                self._fill(sources)
        except BaseException:
            self.close()  # a full disk
            raise

    def _fill(self, sources: dict[str, bytes]) -> None:
        for name, source in sources.items():
            (self.directory / name).write_bytes(source)
        self.listener.bind(str(self.socket))
        self.socket.chmod(0o600)
        self.listener.listen()

    @property
    def socket(self) -> Path:
        """Path of the unix socket."""
        return self.directory / "control.sock"

    @property
    def payload(self) -> Path:
        """Path of the payload's source, a copy that the target's user can read."""
        return self.directory / "payload.py"

    def close(self) -> None:
        """Remove it. No error when it is gone."""
        self.listener.close()
        with system.files_as(self._uid):
            shutil.rmtree(self.directory, ignore_errors=True)
