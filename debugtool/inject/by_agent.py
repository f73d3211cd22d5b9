"""Injection without injecting: a debug build listens for us itself."""

from __future__ import annotations

import json
import os
import socket
import time

from debugtool.errors import Refused, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.model import Target
from debugtool.plugin.agent import paths

_ANSWER_S = 8.0  # longer than the agent waits for a client that connects and says nothing
_ANSWER_BYTES = 64 * 1024  # of one that a taken-over process gives


class AgentInjector:
    """Hands the payload's arguments to the debug agent inside the target, over its private unix socket."""

    name = "agent"
    needs_ptrace = False

    def why_not(self, target: Target) -> str | None:
        """Needs a debug build whose agent listens."""
        # os.path.exists, because Path.exists raises when the directory is closed to us
        if not os.path.exists(paths.agent_socket(target.uid, target.pid)):  # noqa: PTH110
            return "no debug agent listens in it (debugtool build --debug puts one in)"
        return None

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        """See Injector.inject.

        Raises:
            Refused: The agent takes no orders from our user.
            Unsupported: It does not answer, or something else does.
        """
        what = f"Could not reach the debug agent of pid {target.pid} ({target.name})."
        try:
            with socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(min(timeout_s, _ANSWER_S))
                channel.connect(paths.agent_socket(target.uid, target.pid))
                channel.sendall(json.dumps(bootstrap.arguments).encode() + b"\n")
                line = _read_line(channel, time.monotonic() + min(timeout_s, _ANSWER_S))
        except OSError as error:
            raise Unsupported(what, why=str(error), next_step="use --method ptrace") from error
        if not line:
            raise Refused(
                what,
                why="it hung up, as it does on other users than its own and root",
                next_step="run debugtool as the plugin's user or as root",
            )
        try:
            failed = _failure_in(line)
        except ValueError as error:
            raise Unsupported(what, why=str(error), next_step="use --method ptrace") from error
        if failed:
            raise Unsupported(what, why=f"it answered: {failed}", next_step="use --method ptrace")
        return 0.0


def _read_line(channel: socket.socket, deadline: float) -> bytes:
    """Read a line, not beyond a time by the monotonic clock, and no more than an answer has.

    Raises:
        OSError: The time is over, or the connection is broken.
    """
    line = b""
    while not line.endswith(b"\n") and len(line) < _ANSWER_BYTES:
        channel.settimeout(max(deadline - time.monotonic(), 0.001))
        part = channel.recv(4096)
        if not part:
            break
        line += part
    return line


def _failure_in(line: bytes) -> str:
    """Read an agent's answer: what stood in its way, empty when nothing did.

    Raises:
        ValueError: It is no answer of our agent's; whatever runs in the target may have given it.
    """
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("what it answered is not the agent's") from error
    if not isinstance(answer, dict):
        raise ValueError("what it answered is not the agent's")
    return str(answer.get("failed") or "")
