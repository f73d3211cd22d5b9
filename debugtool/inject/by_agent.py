"""Injection without injecting: a debug build listens for us itself."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from debugtool.errors import Refused, Unsupported
from debugtool.inject.bootstrap import Bootstrap
from debugtool.model import Target
from debugtool.plugin.agent import paths


class AgentInjector:
    """Hands the payload's arguments to the debug agent inside the target, over its private unix socket."""

    name = "agent"
    needs_ptrace = False

    def why_not(self, target: Target) -> str | None:
        """Needs a debug build whose agent listens."""
        if not Path(paths.agent_socket(target.uid, target.pid)).exists():
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
                channel.settimeout(min(timeout_s, 2.0))
                channel.connect(paths.agent_socket(target.uid, target.pid))
                channel.sendall(json.dumps(bootstrap.arguments).encode() + b"\n")
                answer = channel.makefile("rb").readline()
        except OSError as error:
            raise Unsupported(what, why=str(error), next_step="use --method ptrace") from error
        if not answer:
            raise Refused(what, why="it serves its own user and root only")
        return 0.0
