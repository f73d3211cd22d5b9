"""What a user reads: errors in three lines, events as JSON lines, JSON documents."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from debugtool.errors import DebugtoolError


def for_terminal(text: str) -> str:
    """Put `?` for what a terminal would obey: words of the process that is debugged may stand in a text."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


def error_text(error: DebugtoolError) -> str:
    """Lay an error out as its three lines: what, why, next."""
    return three_lines(f"Error: {error.what}", error.why, error.next_step)


def three_lines(what: str, why: str, next_step: str) -> str:
    """Lay out what is wrong, why, and what to do; the parts that are empty are left out."""
    lines = [what]
    for label, text in (("why: ", why), ("next:", next_step)):
        if text:
            indented = text.strip().replace("\n", "\n         ")
            lines.append(f"  {label} {indented}")
    return for_terminal("\n".join(lines))


def error_document(error: DebugtoolError) -> dict[str, object]:
    """Give an error as the fields `code`, `what`, `why`, `next` and its details."""
    return {
        "code": int(error.exit_code),
        "what": error.what,
        "why": error.why,
        "next": error.next_step,
        **error.details,
    }


def print_json(document: object, stream: TextIO | None = None) -> None:
    """Print one JSON document on stdout (or `stream`), with a newline."""
    print(json.dumps(document, indent=2, default=str), file=stream or sys.stdout, flush=True)


@contextlib.contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Callable[[str], None]]:
    """Show what goes on, on one line of a terminal that is gone at the end; elsewhere nothing is shown.

    Args:
        stream: stderr by default.

    Yields:
        A function that is told what happens just now.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=stream)
    with console.status("") as status:
        # one line each: a longer one would be wrapped, and the screen would jump
        yield lambda text: status.update(escape(text[: max(console.width - 4, 0)]))


@contextlib.contextmanager
def live_line(text: Callable[[], str], stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Keep a line at the foot of a terminal up to date, for the length of the block; elsewhere nothing is shown.

    Args:
        text: Gives the line, asked for twice a second, in a thread.
        stream: The terminal.

    Yields:
        A function that prints a text above the line.
    """
    if not stream.isatty():
        yield lambda above: print(above, file=stream, flush=True)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def line() -> Text:
        return Text(for_terminal(text()), no_wrap=True, overflow="ellipsis")

    console = Console(file=stream)
    # Whoever else prints is not led here: he would wait for a terminal that Ctrl-S has halted.
    live = Live(
        get_renderable=line,
        console=console,
        refresh_per_second=2,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield lambda above: console.print(Text(above), soft_wrap=True)


def duration_text(milliseconds: float) -> str:
    """Give a duration for people: `26 ms`, `35.5 s`."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def event_line(event: str, **fields: object) -> str:
    """Give one event of a long-running command as a JSON line with an RFC 3339 time in UTC."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"event": event, "time": time, **fields}, default=str)
