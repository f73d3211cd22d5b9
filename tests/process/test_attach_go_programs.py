"""`debugtool attach` on a Go program that is no plugin: built with -trimpath, in a panic, where ptrace is forbidden."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attach_driver import AttachSession, Lines, attached, run_debugtool
from dap_client import DapClient
from go_driver import MODULE, build_plugin, delve_environment, delves_on, find_dlv, is_guard, tracer, words_of

from debugtool.debuggers import delve_version
from debugtool.system import process_state

SOURCE = MODULE / "cmd" / "asked" / "main.go"
BREAK_LINE = next(n for n, text in enumerate(SOURCE.read_text().splitlines(), 1) if "return twice" in text)
DEBUG = "-gcflags=all=-N -l"


class Asked:
    """A running tests/gohost/cmd/asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)
        assert self.lines.next() == f"ready {process.pid}\n"

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def assert_answer(self) -> None:
        self.say("ab")
        assert self.lines.next() == "abab\n"


def build_asked(*flags: str, name: str = "asked") -> Path:
    find_dlv()
    return build_plugin(name, *flags, package="./cmd/asked")


@contextlib.contextmanager
def running_asked(program: Path) -> Iterator[Asked]:
    pipe = subprocess.PIPE
    with subprocess.Popen([program], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Asked(process)
        finally:
            process.kill()


def test_a_program_built_with_trimpath_names_its_sources_by_module(tmp_path: Path) -> None:
    with running_asked(build_asked(DEBUG, "-trimpath", name="asked_trimpath")) as target:
        printed = run_debugtool("launch-json", "asked_trimpath", "--workspace", MODULE, "--print").stdout
        paths = json.loads(printed)["substitutePath"]
        assert paths == [{"from": "${workspaceFolder}", "to": "debugtool/tests/gohost"}]
        mapping = [{**path, "from": path["from"].replace("${workspaceFolder}", str(MODULE))} for path in paths]
        with attached("--pid", target.process.pid, env=delve_environment()) as session:
            with DapClient(session.port) as editor:
                points = editor.attach({SOURCE: [BREAK_LINE]}, substitutePath=mapping)
                assert points[str(SOURCE)][0]["verified"], points
                target.say("ab")
                stop = editor.wait_for_stop()
                frame = editor.stack(stop["threadId"])[0]
                assert (frame["source"]["path"], frame["line"]) == (str(SOURCE), BREAK_LINE)
                assert editor.variables(frame)["twice"] == '"abab"'
                editor.disconnect()
            assert target.lines.next() == "abab\n"
            assert session.stop() == 0
        target.assert_answer()


def test_a_panic_while_no_editor_is_there_ends_the_program_as_ever() -> None:
    with running_asked(build_asked(DEBUG)) as target:
        with attached("--pid", target.process.pid, "--once", env=delve_environment()) as session:
            session.wait_for("ready")
            target.assert_answer()
            target.say("panic")
            assert target.process.wait(60) == 2
            assert session.wait_for("exited")["pid"] == target.process.pid
            assert session.process.wait(60) == 0
        assert target.process.stderr is not None
        assert "panic: asked to" in target.process.stderr.read()
        assert delves_on(target.process.pid) == []


def test_delve_is_forbidden_to_trace() -> None:
    """GIVEN a seccomp filter, which only delve's own attempt runs into THEN its refusal is told in our words."""
    with running_asked(build_asked(DEBUG)) as target:
        through = [sys.executable, str(Path(__file__).parents[1] / "targets" / "forbid_ptrace.py")]
        done = run_debugtool(
            "attach", "--pid", target.process.pid, "--port", 0, through=through, env=delve_environment()
        )
        what, why, next_step = done.stderr.splitlines()[-3:]
        assert (done.returncode, what) == (4, f"Error: May not trace pid {target.process.pid} (asked).")
        assert "The kernel answered EPERM" in why and "seccomp" in why
        assert "--cap-add=SYS_PTRACE" in next_step
        target.assert_answer()
        assert (tracer(target.process.pid), delves_on(target.process.pid)) == (0, [])


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def guards_ahead(session: AttachSession) -> list[int]:
    """List the guards of a session that wait for a process: they were not given a pid, and have no delve."""
    ours = children(session.process.pid)
    return [pid for pid in ours if any(map(is_guard, words_of(pid)[-2:])) and not children(pid)]


def guard_ahead(session: AttachSession) -> int:
    """Give the guard that waits for the next process, once it has been started."""
    deadline = time.monotonic() + 10
    while not (guards := guards_ahead(session)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (guard,) = guards
    return guard


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_guard_waits_for_the_next_process(is_killed: bool) -> None:
    """GIVEN a session WHEN its process ends THEN delve comes to the next one under a guard that was there before.

    AND when somebody has killed that guard, under another; AND debugtool is killed: the process is let go, and the
    guard that waits ends.
    """
    program = build_asked(DEBUG)
    with running_asked(program) as first, attached("--pid", first.process.pid, env=delve_environment()) as session:
        session.wait_for("ready")
        guard = guard_ahead(session)
        if is_killed:
            os.kill(guard, signal.SIGKILL)
            while process_state(guard) != "Z":  # its parent collects it only when it wants to use it
                time.sleep(0.01)
        with DapClient(session.port) as editor:
            editor.attach({SOURCE: [BREAK_LINE]})
            first.process.kill()
            assert session.wait_for("exited")["pid"] == first.process.pid
            with running_asked(program) as second:
                assert session.wait_for("rearmed")["pid"] == second.process.pid
                (delve,) = delves_on(second.process.pid)[-1:]
                assert (guard in guards_of(delve)) is not is_killed
                second.say("ab")
                editor.resume(editor.wait_for_stop()["threadId"])
                assert second.lines.next() == "abab\n"
                waiting = guard_ahead(session)
                session.process.kill()
                deadline = time.monotonic() + 30
                while delves_on(second.process.pid) or process_state(waiting) not in "ZX":
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                second.assert_answer()
                assert tracer(second.process.pid) == 0


def guards_of(delve: int) -> set[int]:
    """Give the process that started a delve, when that is a guard."""
    parent = int(Path(f"/proc/{delve}/stat").read_text().rpartition(")")[2].split()[1])
    return {parent} if any(map(is_guard, words_of(parent))) else set()


def test_a_release_of_delve_has_the_version_in_its_program_that_it_says(tmp_path: Path) -> None:
    delve = find_dlv()
    said = subprocess.run([delve, "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert f"Version: {delve_version(delve)}\n" in said
    # what is no release of delve's is asked
    other = tmp_path / "dlv"
    other.write_text("#!/bin/sh\necho 'Version: 9.8.7'\n")
    other.chmod(0o755)
    assert delve_version(str(other)) == "9.8.7"
