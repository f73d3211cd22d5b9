"""The line of Python that every injector runs in a target, and what it starts there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

# Runs in the hijacked thread, so it only starts a raw thread and returns: whatever takes a lock, starts a child or runs
# long belongs into that thread. exec in a dict of its own leaves the target's __main__ as it was.
_LINE = """exec({program!r}, {{}})"""
_PROGRAM = """\
def boot(path, arguments):
    try:
        import json
        with open(path) as file:
            code = compile(file.read(), path, "exec")
        names = {{"__name__": "debugtool_payload", "__file__": path}}
        exec(code, names)
        names["run"](json.loads(arguments))
    except BaseException:
        import json, socket, traceback
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect({socket!r})
            text = json.dumps({{"event": "failed", "token": {token!r}, "traceback": traceback.format_exc()}})
            channel.sendall(text.encode() + b"\\n")
import _thread
_thread.start_new_thread(boot, ({path!r}, {arguments!r}))
"""


@dataclass(frozen=True)
class Bootstrap:
    """What the payload needs to know, on its way into the target.

    Attributes:
        payload: The payload's source file, readable by the target's user.
        socket: Unix socket of the session, on which the payload reports.
        token: Proves to the session that it is this payload that connects.
        debugpy: Directory that holds the `debugpy` package.
        uid: User that the session belongs to.
    """

    payload: Path
    socket: Path
    token: str
    debugpy: Path
    uid: int

    @property
    def arguments(self) -> dict[str, object]:
        """The payload's `arguments`."""
        return {
            "payload": str(self.payload),
            "socket": str(self.socket),
            "token": self.token,
            "debugpy": str(self.debugpy),
            "uid": self.uid,
        }

    @property
    def text(self) -> str:
        """Python text that starts the payload in a thread of its own, in one line, for CPython 3.8 and later."""
        program = _PROGRAM.format(
            path=str(self.payload), arguments=json.dumps(self.arguments), socket=str(self.socket), token=self.token
        )
        return _LINE.format(program=program)
