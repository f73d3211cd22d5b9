"""Injection without injecting: a debug build listens for us itself."""

from __future__ import annotations

import json
import os
import socket

from debugtool.errors import Refused, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.model import Target
from debugtool.plugin.agent import paths

_ANSWER_S = 8.0  # longer than the agent waits for a client that connects and says nothing


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
            Unsupported: It does not answer.
        """
        what = f"Could not reach the debug agent of pid {target.pid} ({target.name})."
        try:
            with socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(min(timeout_s, _ANSWER_S))
                channel.connect(paths.agent_socket(target.uid, target.pid))
                channel.sendall(json.dumps(bootstrap.arguments).encode() + b"\n")
                answer = channel.makefile("rb").readline()
        except OSError as error:
            raise Unsupported(what, why=str(error), next_step="use --method ptrace") from error
        if not answer:
            raise Refused(what, why="it hung up, as it does on other users than its own and root")
        failed = json.loads(answer).get("failed")
        if failed:
            raise Unsupported(what, why=f"it answered: {failed}", next_step="use --method ptrace")
        return 0.0
