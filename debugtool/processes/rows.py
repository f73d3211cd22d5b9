"""Targets as people and programs read them: an aligned table, and JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

from debugtool.model import Target
from debugtool.system import printable

_COLUMNS = ("PID", "NAME", "PLUGIN ID", "RUNTIME", "BUILD", "HOST", "USER", "UPTIME", "GRPC ADDRESS", "DEBUGGER")


def target_table(targets: Sequence[Target], now: float | None = None) -> list[str]:
    """Lay targets out as lines of one aligned table, the first its heading.

    Args:
        targets: The rows.
        now: The present time in seconds since the epoch, for the uptime.
    """
    rows = [_COLUMNS, *(_row(target, time.time() if now is None else now) for target in targets)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(target: Target, now: float) -> tuple[str, ...]:
    row = (
        str(target.pid),
        target.name,
        target.plugin_id or "-",
        runtime_words(target),
        target.build,
        f"{target.host.name} ({target.host.pid})" if target.host else "-",
        target.user,
        uptime_words(now - target.started_at),
        target.grpc_address or "-",
        target.debugger or "-",
    )
    return tuple(printable(cell) for cell in row)  # a socket's path is somebody else's text as well


def runtime_words(target: Target) -> str:
    """Say runtime and version: `cpython 3.11.7`, `go 1.26.8`."""
    version = (target.runtime_version or "").removeprefix("go")
    return f"{target.runtime} {version}".strip()


def uptime_words(seconds: float) -> str:
    """Say a time span by its two largest units: `42s`, `3m 5s`, `2h 10m`, `4d 1h`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def target_document(target: Target) -> dict[str, object]:
    """Give a target as JSON knows it: in `ps --json`, and in the `target` event of an attach."""
    host = {"pid": target.host.pid, "name": target.host.name} if target.host else None
    return {
        "pid": target.pid,
        "name": target.name,
        "plugin_id": target.plugin_id,
        "runtime": str(target.runtime),
        "runtime_version": target.runtime_version,
        "build": str(target.build),
        "host": host,
        "user": target.user,
        "uid": target.uid,
        "started_at": target.started_at,
        "uptime_s": round(time.time() - target.started_at, 3),
        "grpc_address": target.grpc_address,
        "debugger": target.debugger,
        "executable": _text(target.executable),
        "script": _text(target.script),
        "cwd": _text(target.cwd),
        "plugin_dir": _text(target.plugin_dir),
        "venv": _text(target.venv),
        "go": asdict(target.go) if target.go else None,
        "command_line": list(target.command_line),
    }


def _text(path: object) -> str | None:
    return None if path is None else str(path)
