"""`debugtool attach` on a Go program that is no plugin: built with -trimpath, in a panic, where ptrace is forbidden."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attach_driver import Lines, attached, run_debugtool
from dap_client import DapClient
from go_driver import MODULE, build_plugin, delve_environment, delves_on, find_dlv, tracer

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
