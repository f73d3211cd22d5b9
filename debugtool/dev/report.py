"""What `debugtool dev` tells: JSON events, a screen on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from debugtool import devhost
from debugtool.session import Report
from debugtool.session import event_text as session_event_text

_TEXTS = {
    "building": "Building: {step}",
    "built": "Built {artefact} in {elapsed_ms} ms",
    "watching": "Watching {directory}",
    "hosted": "Hosted by {host} already (pid {pid})",
    "started": "Started, pid {pid}, in {elapsed_ms:.0f} ms",
    "restarted": "Started again, pid {pid}",
    "listening": "Serving Grafana's HTTP API on {url}",
    "ready": 'Debugger on {host}:{port}. Press F5 in VS Code ("Debug backend plugin")',
    "reloading": "Ending pid {pid}",
    "ended": "Ended pid {pid} by {by}",
    "detached": "Detached; the next save attaches again",
    "stopping": "Stopping; once more to kill the plugin at once",
    "stopped": "Stopped pid {pid}",
}


@contextlib.contextmanager
def reporter(as_json: bool) -> Iterator[Report]:
    """Choose who is told, for the length of the block: a program, a terminal, or a log."""
    if as_json:
        yield devhost.JsonReporter().event
    elif sys.stderr.isatty():
        from debugtool.dev.screen import Screen

        with Screen() as screen:
            yield screen.take
    else:
        yield _tell_log


def _tell_log(event: str, **fields: object) -> None:
    if text := event_text(event, fields):
        print(text, file=sys.stderr, flush=True)


def event_text(event: str, fields: dict[str, object]) -> str:
    """Put an event into words; empty for those that a person need not read."""
    match event:
        case "saved":
            files = fields["files"]
            assert isinstance(files, list)
            return f"Saved {', '.join(files)}"
        case "error":
            kept = fields.get("kept_pid")
            text = f"Error: {fields['what']}\n{fields['why']}\n{fields['next']}"
            return f"{text}\nThe plugin runs on as it was, pid {kept}." if kept else text
        case "rearmed":
            after = f", {fields['save_ms']:.0f} ms after the save" if "save_ms" in fields else ""
            return f"The debugger is in pid {fields['pid']}{after}"
        case "rearm_failed":
            return f"{fields['what']}\n{fields['why']}\n{fields['next']}"
        case "exited":
            return f"pid {fields['pid']} has ended"
        case "log":
            return f"  {fields['level']:5} | {fields['message']}"
        case "client":
            return "An editor is connected" if fields["connected"] else "The editor has left"
        case "paused" | "pause_limit" | "let_go" | "continued":
            return session_event_text(event, fields)
        case "launch_json":
            return f"Wrote {fields['path']}" if fields["changed"] else ""
    return _TEXTS.get(event, "").format(**fields)
