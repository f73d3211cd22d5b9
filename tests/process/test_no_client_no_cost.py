"""No editor, no cost: what the process itself sees of the debugger before, between and after its editors."""

from __future__ import annotations

from pathlib import Path

import pytest
from attach_driver import attached
from dap_client import DapClient
from debug_driver import DEBUGGEE, Debuggee, line_of, pythons_of, running_debuggee, stop_at


def debug_once(target: Debuggee, port: int, with_dict: list[str]) -> None:
    with DapClient(port) as editor:
        points = {"line": line_of("IN LOOP"), "condition": "index == 2"}
        editor.attach({DEBUGGEE: [points, line_of("INSIDE")]}, exceptions=["raised", "uncaught"])
        assert target.call("threads_with_dict") == with_dict  # or each call that is traced is slower on 3.11
        during = target.call("trace_facts")
        assert during["patched"]
        assert during["monitoring"] or set(during["trace"]) != {"None"}  # the facts do tell
        target.begin("count", 5)
        editor.resume(stop_at(editor, "breakpoint", "IN LOOP")["threadId"])
        assert target.result() == 10
        editor.disconnect()


@pytest.mark.parametrize("python", pythons_of("oldest", "3.11", "3.12", "3.13"), ids=lambda path: path.parents[1].name)
def test_nothing_traces_the_process_while_no_editor_is_connected(python: Path) -> None:
    with running_debuggee(python) as target:
        before, with_dict = target.call("trace_facts"), target.call("threads_with_dict")
        assert (before["hook"], before["patched"], before["monitoring"]) == ("None", [], [])
        with attached("--pid", target.pid) as session:
            session.wait_for("ready")
            target.wait_until_untraced()
            for _ in range(2):
                debug_once(target, session.port, with_dict)
                target.assert_untraced()
            assert session.stop() == 0
        target.assert_untraced()
        after = target.call("trace_facts")
        assert after["threads"] == before["threads"]
