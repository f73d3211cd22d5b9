"""What a session tells: JSON events for programs, a few calm lines for people."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import PurePath
from typing import Protocol

from debugtool import output
from debugtool.model import Build, Runtime
from debugtool.session.telling import Telling, own

_RELEASE = (
    "This is a release build: its asserts may be off and its code is optimised. "
    "debugtool build --debug makes one to debug."
)


_OPTIMISED_GO = (
    "It was built with optimisation: breakpoints may be passed over and variables be missing. "
    "debugtool build --debug makes one to debug."
)


class Report(Protocol):
    """Takes the events of `attach --json` (design.md section 3)."""

    def __call__(self, event: str, **fields: object) -> None:
        """Take one event with its fields."""


class Reporter:
    """Tells a program (one JSON object per line on stdout) or a person (text on stderr); a context manager.

    Args:
        as_json: Whether it is a program.
    """

    def __init__(self, as_json: bool) -> None:
        self._listener = _Program() if as_json else _Terminal()
        self._telling = Telling(lambda lost: self._listener.take("lost", events=lost))

    def __enter__(self) -> Reporter:
        self._telling.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):  # the reader is gone
            self._telling.do(self._listener.close)
        self._telling.__exit__(*exc)

    def __call__(self, event: str, **fields: object) -> None:
        """Tell an event (a `Report`)."""
        self._telling.do(lambda: self._listener.take(event, **fields))

    def take_warnings(self) -> None:
        """Show on stderr what is logged as a warning, or worse, from now on."""
        import logging

        class Handler(logging.Handler):
            def emit(handler, record: logging.LogRecord) -> None:
                text = f"Warning: {output.for_terminal(handler.format(record))}"
                with contextlib.suppress(OSError):  # whoever warns is not to fail for it
                    self._telling.do(lambda: self._listener.say(text))

        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[Handler()])


class _Program:
    """Tells a program: one JSON object per line."""

    def __init__(self) -> None:
        self._stream, self._errors = own(sys.stdout), own(sys.stderr)

    def take(self, event: str, **fields: object) -> None:
        """Tell one event (a `Report`)."""
        print(output.event_line(event, **fields), file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """Tell what is no event. That nobody takes it does not keep events from stdout."""
        with contextlib.suppress(OSError):
            print(text, file=self._errors, flush=True)

    def close(self) -> None:
        """Take note that this is the end."""


class _Terminal:
    """Tells a person: a line for each event, and one at the foot of the terminal while the process stands still."""

    def __init__(self) -> None:
        self._stream = own(sys.stderr)
        self._foot = contextlib.ExitStack()
        self._above_foot: Callable[[str], None] | None = None

    def take(self, event: str, **fields: object) -> None:
        """Tell one event (a `Report`)."""
        if event in ("continued", "hold_ended", "exited", "detached"):
            self.close()
        if text := event_text(event, fields):
            self.say(output.for_terminal(text))
        line = {"paused": pause_line, "held": held_line}.get(event)
        if line is not None:
            self.close()
            since = time.monotonic()
            foot = output.live_line(lambda: line(fields, time.monotonic() - since), self._stream)
            self._above_foot = self._foot.enter_context(foot)

    def say(self, text: str) -> None:
        """Tell what is no event, or what an event is in words."""
        if self._above_foot is None:
            print(text, file=self._stream, flush=True)
        else:
            self._above_foot(text)

    def close(self) -> None:
        """Take the line at the foot away."""
        self._above_foot = None
        self._foot.close()


def event_text(event: str, fields: dict[str, object]) -> str:
    """Put an event into words; empty for those a person need not read."""
    match event:
        case "waiting":
            early = f" F5 in VS Code may come first (port {fields['port']})." if fields["port"] else ""
            return f"Waiting for {fields['name']} to appear.{early} Ctrl-C ends the wait."
        case "target" if fields.get("bootloader"):
            return (
                f"Attaching to {fields['name']} (pid {fields['pid']}; pid {fields['bootloader']} has unpacked and "
                "started it, and holds no Python) ..."
            )
        case "target":
            text = f"Attaching to {fields['name']} (pid {fields['pid']}) ..."
            release = _OPTIMISED_GO if fields.get("runtime") == Runtime.GO else _RELEASE
            return f"{text}\n{release}" if fields.get("build") == Build.RELEASE else text
        case "ready":
            return _ready_text(fields)
        case "background":
            return f"The session goes on in the background (pid {fields['session_pid']}). End it with debugtool detach."
        case "launch_json" if fields["path"] is None:
            return f"launch.json was not written: {fields['why']}\n{fields['next']}"
        case "launch_json":
            did = "Wrote" if fields["changed"] else "Up to date:"
            return f'{did} {fields["path"]}\nPress F5 in VS Code ("Debug backend plugin"). Ctrl-C here detaches.'
        case "client":
            return "An editor is connected." if fields["connected"] else "The editor has left; the plugin runs on."
        case "detached":
            return "Detached."
        case "lost":
            return f"{fields['events']} more lines stood here while nobody read."
        case "instance":
            return _instance_text(fields)
    return _restart_text(event, fields) or _start_text(event, fields) or _pause_text(event, fields)


def _ready_text(fields: dict[str, object]) -> str:
    if fields.get("reused"):
        return (
            f"Attached already, by pid {fields['session_pid']}: listening on {fields['host']}:{fields['port']}. "
            "End that session with debugtool detach."
        )
    return (
        f"Ready: listening on {fields['host']}:{fields['port']} "
        f"({fields['method']}, {fields['elapsed_ms']} ms; a thread stood still for {fields['stall_ms']} ms)."
    )


def _instance_text(fields: dict[str, object]) -> str:
    match fields["state"]:
        case "armed":
            return f"Beside it: {fields['name']} (pid {fields['pid']})."
        case "ended":
            return f"{fields['name']} (pid {fields['pid']}) ended."
    return _three_lines(fields)


def _three_lines(fields: dict[str, object]) -> str:
    return output.three_lines(str(fields["what"]), str(fields["why"]), str(fields["next"]))


def _restart_text(event: str, fields: dict[str, object]) -> str:
    match event:
        case "exited" if fields.get("waits_for"):
            return f"The process {fields['pid']} ended. Waiting for {fields['waits_for']}; Ctrl-C ends the session."
        case "exited":
            return f"The process {fields['pid']} ended."
        case "rearmed":
            how = (
                "before its own code ran"
                if fields["before_first_request"]
                else f"{fields['window_ms']} ms after its start"
            )
            return f"Attached again, to pid {fields['pid']}, {how}."
        case "rearm_failed":
            return f"{_three_lines(fields)}\nThe session waits for {fields['waits_for']}."
        case "crash_loop":
            return (
                f"{fields['name']} has ended {fields['crashes']} times in a row right after its start: "
                f"it is left alone for {fields['pause_s']:g} s."
            )
    return ""


def _start_text(event: str, fields: dict[str, object]) -> str:
    match event:
        case "held":
            without = "Its host waits 60 s for the handshake line: without" if fields["is_plugin"] else "Without"
            return (
                f"Held at its start (pid {fields['pid']}) until an editor has set its breakpoints: press F5. "
                f"{without} an editor it goes on in {fields['left_s']:.0f} s."
            )
        case "hold_ended" if fields["by"] == "editor":
            return "The breakpoints are set: the process starts."
        case "hold_ended" if fields["by"] == "limit":
            return "No editor has come in time: the process goes on without. It can still be attached to: press F5."
    return ""


def held_line(fields: dict[str, object], held_s: float) -> str:
    """Put into words how long a plugin is still held at its start.

    Args:
        fields: Of its `held` event.
        held_s: For how long it has been, seconds.
    """
    left_s = max(float(str(fields["left_s"])) - held_s, 0.0)
    return f"Held at its start: press F5. Without an editor it goes on in {left_s:.0f} s"


_HOST_CALLS = {
    "answered": " Health and Shutdown are answered meanwhile.",
    "stopped": " The whole process stands still: health and Shutdown are not answered.",
    "unknown": " Its other Python threads stand still too, those that answer a host among them.",
}
_LIMITS = {
    "alert": "An alert rule that waits for it gives up after {limit_s:g} s; a dashboard waits until it is closed.",
    "handshake": "Its host waits {limit_s:g} s from the start for the handshake line, {left_s:.0f} s of them are left.",
}
_PASSED = {
    "alert": "Paused for {paused_s:.0f} s: an alert rule that waited has given up; a dashboard waits on.",
    "handshake": "No handshake line within {limit_s:g} s of the start: the host ends the plugin now.",
}


def _pause_text(event: str, fields: dict[str, object]) -> str:
    match event:
        case "paused":
            limits = fields["limits"]
            assert isinstance(limits, list)
            named = "".join(" " + _LIMITS[limit["limit"]].format(**limit) for limit in limits)
            return f"Paused{_place(fields)}.{_HOST_CALLS[str(fields['host_calls'])]}{named}"
        case "let_go":
            return f"The plugin is let go, so that it can end: {fields['why']}."
        case "pause_limit":
            return _PASSED[str(fields["limit"])].format(**fields)
        case "continued":
            return f"Continued after {fields['paused_s']} s."
    return ""


def _place(fields: dict[str, object]) -> str:
    where = f" at {PurePath(str(fields['path'])).name}:{fields['line']}" if fields.get("path") else ""
    return f"{where}, in {fields['function']}" if fields.get("function") else where


def pause_line(fields: dict[str, object], paused_s: float) -> str:
    """Put into words how long a pause lasts so far, and what is left of its limits.

    Args:
        fields: Of its `paused` event.
        paused_s: How long, seconds.
    """
    limits = fields["limits"]
    assert isinstance(limits, list)
    words = {"alert": "alert rules give up", "handshake": "the host gives up"}
    passed = {"alert": "alert rules have given up", "handshake": "the host has given up"}
    told = ""
    for limit in limits:
        name, left_s = limit["limit"], limit["left_s"] - paused_s
        told += f"; {words[name]} in {left_s:.0f} s" if left_s > 0 else f"; {passed[name]}"
    return f"Paused{_place(fields)} for {paused_s:.0f} s{told}"
