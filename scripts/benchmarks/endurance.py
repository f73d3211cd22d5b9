"""Attach, stop at a breakpoint and detach, a thousand times, and two hundred restarts, under 50 queries a second.

The plugin is the data source of `debugtool new` under the embedded host. No query may fail but those that a restart
itself breaks, and nothing may grow: file descriptors, threads and memory of the plugin, of its host and of the session,
and the files they keep. What is held against each other is the last fifth of the cycles and the first one, after a
warm-up.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
from dap_client import DapClient

from benchmarks.caller import request
from benchmarks.hosted import Load, Place, breakpoint_source, hosting, loaded, make_project, own_place, session_on
from benchmarks.measure import Row, Samples, say
from benchmarks.processes import LIMIT_S, Session, breakpoint_line
from debugtool.devhost.handshake import grpc_target
from debugtool.plugin.agent import paths
from debugtool.plugin.proto import backend_pb2_grpc

CYCLES = 1000
RESTARTS = 200
SERVED = 20  # queries that each process answers before it is killed
RATE = 50.0
WARM_UP = 0.1  # of all cycles, but two at least: debugpy's modules and caches, an arena of malloc for each thread
BURST_S = 0.3  # of queries without a pause: the plugin starts all the threads for them that it may have
METHODS = ("agent", "ptrace")  # in turn
TOLD_EVERY = 50
KINDS = ("file descriptors", "threads", "MB")
ROWS = 100  # of each query's answer: while an editor is there, CPython 3.11 makes ten times as long of it

MALLOC_MB = 2.0
"""By how much at least the memory of a process swings from one look to the next, by malloc alone."""

POOL = float(min(32, (os.cpu_count() or 1) + 4))
"""How many threads asyncio may have for what would block; it starts one when it is wanted and keeps it."""

Facts = dict[str, float]
"""What was counted at one moment, by what it is."""


@dataclass
class Outcome:
    """What became of the queries.

    Attributes:
        answered: Those that were answered.
        broken: Those that failed because their process was killed.
        failed: What the others failed with.
    """

    answered: int
    broken: int
    failed: list[str]


class Endurance:
    """A hosted plugin, queried all the while.

    Args:
        place: Where all of it runs.
        project: The plugin's.
        host: Its host; the plugin has not been waited for.
    """

    def __init__(self, place: Place, project: Path, host: Session) -> None:
        self.place, self.host = place, host
        self.source = breakpoint_source(project)
        self.line = breakpoint_line(self.source)
        self.outcome = Outcome(0, 0, [])
        self._restarts: list[tuple[float, float]] = []
        self._take(host.wait_for("started"))
        self._pool = ThreadPoolExecutor(1)

    def _take(self, started: dict[str, object]) -> None:
        self.pid, self.address = int(str(started["pid"])), str(started["address"])

    def hit(self, editor: DapClient) -> None:
        """Send the query that runs into the breakpoint, look around there, and let it go on.

        Raises:
            AssertionError: It stopped elsewhere, or was answered with an error.
        """
        answer = self._pool.submit(self._query)
        thread = editor.wait_for_stop()["threadId"]
        frame = editor.stack(thread)[0]
        assert (frame["source"]["path"], frame["line"]) == (str(self.source), self.line), frame
        assert editor.evaluate("query.ref_id", frame) == "'A'"
        editor.resume(thread)
        answer.result(LIMIT_S)

    def _query(self) -> None:
        wanted = request(ROWS)
        wanted.queries[0].json = json.dumps({"stop": True}).encode()
        with grpc.insecure_channel(grpc_target(self.address)) as channel:
            answer = backend_pb2_grpc.DataStub(channel).QueryData(wanted, timeout=LIMIT_S)
        assert not answer.responses["A"].error, answer.responses["A"].error

    def cycle(self, method: str) -> Facts:
        """Attach, stop at the breakpoint, detach; give what is left of it."""
        with session_on(self.place, self.pid, "--method", method) as session:
            with DapClient(session.wait_for("ready")["port"]) as editor:
                editor.attach({self.source: [self.line]})
                self.hit(editor)
                editor.disconnect()
            session.stop()
            assert session.process.returncode == 0, session.process.returncode
        return {**self._count("plugin", self.pid), **self._count("host", self.host_pid), **self._files()}

    def restart(self, load: Load, session: Session, editor: DapClient) -> Facts:
        """Kill the plugin, and stop at the breakpoint in the first query that its next process gets."""
        killed = time.monotonic()
        os.kill(self.pid, signal.SIGKILL)
        self._take(self.host.wait_for("restarted"))
        self.hit(editor)
        load.ask(f"address {grpc_target(self.address)}")
        self._restarts.append((killed, time.monotonic()))
        self.account_until(load, SERVED)
        rearmed = session.wait_for("rearmed")
        assert rearmed["pid"] == self.pid and rearmed["before_first_request"], rearmed
        return {
            **self._count("session", session.process.pid),
            **self._count("host", self.host_pid),
            **self._files(),
        }

    def account(self, load: Load) -> None:
        """Add up what became of the queries; those sent before the load knew the next address had no process."""
        told = load.ask("tell")
        self.outcome.answered += told["answered"]
        for sent, ended, problem in told["failures"]:
            if any(sent <= switched and ended >= killed for killed, switched in self._restarts):
                self.outcome.broken += 1
            else:
                self.outcome.failed.append(f"{problem} after {ended - sent:.3f} s")

    def account_until(self, load: Load, answered: int) -> None:
        """Account again and again until so many more queries were answered.

        Raises:
            TimeoutError: They were not, in a minute.
        """
        wanted, deadline = self.outcome.answered + answered, time.monotonic() + LIMIT_S
        while self.outcome.answered < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"pid {self.pid} answers no queries")
            time.sleep(0.02)
            self.account(load)

    def tell(self, what: str, facts: Sequence[Facts]) -> None:
        """Tell how far it is and what was counted last, now and then: a long run that is interrupted has said it."""
        if len(facts) % TOLD_EVERY == 1:
            counted = ", ".join(f"{name} {number:g}" for name, number in facts[-1].items())
            say(f"endurance: {what}; {len(self.outcome.failed)} queries failed; {counted}")

    @property
    def host_pid(self) -> int:
        """Give the host's pid: nsenter becomes what it runs."""
        return self.host.process.pid

    @staticmethod
    def _count(who: str, pid: int) -> Facts:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        numbers = {line.split(":")[0]: line.split()[1] for line in status if line.startswith(("VmRSS", "Threads"))}
        figures = (
            sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            int(numbers["Threads"]),
            int(numbers["VmRSS"]) / 1024,
        )
        return {f"{who}, {kind}": float(figure) for kind, figure in zip(KINDS, figures, strict=True)}

    def _files(self) -> Facts:
        """Count the files in the runtime directory, as the host sees it, and the temporary ones."""
        runtime = Path(f"/proc/{self.host_pid}/root{paths.runtime_dir(os.geteuid())}")
        return {
            "files in the runtime directory": float(sum(1 for _ in runtime.rglob("*"))),
            # a process that is killed removes no socket
            "temporary files": float(sum(1 for file in self.place.temporary.rglob("*") if not file.is_socket())),
        }


def run_cycles(subject: Endurance, load: Load, cycles: int) -> list[Facts]:
    """Attach and detach so many times; give what was counted after each."""
    load.ask("rate 1000000")
    time.sleep(BURST_S)
    load.ask(f"rate {RATE}")
    facts = []
    for number in range(cycles):
        facts.append(subject.cycle(METHODS[number % len(METHODS)]))
        subject.account(load)
        subject.tell(f"attach {number + 1} of {cycles}", facts)
    return facts


def run_restarts(subject: Endurance, load: Load, restarts: int) -> list[Facts]:
    """Restart the plugin so many times under one session with one editor; give what was counted after each."""
    facts = []
    with session_on(subject.place, subject.pid, "--no-pause") as session:
        with DapClient(session.wait_for("ready")["port"]) as editor:
            editor.attach({subject.source: [subject.line]})
            for number in range(restarts):
                facts.append(subject.restart(load, session, editor))
                subject.tell(f"restart {number + 1} of {restarts}", facts)
            editor.disconnect()
        session.stop()
    subject.account(load)
    return facts


def allowance(name: str, beginning: Sequence[float]) -> float:
    """Give by how much something may have become more and still not have grown.

    Memory may by as much as it swung in the first fifth: what grows steadily grows four times as much until the last.
    """
    who, _, kind = name.partition(", ")
    if kind == "MB":
        return max(MALLOC_MB, max(beginning) - min(beginning))
    return POOL if kind == "threads" and who != "plugin" else 0


def rows_of(what: str, facts: Sequence[Facts]) -> list[Row]:
    """Hold the last fifth of what was counted against the first one after the warm-up."""
    kept = facts[min(len(facts) - 1, max(2, int(len(facts) * WARM_UP))) :]
    size = max(1, len(kept) // 5)
    return [
        Row(
            f"{what}: {name}",
            name.rpartition(", ")[2] if name.endswith("MB") else "",
            Samples([each[name] for each in kept[-size:]]),
            "at the beginning",
            Samples([each[name] for each in kept[:size]]),
            more=allowance(name, [each[name] for each in kept[:size]]),
        )
        for name in facts[0]
    ]


def measure(directory: Path, cycles: int, restarts: int) -> list[Row]:
    """Run it all in an empty directory; give what failed and what grew."""
    project = make_project(directory, "--debug", "--editable")
    with own_place(directory) as place, hosting(place, project) as host:
        subject = Endurance(place, project, host)
        with loaded(subject.address, RATE, ROWS) as load:
            rows = rows_of(f"{cycles} attaches", run_cycles(subject, load, cycles))
            rows += rows_of(f"{restarts} restarts", run_restarts(subject, load, restarts))
    for problem in sorted(set(subject.outcome.failed)):
        say(f"endurance: {subject.outcome.failed.count(problem)} queries failed: {problem}")
    counted = [("answered", subject.outcome.answered, None), ("broken by a restart", subject.outcome.broken, None)]
    return [
        Row("queries that failed", "", Samples([len(subject.outcome.failed)]), limit=0),
        *(Row(f"queries {what}", "", Samples([number]), limit=limit) for what, number, limit in counted),
        *rows,
    ]


def run(cycles: int = CYCLES, restarts: int = RESTARTS) -> list[Row]:
    """Measure with a new project."""
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        return measure(Path(directory), cycles, restarts)
