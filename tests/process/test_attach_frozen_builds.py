"""`debugtool attach` to release builds of every kind: CPython 3.8 to 3.13, PyInstaller old and new, onefile.

That of CPython 3.11 is what `test_attach_frozen.py` attaches to.
"""

from __future__ import annotations

import contextlib
import json

import pytest
from attach_driver import attached, run_debugtool
from frozen_driver import NAME, NEWEST, ORDERS, PROJECT, TOOLS, editing, frozen_program, running_frozen, stop_at

OLD = "5.13.2"
BUILDS = [
    ("3.8", OLD, ()),
    ("3.9", NEWEST, ("--onefile",)),
    ("3.10", OLD, ("--onefile",)),
    ("3.12", NEWEST, ("--contents-directory", "with space", "--optimize", "2")),
    ("3.13", NEWEST, ("--debug", "noarchive")),
]


@pytest.mark.parametrize(("version", "pyinstaller", "options"), BUILDS, ids=lambda value: " ".join([*value]) or "-")
def test_a_full_round(version: str, pyinstaller: str, options: tuple[str, ...]) -> None:
    with running_frozen(frozen_program(*options, version=version, pyinstaller=pyinstaller)) as target:
        before = target.call("traces")
        for _ in range(2):
            with attached("--pid", target.pid, cwd=PROJECT) as session:
                session.wait_for("ready")
                with editing(session, {"IN MODULE": TOOLS, "IN HANDLER": ORDERS}) as editor:
                    target.begin("entry", 2)
                    frame = stop_at(editor, "IN MODULE", TOOLS)
                    assert editor.evaluate("number + 1", frame) == "5"
                    editor.request("next", {"threadId": frame["threadId"]})
                    assert editor.wait_for_stop()["reason"] == "step"
                    assert editor.variables(editor.stack(frame["threadId"])[0])["result"] == "5"
                    editor.resume(frame["threadId"])
                    assert target.result() == 5
                    target.begin("order", 3)
                    frame = stop_at(editor, "IN HANDLER", ORDERS)
                    editor.resume(frame["threadId"])
                    assert target.result() == 9
                assert session.stop() == 0
            target.wait_until_as(before)


def test_the_two_processes_of_a_onefile_program_are_one_plugin() -> None:
    program = frozen_program("--onefile", version="3.9")
    with attached(NAME, "--wait", cwd=PROJECT) as early, contextlib.ExitStack() as stack:
        early.wait_for("waiting")
        target = stack.enter_context(running_frozen(program))
        assert early.wait_for("target")["pid"] == target.pid  # not the bootloader, which came first
        early.wait_for("ready")
        assert early.stop() == 0
        bootloader = target.process.pid
        assert target.pid != bootloader
        assert target.call("spawn", "forkserver") == [40]  # leaves a server, which is this program again
        rows = json.loads(run_debugtool("ps", NAME, "--json").stdout)
        assert [(row["pid"], row["runtime"], row["build"]) for row in rows] == [(target.pid, "frozen", "release")]
        for named in ((NAME,), ("--pid", bootloader)):
            with attached(*named, cwd=PROJECT) as session:
                event = session.wait_for("target")
                assert (event["pid"], event["bootloader"]) == (target.pid, bootloader)
                session.wait_for("ready")
                assert session.stop() == 0
        assert target.process.poll() is None
        assert target.call("entry", 2) == 5
