"""Signals that reach a target while it is being injected into: none of them may be lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from attach_driver import DEADLINE_S, Lines

from debugtool.inject import tracer
from debugtool.inject.symbols import find_interpreter

COUNTER = """
import os, signal, time
def ended(*_):
    print("signalled", flush=True)
signal.signal(signal.SIGTERM, ended)
print("ready", flush=True)
while True:
    time.sleep(1000)
"""


def wait_until_it_stands_still(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "t":
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_signal_that_is_faster_than_the_tracers_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a host's SIGTERM between the tracer's seizing of a thread and its stop THEN the target gets it."""
    with Popen([sys.executable, "-c", COUNTER], stdout=PIPE, text=True) as target:
        try:
            lines = Lines(target.stdout)
            assert lines.next() == "ready\n"
            interpreter = find_interpreter(target.pid)
            request: dict[str, object] = {
                "pid": target.pid,
                "functions": interpreter.functions,
                "interpreter": interpreter.data,
                "text": "print('injected', flush=True)",
                "deadline_s": DEADLINE_S,
            }
            real = tracer._ptrace
            sent: list[int] = []

            def seize_and_signal(what: int, tid: int, *more: Any) -> None:
                real(what, tid, *more)
                if what == tracer._SEIZE and not sent:
                    os.kill(target.pid, signal.SIGTERM)
                    sent.append(tid)
                    wait_until_it_stands_still(target.pid)

            monkeypatch.setattr(tracer, "_ptrace", seize_and_signal)
            answer = tracer.carry_out(request)
            assert answer["ok"], answer
            assert sorted(lines.next() for _ in range(2)) == ["injected\n", "signalled\n"]
        finally:
            target.kill()
