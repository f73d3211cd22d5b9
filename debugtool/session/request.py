"""What an attach is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from debugtool.model import Target


@dataclass(frozen=True)
class AttachRequest:
    """What `debugtool attach` was asked for.

    Attributes:
        target: The process.
        host: Address for the editor, with `port` (0: any free one).
        method: Injector to use; None chooses.
        allow_remote: Whether `host` may be an address that others can reach.
        workspace: Directory whose launch.json is written; None finds it, False writes none.
        timeout_s: How long a target may take to become ready and to let us in.
        every: Whether the other processes of the target's name, and the Pythons below them, are debugged with it.
        family: What those others are called; None: as the target is.
        once: Whether the session ends with the process; else it goes on in the one that comes after it.
        hold_s: For how long, from its start on, a process that is started is held until an editor has set its
            breakpoints; None holds none.
        pauses: Whether a plugin that keeps ending right after its start is left alone for a while.
    """

    target: Target
    host: str = "127.0.0.1"
    port: int = 3222
    method: str | None = None
    allow_remote: bool = False
    workspace: Path | bool | None = None
    timeout_s: float = 15.0
    every: bool = False
    family: str | None = None
    once: bool = False
    pauses: bool = True
    hold_s: float | None = None
