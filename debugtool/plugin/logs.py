"""Log records as a go-plugin host reads them: one JSON object per line on stderr.

Source: wire-spec 1.9. `@message`, `@level` and `@timestamp` must be JSON strings, or the host process panics; the
timestamp has exactly six fraction digits; a line of 64 KiB or more is cut and never parsed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

MAX_LINE_BYTES = 64 * 1024 - 1  # with the newline
_SHORT_TEXT = 4096  # characters left of each long text in a line that was too long
_STDERR = 2
_lock = threading.Lock()

RECORD_ATTRIBUTES = frozenset(
    (*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName")  # taskName: from 3.12 on
)


def timestamp(seconds: float) -> str:
    """Write a time as the host reads it: RFC 3339 in UTC with six fraction digits."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def level_name(number: int) -> str:
    """Name a logging level as hclog does."""
    for limit, name in ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info")):
        if number >= limit:
            return name
    return "debug" if number >= logging.DEBUG else "trace"


def to_line(fields: dict[str, Any]) -> bytes:
    """Write a record as one JSON line below 64 KiB, newline included; long texts are cut in the middle."""
    line = _dump(fields)
    if len(line) <= MAX_LINE_BYTES:
        return line
    line = _dump({key: _shortened(value) for key, value in fields.items()})
    if len(line) <= MAX_LINE_BYTES:
        return line
    kept = {key: _shortened(value) for key, value in fields.items() if key.startswith("@")}
    return _dump({**kept, "cut": "the record's other keys were too long"})


def _dump(fields: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(fields, default=str, allow_nan=False)
    except (TypeError, ValueError):  # keys that are no strings, NaN, or an object that contains itself
        text = json.dumps({str(key): str(value) for key, value in fields.items()})
    return text.encode("ascii") + b"\n"


def _shortened(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    if len(text) <= _SHORT_TEXT:
        return text
    half = _SHORT_TEXT // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def write(fields: dict[str, Any]) -> None:
    """Write one record, stamped with the time if it has none. A host that is gone reads no logs: that is no error.

    Raises:
        Exception: What the `__str__` of a value raises.
    """
    fields.setdefault("@timestamp", timestamp(datetime.now(UTC).timestamp()))
    rest = memoryview(to_line(fields))
    with _lock, contextlib.suppress(OSError):
        while rest:
            rest = rest[os.write(_STDERR, rest) :]


class HostHandler(logging.Handler):
    """Writes records for the host. `extra=` fields become keys; a traceback goes into the key `traceback`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            write(self.fields(record))
        except Exception:  # a record that cannot be formatted is the caller's mistake, of whatever type
            self.handleError(record)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Give a record's keys and values."""
        fields = {
            key.lstrip("@") or "_": value for key, value in record.__dict__.items() if key not in RECORD_ATTRIBUTES
        }
        fields |= {
            "@level": level_name(record.levelno),
            "@message": record.getMessage(),
            "@module": record.name,
            "@timestamp": timestamp(record.created),
        }
        if record.exc_info:
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.stack_info:
            fields["stack"] = record.stack_info
        return fields

    def handleError(self, record: logging.LogRecord) -> None:
        """Report a record that cannot be written, as one line too."""
        message = f"log record of {record.pathname}:{record.lineno} cannot be formatted: {record.msg!r}"
        write({"@level": "error", "@message": message, "@module": record.name, "traceback": traceback.format_exc()})


def install(level: int) -> None:
    """Send all log records of the process to the host, and uncaught exceptions, warnings and crashes too.

    Handlers of the root logger that write to the terminal's streams are removed: each record would appear twice.

    Args:
        level: Lowest level of records to send, unless a logger has its own.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, HostHandler) or (
            isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout)
        ):
            root.removeHandler(handler)
    root.addHandler(HostHandler())
    root.setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    if not faulthandler.is_enabled():
        faulthandler.enable(_STDERR)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("plugin").error("uncaught exception: %s", _one_line(error), exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is None or isinstance(error, SystemExit):
        return
    name = arguments.thread.name if arguments.thread else "unknown"
    logging.getLogger("plugin").error(
        "uncaught exception in thread %s: %s",
        name,
        _one_line(error),
        exc_info=(type(error), error, error.__traceback__),
    )


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
