"""Where the payload inside a target finds its session: a private directory, made before there is an event loop."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from debugtool import system
from debugtool.plugin.agent import paths

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
            remove_abandoned(Path(base))
            self.directory = Path(tempfile.mkdtemp(prefix=_directory_prefix(), dir=base))
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


def _directory_prefix() -> str:
    return f"session-{os.getpid()}-{system.start_ticks(os.getpid())}-{system.namespace_mark()}-"


def remove_abandoned(base: Path) -> None:
    """Remove the directories of sessions whose debugtool was killed before the payload was there to do it.

    Args:
        base: The runtime directory of a user. What has another name there is left alone, and what is of another
            container, whose processes are not seen from here.
    """
    for directory in base.glob(f"session-*-*-{system.namespace_mark()}-*"):
        pid, ticks = directory.name.split("-")[1:3]
        if pid.isdigit() and ticks.isdigit() and not system.is_same_process(int(pid), int(ticks)):
            shutil.rmtree(directory, ignore_errors=True)
