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
        endpoint: Where the editor connects; empty before the debugger is there.
    """

    rows: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys(("plugin", "host", "debugger", "editor", "last save"), "-")
    )
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    error: str = ""
    endpoint: str = ""

    def take(self, event: str, fields: dict[str, object]) -> None:
        """Take one event in."""
        text = event_text(event, fields)
        if event in ("error", "rearm_failed"):
            self.error = text
            return
        if event in ("started", "restarted", "saved"):
            self.error = ""
        self.rows |= self._plugin_rows(event, fields) | self._debugger_rows(event, fields)
        if event == "saved":
            self.rows["last save"] = time.strftime("%H:%M:%S  ") + text.removeprefix("Saved ")
        elif "save_ms" in fields:
            self.rows["last save"] += f"  (under the debugger after {fields['save_ms']:.0f} ms)"
        self.lines.extend(text.splitlines())

    def _plugin_rows(self, event: str, fields: dict[str, object]) -> dict[str, str]:
        match event:
            case "started" | "restarted":
                return {"plugin": f"running, pid {fields['pid']}"}
            case "hosted":
                return {"plugin": f"running, pid {fields['pid']}", "host": str(fields["host"])}
            case "listening":
                return {"host": f"debugtool run, {fields['url']}"}
            case "reloading":
                return {"plugin": f"ending pid {fields['pid']}"}
            case "exited":
                return {
                    "plugin": "ended; its host starts it again",
                    "debugger": f"{self.endpoint}, waits for the plugin",
                }
        return {}

    def _debugger_rows(self, event: str, fields: dict[str, object]) -> dict[str, str]:
        match event:
            case "ready":
                self.endpoint = f"{fields['host']}:{fields['port']}"
                return {
                    "debugger": f"{self.endpoint}, in pid {fields['pid']} ({fields['method']})",
                    "editor": "not connected",
                }
            case "rearmed":
                return {"debugger": f"{self.endpoint}, in pid {fields['pid']}"}
            case "paused":
                return {"editor": f"stands at a stop since {time.strftime('%H:%M:%S')}"}
            case "continued":
                return {"editor": "connected"}
            case "client":
                return {"editor": "connected" if fields["connected"] else "not connected"}
            case "detached":
                return {"debugger": "detached", "editor": "-"}
        return {}

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
