"""Query results as text tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def result_lines(document: dict[str, Any], max_rows: int) -> list[str]:
    """Lay out the results of a query as lines of text.

    Args:
        document: `{"results": {refId: {"frames": [...]}}}`.
        max_rows: Rows shown of each frame; 0 shows all.
    """
    lines: list[str] = []
    for ref_id, result in document["results"].items():
        for frame in result.get("frames", []):
            lines += _frame_lines(ref_id, frame, max_rows)
        if not result.get("frames") and not result.get("error"):
            lines.append(f"{ref_id}: no data")
    return lines


def _frame_lines(ref_id: str, frame: dict[str, Any], max_rows: int) -> list[str]:
    fields = frame.get("schema", {}).get("fields", [])
    columns = frame.get("data", {}).get("values", [])
    count = len(columns[0]) if columns else 0
    shown = count if max_rows == 0 else min(count, max_rows)
    cells = [
        [_title(field), *(_cell(field, value) for value in column[:shown])]
        for field, column in zip(fields, columns, strict=False)
    ]
    numeric = [field.get("type") == "number" for field in fields]
    widths = [max(map(len, column)) for column in cells]
    name = frame.get("schema", {}).get("name")
    lines = [f"{ref_id}{f' {name}' if name else ''}: {count} row{'' if count == 1 else 's'}"]
    for row in zip(*cells, strict=True):
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=False)
        ]
        lines.append("  " + "  ".join(aligned).rstrip())
    if shown < count:
        lines.append(f"  ... {count - shown} more rows: --rows 0 shows all")
    return lines


def _title(field: dict[str, Any]) -> str:
    config = field.get("config") or {}
    name = str(config.get("displayName") or field.get("name") or "")
    labels = ",".join(f"{key}={value}" for key, value in (field.get("labels") or {}).items())
    return f"{name}{{{labels}}}" if labels else name


def _cell(field: dict[str, Any], value: Any) -> str:
    if value is None:
        return "-"
    if field.get("type") == "time" and isinstance(value, int):
        return _time(value)
    return value if isinstance(value, str) else json.dumps(value)


def _time(epoch_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a year that Python does not know
        return str(epoch_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{epoch_ms % 1000:03d}" if epoch_ms % 1000 else "")
