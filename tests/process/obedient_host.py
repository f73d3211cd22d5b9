"""A host that starts and kills a program when told to: a test has the time between the two in its hands."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attach_driver import Lines

# Starts the program that a line names, tells the last one something, kills it; ends all of them at its own end.
HOST = """
import subprocess, sys
children = []
for line in sys.stdin:
    word, _, rest = line.rstrip().partition(" ")
    if word == "start":
        command = [sys.executable, "-u", rest] if rest.endswith(".py") else [rest]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE, text=True))
    elif word == "tell":
        children[-1].stdin.write(rest + chr(10))
        children[-1].stdin.flush()
    elif word == "kill":
        children[-1].kill()
        children[-1].wait()
        print("killed", flush=True)
for child in children:
    child.stdin.close()  # it ends by itself then, and a onefile program's parent removes its directory
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
"""


class Host:
    """A program that starts a copy of the debuggee, as often as it is told to."""

    def __init__(self, process: subprocess.Popen[str], program: Path) -> None:
        self.process = process
        self.program = program
        self.lines = Lines(process.stdout)

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def start(self, program: Path | None = None) -> int:
        """Start the program, or another one; give its pid once it runs."""
        self.send(f"start {program or self.program}")
        return int(self.lines.next().split()[1])

    def begin(self, call: str) -> None:
        """Have a function of the program called."""
        self.send(f"tell 1 {call}")

    def result(self) -> object:
        return json.loads(self.lines.next())[1]

    def kill(self) -> None:
        self.send("kill")
        assert self.lines.next() == "killed\n"


@contextlib.contextmanager
def obedient_host(program: Path) -> Iterator[Host]:
    """Run a host for the length of the block; what it started ends with it."""
    command = [sys.executable, "-c", HOST]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Host(process, program)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
