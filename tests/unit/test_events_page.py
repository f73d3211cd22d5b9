"""docs/events.md has every event of an attach with its fields, as the source reports them."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "events.md"


def reported() -> dict[str, set[str]]:
    """Give the events that the session reports, each with the fields that stand in the call itself."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "debugtool" / "session").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name, first = ast.unparse(node.func), node.args[0]
            if name in ("report", "self._report") and isinstance(first, ast.Constant):
                fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                found.setdefault(str(first.value), set()).update(fields)
    return found


def test_every_event_is_on_the_page_with_its_fields() -> None:
    rows = [line.split("|")[1:4] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    missing = []
    for event, fields in reported().items():
        row = next((row for row in rows if f"`{event}`" in row[0]), None)
        missing += [event] if row is None else [f"{event}: {field}" for field in fields if f"`{field}`" not in row[2]]
    assert len(reported()) > 10 and missing == []
