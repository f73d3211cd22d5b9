"""The line of Python that every injector runs in a target, and what it starts there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

# Runs in the hijacked thread, so it only starts a raw thread and returns: whatever takes a lock, starts a child or runs
# long belongs into that thread. exec in a dict of its own leaves the target's __main__ as it was.
# A failure is reported with what every interpreter has built in: what failed may be the program's own `json` or
# `socket`, which hides the standard one. Nobody is left to tell when the session is gone (OSError), and an interpreter
# that is ending starts no thread (RuntimeError).
_LINE = """exec({program!r}, {{}})"""
_PROGRAM = """\
def report(text):
    try:
        import _socket
        units = text.encode("utf-16-be", "surrogatepass").hex()
        text = "".join("\\\\u" + units[at : at + 4] for at in range(0, len(units), 4))
        channel = _socket.socket(_socket.AF_UNIX)
        try:
            channel.connect({socket!r})
            channel.sendall(('{{"event": "failed", "token": "%s", "traceback": "%s"}}\\n' % ({token!r}, text)).encode())
        finally:
            channel.close()
    except OSError:
        pass
def boot(path, arguments):
    try:
        import json
        with open(path) as file:
            code = compile(file.read(), path, "exec")
        names = {{"__name__": "debugtool_payload", "__file__": path}}
        exec(code, names)
        names["run"](json.loads(arguments))
    except BaseException as error:
        try:
            import traceback
            text = traceback.format_exc()
        except BaseException:
            text = repr(error)
        report(text)
import _thread
try:
    _thread.start_new_thread(boot, ({path!r}, {arguments!r}))
except RuntimeError as error:
    report(repr(error))
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
