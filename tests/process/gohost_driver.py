"""Drives tests/gohost/cmd/host: a plugin under the genuine go-plugin and Grafana SDK, called from a test."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

Answer = dict[str, Any]

LIMIT_S = 30.0


def json_bytes(value: object) -> str:
    """A `bytes` field that holds JSON, as protobuf's JSON form has it."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def from_base64(text: str) -> bytes:
    return base64.b64decode(text)


def query(ref_id: str = "A", **wanted: object) -> Answer:
    """One query for sample_plugin: `wanted` says how it shall be answered."""
    time_range = {"fromEpochMS": "0", "toEpochMS": "90000"}
    return {
        "refId": ref_id,
        "maxDataPoints": "100",
        "intervalMS": "1000",
        "timeRange": time_range,
        "json": json_bytes(wanted),
    }


def queries(*wanted: Answer) -> Answer:
    """A QueryDataRequest."""
    return {"pluginContext": {}, "queries": list(wanted) or [query()]}


class GoHost:
    """The host's process. Use it in a `with` block; nothing it started is left behind."""

    def __init__(
        self,
        program: Path,
        plugin: Sequence[str | Path],
        *,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        settings = [f"-env={key}={value}" for key, value in (env or {}).items()]
        command = [program, *flags, *settings, "--", *plugin]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.logs: list[Answer] = []
        self.events: list[Answer] = []
        self._log_added = threading.Condition()
        self._lines: queue.Queue[Answer | None] = queue.Queue()
        self._answers: dict[int, Answer] = {}
        self._last_id = 0
        self._readers = [
            threading.Thread(target=self._read_answers, args=(self.process.stdout,)),
            threading.Thread(target=self._read_logs, args=(self.process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.start = self._next_line(LIMIT_S)
        except BaseException:
            self.process.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()  # the host stops the plugin then
            self.process.wait(LIMIT_S)
        finally:
            self.process.kill()
            if self.start.get("event") == "started":
                end_process(self.pid)
            for reader in self._readers:
                reader.join(LIMIT_S)
            assert self.process.stdout is not None and self.process.stderr is not None
            self.process.stdout.close()
            self.process.stderr.close()

    @property
    def pid(self) -> int:
        """The plugin's process id; fails the test when it did not start."""
        assert self.start["event"] == "started", (self.start, self.logs)
        pid: int = self.start["pid"]
        return pid

    def wait_event(self, name: str, limit_s: float = LIMIT_S) -> Answer:
        """The next event of a name, such as `restarted`; answers to commands must have been taken before."""
        while True:
            line = self._next_line(limit_s)
            self.events.append(line)
            if line.get("event") == name:
                return line

    def send(self, do: str, request: object = None, **settings: object) -> int:
        """Give a command and do not wait; `**{"async": True}` lets the host take further ones meanwhile."""
        self._last_id += 1
        command = {"id": self._last_id, "do": do, "request": request, **settings}
        if command["request"] is None:
            del command["request"]
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._last_id

    def answer(self, command: int, limit_s: float = LIMIT_S) -> Answer:
        """The answer to a command."""
        while command not in self._answers:
            line = self._next_line(limit_s)
            if "event" in line:
                self.events.append(line)
            else:
                self._answers[line["id"]] = line
        return self._answers.pop(command)

    def call(self, do: str, request: object = None, **settings: object) -> Answer:
        """Give a command and wait for its answer, good or bad."""
        return self.answer(self.send(do, request, **settings))

    def good(self, do: str, request: object = None, **settings: object) -> Answer:
        """Give a command that must succeed."""
        answer = self.call(do, request, **settings)
        assert answer["ok"], answer
        return answer

    def wait_log(self, wanted: Callable[[Answer], bool], limit_s: float = LIMIT_S) -> Answer:
        """The first log record of host or plugin that is as wanted; fails the test if none comes."""
        with self._log_added:
            found = self._log_added.wait_for(lambda: any(map(wanted, self.logs)), limit_s)
            assert found, self.logs
            return next(filter(wanted, self.logs))

    def wait_message(self, text: str) -> Answer:
        """The first log record whose message contains a text."""
        return self.wait_log(lambda record: text in record["@message"])

    def _next_line(self, limit_s: float) -> Answer:
        line = self._lines.get(timeout=limit_s)
        assert line is not None, ("the host has ended", self.logs)
        return line

    def _read_answers(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_logs(self, stream: IO[str]) -> None:
        for line in stream:
            with self._log_added:
                self.logs.append(json.loads(line) if line.startswith("{") else {"@message": line})
                self._log_added.notify_all()


StartGoHost = Callable[..., GoHost]


def end_process(pid: int) -> None:
    """Kill a process that may have ended already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
