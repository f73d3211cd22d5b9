"""A plugin's stderr, read as go-plugin reads it: hclog's JSON lines, tagged text, panics, and everything else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

LINE_LIMIT_BYTES = 64 * 1024
"""Longer lines are cut and never parsed. Source: go-plugin client.go, PluginLogBufferSize."""

LEVELS = ("trace", "debug", "info", "warn", "error")

# Go's layout 2006-01-02T15:04:05.000000Z07:00: six digits, no more and no less.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,]\d{6}(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_TAGS = tuple((f"[{level.upper()}]", level) for level in LEVELS)


@dataclass(frozen=True)
class LogLine:
    """One line of a plugin's log.

    Attributes:
        level: One of LEVELS.
        message: Its text.
        fields: The other keys of a JSON line.
        plain: It was text, not an hclog entry: a print, a traceback, a panic.
        would_crash_host: Name of the key that makes Grafana itself panic, because it is not a string; empty if none.
    """

    level: str
    message: str
    fields: dict[str, object] = field(default_factory=dict)
    plain: bool = False
    would_crash_host: str = ""

    def text(self) -> str:
        """Lay it out: the message, `key=value` for each field, and fields of several lines (a traceback) below."""
        short = [f"{key}={_value(value)}" for key, value in self.fields.items() if not _is_block(value)]
        blocks = [str(value).rstrip("\n") for value in self.fields.values() if _is_block(value)]
        return "\n".join([" ".join([self.message, *short]), *blocks])


def _is_block(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _value(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, default=str)


class LineSplitter:
    """Cuts a byte stream into lines as Go's bufio.Reader does: long ones in pieces.

    Args:
        limit: Longest line that stays in one piece, in bytes.
    """

    def __init__(self, limit: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit
        self._rest = b""
        self._continued = False

    def feed(self, data: bytes) -> list[tuple[str, bool]]:
        """Give each line that is complete now, and whether it is whole (False: a piece of a longer one)."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in complete for piece in self._pieces(line)]
        while len(self._rest) >= self._limit:
            lines.append((_text(self._rest[: self._limit]), False))
            self._rest = self._rest[self._limit :]
            self._continued = True
        return lines

    def end(self) -> list[tuple[str, bool]]:
        """Give what the stream ended with, when it did not end with a newline."""
        rest, self._rest = self._rest, b""
        return self._pieces(rest) if rest else []

    @property
    def pending(self) -> str:
        """What was read since the last newline."""
        return _text(self._rest)

    def _pieces(self, line: bytes) -> list[tuple[str, bool]]:
        pieces = [line[start : start + self._limit] for start in range(0, len(line), self._limit)] or [line]
        whole = len(pieces) == 1 and not self._continued
        if self._continued and not line:  # only the newline of a line that was given already
            pieces = []
        self._continued = False
        return [(_text(piece.removesuffix(b"\r")), whole) for piece in pieces]


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")


class LogParser:
    """Turns lines into log lines; remembers that a Go panic has begun."""

    def __init__(self) -> None:
        self._in_panic = False

    def parse(self, line: str, *, whole: bool = True) -> LogLine:
        """Read one line.

        Args:
            line: Without its newline.
            whole: False for a piece of a line above LINE_LIMIT_BYTES: it goes out at debug, unread.

        Source:
            go-plugin client.go (logStderr) and log_entry.go (parseJSON).
        """
        if not whole:
            return LogLine("debug", line, plain=True)
        entry = _json_object(line)
        return self._plain(line) if entry is None else _from_json(line, entry) or self._plain(line)

    def _plain(self, line: str) -> LogLine:
        for tag, level in _TAGS:
            if line.startswith(tag):
                return LogLine(level, line, plain=True)
        if line.startswith(("panic: ", "fatal error: ")):
            self._in_panic = True
        return LogLine("error" if self._in_panic else "debug", line, plain=True)


def _json_object(line: str) -> dict[str, object] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        entry = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity, as Go does."""
    raise ValueError(name)


def _from_json(line: str, entry: dict[str, object]) -> LogLine | None:
    """Read an hclog entry; None when its timestamp makes go-plugin take the line for plain text."""
    for key in ("@message", "@level", "@timestamp"):
        if not isinstance(entry.get(key, ""), str):
            level = entry.get("@level")
            known = level.lower() if isinstance(level, str) and level.lower() in LEVELS else "error"
            return LogLine(known, line, would_crash_host=key)
    if "@timestamp" in entry and not _TIMESTAMP.match(str(entry["@timestamp"])):
        return None
    level = str(entry.pop("@level", "")).strip().lower()
    if level not in LEVELS:
        return LogLine("debug", line, plain=True)
    message = str(entry.pop("@message", ""))
    entry.pop("@timestamp", None)
    entry.pop("timestamp", None)  # Grafana's log wrapper drops it as well
    return LogLine(level, message, entry)
