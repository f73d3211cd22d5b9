"""What `debugtool run` tells: calm lines on stderr for people, one JSON object per line on stdout for programs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

from debugtool import output
from debugtool.devhost.hclog import LEVELS, LogLine
from debugtool.devhost.start_failures import exit_words
from debugtool.errors import DebugtoolError

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {"trace": "dim", "debug": "dim", "info": "green", "warn": "yellow", "error": "red"}


class JsonReporter:
    """One JSON object per line on stdout.

    Args:
        min_level: Log entries below it are left out; plain text never is.
    """

    def __init__(self, min_level: str = "trace") -> None:
        self._min_level = min_level

    def event(self, event: str, **fields: object) -> None:
        """Print an event; when nobody reads them any more, end as SIGTERM would."""
        try:
            print(output.event_line(event, **fields), flush=True)
        except BrokenPipeError:
            # What is left in the buffer would fail again at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            signal.raise_signal(signal.SIGTERM)

    def log(self, pid: int, line: LogLine) -> None:
        """Print a `log` event."""
        if _is_shown(line, self._min_level):
            self.event("log", pid=pid, level=line.level, message=line.message, fields=line.fields)

    def failed(self, error: DebugtoolError, retry_s: float) -> None:
        """Print an `error` event; `retry_s` says when it is tried again."""
        self.event("error", **output.error_document(error), retry_s=retry_s)


class HumanReporter:
    """Lines on stderr, in colour when that is a terminal.

    Args:
        name: What the plugin is called.
        min_level: Log entries below it are left out; plain text, such as what the plugin prints, never is.
    """

    def __init__(self, name: str, min_level: str = "info") -> None:
        self._name = name
        self._min_level = min_level
        self._last_failure = ""
        self._console = _console() if sys.stderr.isatty() else None

    def _say(self, text: str, style: str = "") -> None:
        if self._console is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def event(self, event: str, **fields: object) -> None:
        """Say an event in a line; those that tell a person nothing are left out."""
        texts = {
            "starting": "Starting {executable}",
            "started": "Started {name}, pid {pid}, in {elapsed_ms:.0f} ms; it listens on {address}",
            "restarted": "Started {name} again, pid {pid}, in {elapsed_ms:.0f} ms; it listens on {address}",
            "stopping": "Stopping {name}; once more to kill it at once.",
        }
        if event == "exited":
            self._say(f"{self._name}, pid {fields['pid']}, has ended: {_ending(fields)}", "yellow")
        elif event == "stopped":
            self._say(f"Stopped {self._name}, pid {fields['pid']}: {_ending(fields)}", "bold")
        elif event == "listening":
            self._say_what_next(fields)
        elif event == "running_already":
            self._say(
                f"Another {self._name} of the same file runs already, pid {fields['pids']}: `debugtool attach` will ask"
                " which one you mean.",
                "yellow",
            )
        elif event in texts and not (event == "starting" and self._last_failure):
            self._say(texts[event].format(name=self._name, **fields), "" if event == "starting" else "bold")
        if event in ("started", "restarted"):
            self._last_failure = ""

    def _say_what_next(self, fields: dict[str, object]) -> None:
        url, uid = fields["url"], fields["uid"]
        body = json.dumps({"from": "now-1h", "to": "now", "queries": [{"refId": "A", "datasource": {"uid": uid}}]})
        self._say(f"Serving Grafana's HTTP API on {url}", "bold")
        for label, command in (
            ("query ", f"debugtool query {self._name}"),
            ("or    ", f"curl -s {url}/api/ds/query -H 'Content-Type: application/json' -d '{body}'"),
            ("health", f"curl -s {url}/api/datasources/uid/{uid}/health"),
            ("debug ", f"debugtool attach {self._name}"),
            ("stop  ", "Ctrl-C"),
        ):
            self._say(f"  {label}  {command}")

    def log(self, pid: int, line: LogLine) -> None:
        """Show a log line: level, text, fields."""
        if _is_shown(line, self._min_level):
            text = line.text().replace("\n", "\n        | ")
            self._say(f"  {line.level:5} | {text}", _COLOURS[line.level])

    def failed(self, error: DebugtoolError, retry_s: float) -> None:
        """Show why a restart failed: all of it the first time, one line while it stays the same."""
        text = output.error_text(error)
        without_pid = re.sub(r"pid \d+", "pid", text)
        if without_pid == self._last_failure:
            self._say(f"Still not started; again in {retry_s:g} s.", "red")
        else:
            self._say(f"{text}\nTrying again every {retry_s:g} s, as Grafana does.", "red")
        self._last_failure = without_pid


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _is_shown(line: LogLine, min_level: str) -> bool:
    # Our own runtime wraps what the plugin prints in entries of these modules.
    printed = line.plain or line.fields.get("@module") in ("stdout", "stderr")
    return printed or LEVELS.index(line.level) >= LEVELS.index(min_level)


def _ending(fields: dict[str, object]) -> str:
    code, signal_number = fields["code"], fields["signal"]
    return exit_words(
        code if isinstance(code, int) else None, signal_number if isinstance(signal_number, int) else None
    )
