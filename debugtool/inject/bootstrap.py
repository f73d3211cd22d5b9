"""The line of Python that every injector runs in a target, and what it starts there."""

from __future__ import annotations

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
def load(path):
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    names = {{"__name__": "debugtool_payload", "__file__": path}}
    exec(code, names)
    return names
def boot(path, arguments):
    try:
        if arguments["library"]:
            frozen = load(path.rpartition("/")[0] + "/frozen.py")
            arguments["completion"] = frozen["complete"](arguments)
        load(path)["run"](arguments)
    except BaseException as error:
        if "completion" in arguments:
            arguments["completion"].withdraw()
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
        library: For a frozen program: a standard library that fits it, and the directory of its extension modules.
    """

    payload: Path
    socket: Path
    token: str
    debugpy: Path
    uid: int
    library: tuple[Path, ...] = ()

    @property
    def arguments(self) -> dict[str, object]:
        """The payload's `arguments`."""
        return {
            "payload": str(self.payload),
            "socket": str(self.socket),
            "token": self.token,
            "debugpy": str(self.debugpy),
            "uid": self.uid,
            "library": [str(directory) for directory in self.library],
        }

    @property
    def text(self) -> str:
        """Python text that starts the payload in a thread of its own, in one line, for CPython 3.8 and later."""
        program = _PROGRAM.format(
            path=str(self.payload), arguments=self.arguments, socket=str(self.socket), token=self.token
        )
        return _LINE.format(program=program)
