"""Which way in is taken for which target, and why not the others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from debugtool.errors import ExitCode, Refused, TimedOut, Unsupported
from debugtool.inject import METHODS, Bootstrap, choose_injectors, inject, injectors
from debugtool.inject.by_agent import AgentInjector
from debugtool.inject.by_gdb import GdbInjector
from debugtool.inject.by_ptrace import PtraceInjector
from debugtool.inject.by_remote_exec import RemoteExecInjector
from debugtool.model import Build, Runtime, Target
from debugtool.output import error_text
from debugtool.plugin.agent import paths
from debugtool.system import start_ticks

TARGET = Target(4711, "my-datasource", None, Runtime.CPYTHON, "3.11.7", Build.SOURCE, None, "me", os.geteuid(), 0.0)
FROZEN = replace(TARGET, runtime=Runtime.FROZEN)
GO = replace(TARGET, runtime=Runtime.GO, runtime_version="go1.26.8")
NEW = replace(TARGET, runtime_version="3.14.0")
OURS = replace(TARGET, pid=os.getpid(), started_ticks=start_ticks(os.getpid()) or 0)  # one that runs
BOOTSTRAP = Bootstrap(Path("/p"), Path("/s"), "t", Path("/d"), 0)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Linux on x86_64 with gdb, and an empty runtime directory."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(paths, "runtime_dir", lambda uid: str(tmp_path))
    return tmp_path


def test_agent(machine: Path) -> None:
    why = AgentInjector().why_not(TARGET)
    assert why == "no debug agent listens in it (debugtool build --debug puts one in)"
    (machine / "agent-4711.sock").touch()
    assert AgentInjector().why_not(TARGET) is None


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (TARGET, "needs CPython 3.14 or later, the target runs 3.11.7"),
        (replace(TARGET, runtime_version=None), "needs CPython 3.14 or later, the target runs an unknown version"),
        (replace(TARGET, runtime_version="3.9.18"), "needs CPython 3.14 or later, the target runs 3.9.18"),
        (FROZEN, "needs a plain CPython, the target's runtime is frozen"),
        (GO, "needs a plain CPython, the target's runtime is go"),
        (NEW, None),
        (replace(TARGET, runtime_version="3.15.0a2"), None),
    ],
)
def test_remote_exec(target: Target, why: str | None) -> None:
    assert RemoteExecInjector().why_not(target) == why


def test_ptrace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PtraceInjector().why_not(TARGET) is None
    assert PtraceInjector().why_not(FROZEN) is None
    assert PtraceInjector().why_not(GO) == "the target's runtime is go, not CPython"
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="riscv64"))
    assert PtraceInjector().why_not(TARGET) == "it knows Linux on x86_64 only, this is linux on riscv64"


def test_gdb(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GdbInjector().why_not(TARGET) is None
    assert GdbInjector().why_not(GO) == "the target's runtime is go, not CPython"
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert GdbInjector().why_not(TARGET) == "gdb is not installed (apt-get install gdb)"


def test_the_gentlest_first(machine: Path) -> None:
    assert [one.name for one in choose_injectors(TARGET, None)] == ["ptrace", "gdb"]
    assert [one.name for one in choose_injectors(NEW, None)] == ["remote_exec", "ptrace", "gdb"]
    (machine / "agent-4711.sock").touch()
    assert tuple(one.name for one in choose_injectors(NEW, None)) == METHODS
    assert [one.name for one in choose_injectors(NEW, "gdb")] == ["gdb"]


def test_no_way_in_at_all() -> None:
    with pytest.raises(Unsupported) as caught:
        choose_injectors(GO, None)
    assert error_text(caught.value).splitlines() == [
        "Error: No way into pid 4711 (my-datasource).",
        "  why:  agent: no debug agent listens in it (debugtool build --debug puts one in)",
        "         remote_exec: needs a plain CPython, the target's runtime is go",
        "         ptrace: the target's runtime is go, not CPython",
        "         gdb: the target's runtime is go, not CPython",
        "  next: make a debug build: debugtool build --debug --editable",
    ]
    assert caught.value.exit_code is ExitCode.UNSUPPORTED


class Way:
    """An injector that does as it is told, and tells that it was asked."""

    needs_ptrace = False

    def __init__(self, name: str, outcome: float | Exception) -> None:
        self.name, self.outcome, self.asked = name, outcome, False

    def why_not(self, target: Target) -> str | None:
        return None

    def inject(self, target: Target, bootstrap: Bootstrap, timeout_s: float) -> float:
        self.asked = True
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def ways(monkeypatch: pytest.MonkeyPatch, *outcomes: float | Exception) -> list[Way]:
    made = [Way(f"way{number}", outcome) for number, outcome in enumerate(outcomes)]
    monkeypatch.setattr(injectors, "all_injectors", lambda: made)
    return made


@pytest.mark.parametrize("failure", [Refused("no"), Unsupported("cannot")])
def test_the_next_way_is_tried_when_nothing_was_done(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    ways(monkeypatch, failure, 2.5)
    assert inject(OURS, BOOTSTRAP) == injectors.Injected("way1", 2.5)


def test_after_a_time_out_it_may_still_happen_so_no_second_way_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = ways(monkeypatch, TimedOut("late"), 2.5)
    with pytest.raises(TimedOut, match="late"):
        inject(OURS, BOOTSTRAP)
    assert not second.asked


def test_the_last_way_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ways(monkeypatch, Refused("first"), Unsupported("second"))
    with pytest.raises(Unsupported, match="second"):
        inject(OURS, BOOTSTRAP)
