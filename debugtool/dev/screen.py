"""One screen that shows where the plugin, its host, the debugger and the editor are."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from debugtool.dev.report import event_text

_LINES = 12


@dataclass
class State:
    """What the rows of the screen say.

    Attributes:
        rows: Their text, by their label.
        lines: The last things that happened.
        error: What is broken now; empty when nothing is.
    """

    rows: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys(("plugin", "host", "debugger", "editor", "last save"), "-")
    )
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    error: str = ""

    def take(self, event: str, fields: dict[str, object]) -> None:
        """Take one event in."""
        text = event_text(event, fields)
        rows = self.rows
        match event:
            case "started" | "restarted":
                rows["plugin"], self.error = f"running, pid {fields['pid']}", ""
            case "hosted":
                rows["plugin"], rows["host"] = f"running, pid {fields['pid']}", str(fields["host"])
            case "listening":
                rows["host"] = f"debugtool run, {fields['url']}"
            case "reloading":
                rows["plugin"] = f"ending pid {fields['pid']}"
            case "exited":
                rows["plugin"], rows["debugger"] = "ended; its host starts it again", "waits for the plugin"
            case "ready" | "rearmed":
                rows["debugger"] = f"{fields['host']}:{fields['port']}, in pid {fields['pid']} ({fields['method']})"
                rows["editor"] = "not connected"
            case "detached":
                rows["debugger"], rows["editor"] = "detached", "-"
            case "client":
                rows["editor"] = "connected" if fields["connected"] else "not connected"
            case "saved":
                rows["last save"], self.error = time.strftime("%H:%M:%S  ") + text.removeprefix("Saved "), ""
            case "error":
                self.error = text
                return
        if event == "rearmed":
            rows["last save"] += f"  (under the debugger after {fields['elapsed_ms']:.0f} ms)"
        self.lines.extend(text.splitlines())

    def render(self) -> Group:
        """Lay it out."""
        table = Table.grid(padding=(0, 2))
        for label, text in self.rows.items():
            table.add_row(Text(label, style="bold"), Text(text))
        parts: list[RenderableType] = [table, Rule(style="dim")]
        if self.error:
            return Group(*parts, Text(self.error, style="red"))
        return Group(*parts, *(Text(line, no_wrap=True, overflow="ellipsis") for line in self.lines))


class Screen:
    """The screen, from the start of the `with` block to its end; its last state stays in the terminal."""

    def __init__(self) -> None:
        self._state = State()
        self._live = Live(self._state.render(), console=Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def take(self, event: str, **fields: object) -> None:
        """Show one event (a `Report`)."""
        self._state.take(event, fields)
        self._live.update(self._state.render(), refresh=True)
