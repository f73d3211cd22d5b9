"""What an editor's session needs of the relay it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from debugtool.debuggers import DebuggerChannel
from debugtool.relay.pauses import Pause

if TYPE_CHECKING:
    from debugtool.relay.client import ClientSession


class Exchange(Protocol):
    """What a client session needs of the relay it belongs to."""

    def complete(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Give an `attach` request's arguments as pydevd needs them, and what is the user's own code there."""

    follows: bool
    """Whether a client whose process has ended gets the next one (`ClientSession.restore`)."""

    @property
    def capabilities(self) -> Mapping[str, object]:
        """What the debugger can do, as `initialize` is answered."""

    can_restart: bool
    """Whether `restart` can be asked for."""

    async def open_debugger(
        self, client: ClientSession, child_pid: int | None, own_code: list[str]
    ) -> DebuggerChannel | None:
        """Give the client a debugger: the target's, or that of a child process; None while there is no target.

        Raises:
            DebugtoolError: There is none to be had, or another client has it.
        """

    async def close_debugger(self, client: ClientSession) -> None:
        """Take the client's debugger back and let the process go. Nothing happens when it has none."""

    async def end_process(self) -> None:
        """End the client's process, as its configuration asks for; the debugger has been let go."""

    def take_configured(self, client: ClientSession) -> None:
        """Take note that the client has said all that it has to say before its process may run."""

    def take_pause(self, client: ClientSession, pause: Pause | None) -> None:
        """Take note that the client's process stands still, or (None) runs on."""

    def restart(self, done: Callable[[str | None], None]) -> None:
        """Have the process restarted; `done` is called with None then, or with why it was not."""
