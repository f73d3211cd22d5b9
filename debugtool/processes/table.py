"""All processes as one look at the machine found them, and how they belong together."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from debugtool.model import Runtime
from debugtool.processes.naming import Command, Kind, is_debugger, is_debugpy_adapter, is_our_own, understand
from debugtool.processes.runtime import OTHER, Program, read_link, runtime_of
from debugtool.processes.scan import PROC, Seen, read_small, see_all

_GONE = frozenset("ZX")


class ProcessTable:
    """The processes of one moment. Dear facts are read when they are asked for, and then remembered."""

    def __init__(self, proc: Path = PROC) -> None:
        self.proc = proc
        self._seen = {seen.pid: seen for seen in see_all(proc)}
        self._children: dict[int, list[Seen]] = defaultdict(list)
        for seen in self._seen.values():
            self._children[seen.ppid].append(seen)
        self._candidates: list[Seen] | None = None
        self._commands: dict[int, Command] = {}
        self._programs: dict[int, Program] = {}
        self._environments: dict[int, dict[str, str]] = {}

    def get(self, pid: int) -> Seen | None:
        """Give one process, None when it was not there."""
        return self._seen.get(pid)

    def candidates(self) -> list[Seen]:
        """Give what could be somebody's plugin: neither kernel threads nor zombies, debuggers, or debugtool itself."""
        if self._candidates is None:
            self._candidates = list(self._possible())
        return self._candidates

    def _possible(self) -> Iterator[Seen]:
        own = os.getpid()
        for seen in self._seen.values():
            if seen.argv and seen.state not in _GONE and seen.pid != own:
                command = self.command(seen)
                if not is_our_own(command) and not is_debugger(command):
                    yield seen

    def debugpy_adapters(self) -> list[Seen]:
        """Give the processes that carry debugpy's messages between an editor and what it debugs."""
        return [seen for seen in self._seen.values() if is_debugpy_adapter(self.command(seen))]

    def children(self, seen: Seen) -> list[Seen]:
        """Give the living children of a process."""
        return [child for child in self._children.get(seen.pid, ()) if child.argv and child.state not in _GONE]

    def family(self, pid: int) -> set[int]:
        """Give a process with all above and below it, by their pids."""
        found, below = {pid}, [pid]
        while below:
            new = {child.pid for child in self._children.get(below.pop(), ())} - found
            found |= new
            below += new
        above = self._seen.get(pid)
        while above is not None and above.ppid not in found:
            found.add(above.ppid)
            above = self._seen.get(above.ppid)
        return found

    def command(self, seen: Seen) -> Command:
        """Give its command line, understood."""
        if seen.pid not in self._commands:
            self._commands[seen.pid] = understand(seen.argv)
        return self._commands[seen.pid]

    def program(self, seen: Seen) -> Program:
        """Say what executes it, as far as its program file tells."""
        if seen.pid not in self._programs:
            program = runtime_of(seen.pid, proc=self.proc)
            if program is OTHER and self.command(seen).kind is Kind.PYTHON:
                program = Program(Runtime.CPYTHON)  # another user's: only its command line can be read
            self._programs[seen.pid] = program
        return self._programs[seen.pid]

    def environment(self, seen: Seen) -> dict[str, str]:
        """Read the environment a process was started with; empty when that is not permitted."""
        if seen.pid not in self._environments:
            self._environments[seen.pid] = parse_environ(self.environ_bytes(seen))
        return self._environments[seen.pid]

    def environ_bytes(self, seen: Seen) -> bytes:
        """Read /proc/PID/environ as it is; empty when that is not permitted."""
        try:
            return read_small(f"{self.proc}/{seen.pid}/environ", 1 << 18)
        except OSError:
            return b""

    def cwd(self, seen: Seen) -> Path | None:
        """Give its working directory, None when it cannot be read."""
        link = read_link(f"{self.proc}/{seen.pid}/cwd")
        return Path(link) if link else None

    def path(self, seen: Seen, text: str) -> Path | None:
        """Make a path of its command line absolute; None when that takes a working directory that cannot be read."""
        if text.startswith("/"):
            return Path(text)
        cwd = self.cwd(seen)
        return cwd / text if cwd else None

    def worker(self, seen: Seen, *, is_plugin: bool) -> Seen:
        """Follow launchers to the process that runs the plugin's code.

        A launcher is a shell script, or PyInstaller's bootloader: it waits for its one child, and the two are one
        plugin. Where a host started it as a plugin any other program may be one too (`tini`, `env`). Anything else, or
        a launcher with several such children, is its own worker.
        """
        while True:
            program = self.program(seen)
            if program.bootloader:
                workers = [child for child in self.children(seen) if self.is_same_file(seen, child)]
            elif program.runtime is Runtime.OTHER and (is_plugin or self.command(seen).script):
                workers = [child for child in self.children(seen) if self._runs_code(child)]
            else:
                return seen
            if len(workers) != 1:
                return seen
            seen = workers[0]

    def _runs_code(self, child: Seen) -> bool:
        return self.program(child).runtime is not Runtime.OTHER or self.command(child).kind is Kind.SHELL

    def is_same_frozen(self, one: Seen, other: Seen) -> bool:
        """Tell whether two processes run the same frozen program, as with multiprocessing, whose workers it is too."""
        return self.program(one).runtime is Runtime.FROZEN and self.is_same_file(one, other)

    def is_same_file(self, one: Seen, other: Seen) -> bool:
        """Tell whether two processes run the same program file."""
        exe = read_link(f"{self.proc}/{one.pid}/exe")
        return exe is not None and exe == read_link(f"{self.proc}/{other.pid}/exe")


def parse_environ(data: bytes) -> dict[str, str]:
    """Read the bytes of /proc/PID/environ."""
    pairs = (item.partition("=") for item in os.fsdecode(data).split("\0"))
    return {name: value for name, separator, value in pairs if separator}
