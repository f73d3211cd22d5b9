"""Attaching to CPythons of every version on this machine, in every state a plugin can be in."""

from __future__ import annotations

from pathlib import Path

import pytest
from attach_driver import BREAK_LINE, SHORT_TURNS, WORKER, attached, find_pythons, running_worker
from dap_client import DapClient


@pytest.mark.parametrize("state", ["idle", "locked", "busy", "importing"])
@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: path.parents[1].name)
def test_breakpoint_in_a_thread_that_existed_before(python: Path, state: str) -> None:
    with running_worker(state, *(SHORT_TURNS if state == "importing" else ()), python=python) as worker:
        before = worker.ask()
        with attached("--pid", worker.pid, "--method", "ptrace") as session:
            worker.wait_until_untraced()
            with DapClient(session.port) as editor:
                points = editor.attach({WORKER: [BREAK_LINE]})
                assert points[str(WORKER)][0]["verified"]
                worker.send(20)
                thread = editor.wait_for_stop()["threadId"]
                frame = editor.stack(thread)[0]
                assert (frame["name"], frame["line"]) == ("work", BREAK_LINE)
                assert editor.variables(frame) == {"number": "20", "doubled": "40"}
                assert editor.evaluate("doubled + 2", frame) == "42"
                editor.resume(thread)
                assert worker.answer()["answer"] == 41
                editor.disconnect()
            session.wait_for("client")
            assert session.stop() == 0
        # an importing worker's own threads open and close files all the time
        ours = ["threads"] if state == "importing" else ["threads", "fds"]
        after = worker.settle(before, ours)
        assert not after["tracing"]
        assert worker.tracer() == 0
        assert [after[name] for name in ours] == [before[name] for name in ours]
