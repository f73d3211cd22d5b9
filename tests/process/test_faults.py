"""Every fault at every point of attach, replay and detach: the plugin answers, nothing is left, the next attach works.

At a point debugtool stands still (or dies), then something happens: debugtool is killed, the plugin is killed and
started again by its host, the editor's connection is cut, or a second attach begins. CI runs one fault for each point;
`--all-faults` runs all of them, for programs with and without the debug agent.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from attach_driver import DEADLINE_S, attached
from dap_client import DapClient
from fault_driver import (
    POINT,
    Held,
    Kept,
    assert_over,
    cut,
    eventually,
    held,
    kept_worker,
    stops_at_breakpoint,
    try_to_attach,
)

from debugtool.system import DETACH_POINTS, FAULT_POINTS, REPLAY_POINTS

SEVERAL = 4  # scenes at a time: most of each is waiting
ERROR_CODES = {1, 3, 5}  # a target that ended under an attach: failed, not found, timed out

ARMING = [point for point in FAULT_POINTS if point not in ("locked", "listening", "asked_connect", "asked_end")]
AGENT_ARMING = [point for point in ARMING if point != "injecting"]


@dataclass(frozen=True)
class Scene:
    """One fault at one point.

    Attributes:
        phase: What goes on: `attach`, `editor` (one attaches), `replay`, `leave` (one disconnects), `detach`.
        point: The fault point; `turn` says when it is passed for the how manieth time.
        fault: `debugtool`, `plugin` (killed), `editor` (its connection cut), `race` (a second attach).
        agent: Whether the plugin is a debug build.
    """

    phase: str
    point: str
    turn: int
    fault: str
    agent: bool

    def __str__(self) -> str:
        return f"{self.phase}-{self.point}-{self.fault}" + ("-agent" if self.agent else "")


def points_of(phase: str, agent: bool) -> list[tuple[str, int]]:
    """List the points that lie in a phase, each with the turn in which it does."""
    arming = AGENT_ARMING if agent else ARMING
    return {
        "attach": [("locked", 1), ("listening", 1), *((point, 1) for point in arming)],
        "editor": [("arrived", 2), ("asked_connect", 1)],
        "replay": [
            *((point, 2 if point == "rendezvous" else 1) for point in REPLAY_POINTS if agent or point != "met"),
            # pydevd arrives and is asked to go for the editor's own session too
            *((point, 3 if point == "arrived" else 2) for point in arming if point != "asked_release"),
        ],
        "leave": [("asked_release", 2), ("released", 2)],
        "detach": [(point, 2 if point == "released" else 1) for point in DETACH_POINTS]
        + [("asked_release", 2), ("asked_end", 1)],
    }[phase]


FAULTS = {
    "attach": ("plugin", "editor", "race", "debugtool"),
    "editor": ("debugtool", "plugin", "editor", "race"),
    "replay": ("plugin", "debugtool", "editor", "race"),
    "leave": ("debugtool", "plugin", "editor", "race"),
    "detach": ("plugin", "editor", "debugtool", "race"),
}


def all_scenes(phase: str) -> list[Scene]:
    return [
        Scene(phase, point, turn, fault, agent)
        for agent in (False, True)
        for point, turn in points_of(phase, agent)
        for fault in FAULTS[phase]
    ]


def some_scenes(phase: str) -> list[Scene]:
    """Each point once, with one fault after the other; of both kinds of plugin, where a phase has to do with it."""
    faults = itertools.cycle(fault for fault in FAULTS[phase] if (phase, fault) != ("attach", "debugtool"))
    points = points_of(phase, agent=True) if phase == "replay" else points_of(phase, agent=False)
    rejoined = {"control", "injected", "payload", "asked_load", "verified"} if phase == "replay" else set()
    return [
        Scene(phase, point, turn, next(faults), agent=phase == "replay")
        for point, turn in points
        if point not in rejoined
    ]


@contextlib.contextmanager
def editing(kept: Kept, port: int) -> Iterator[DapClient]:
    """Attach an editor with a breakpoint for the length of the block."""
    with DapClient(port) as editor:
        told = editor.attach({kept.program: [POINT]}, exceptions=["uncaught"])
        assert told[str(kept.program)][0]["verified"]
        yield editor


def act(scene: Scene, kept: Kept, session: Held, editor: DapClient | None, ended: int = 0) -> None:
    """Wait until debugtool is at the point, let the fault happen, and let debugtool go on.

    Args:
        scene: Which fault.
        kept: The plugin; `ended` of its processes have been killed before, and their successors not been seen yet.
        session: The session.
        editor: The editor, where one is connected.
        ended: See `kept`.
    """
    if scene.fault == "debugtool":
        session.wait_until_killed()
    else:
        session.wait_until_stopped()
    for _ in range(ended):
        kept.next_pid()
    if scene.fault == "plugin":
        kept.kill()
    elif scene.fault == "editor":
        if session.port:  # else nobody can be connected yet
            cut(editor or DapClient(session.port))
    elif scene.fault == "race":
        race(scene, kept, session)
    if scene.fault != "debugtool":
        session.go_on()


def race(scene: Scene, kept: Kept, session: Held) -> None:
    """Begin a second attach: it tells of the session that there is, or takes the plugin once that has let it go."""
    with attached("--pid", kept.pid) as second:
        second.wait_for("target")
        session.go_on()
        if scene.phase == "detach":
            assert second.wait_for("ready").get("reused") is None
            assert session.session.process.wait(DEADLINE_S) == 0
            stops_at_breakpoint(kept, second.port)
            assert second.stop() == 0
        else:
            ready = second.wait_for("ready")
            assert (ready.get("reused"), ready["session_pid"], ready["port"]) == (
                True,
                session.pid,
                session.session.port,
            )
            assert second.process.wait(DEADLINE_S) == 0


def attach(scene: Scene, kept: Kept, session: Held) -> None:
    act(scene, kept, session, None)
    if scene.fault == "plugin" and (follows := has_followed(session)) is not None:
        assert follows == kept.pid
    elif scene.fault == "editor":
        session.session.wait_for("ready")
    if session.session.process.poll() is None:
        stops_at_breakpoint(kept, session.session.port)


def has_followed(session: Held) -> int | None:
    """Tell to which process a session went on that lost its first one; None when it ended, as before `ready`."""
    try:
        return int(session.session.wait_for("rearmed")["pid"])
    except AssertionError:
        code = session.session.process.wait(DEADLINE_S)
        text = session.session.error_text()
        assert code in ERROR_CODES and "Traceback" not in text and "  next: " in text, (code, text)
        return None


def editor_attaches(scene: Scene, kept: Kept, session: Held) -> None:
    session.session.wait_for("ready")
    kept.wait_until_untraced()  # of the proof: the next that comes is for the editor
    with DapClient(session.session.port) as editor:
        begins = threading.Thread(target=try_to_attach, args=(editor, kept))
        begins.start()
        act(scene, kept, session, editor)
        begins.join(DEADLINE_S)
        assert not begins.is_alive()
        if scene.fault == "plugin":
            assert session.session.wait_for("rearmed")["pid"] == kept.pid
            hit(kept, editor)


def hit(kept: Kept, editor: DapClient) -> None:
    kept.send(20)
    thread = editor.wait_for_stop()["threadId"]
    editor.resume(thread)
    assert kept.answer()["answer"] == 41


def replay(scene: Scene, kept: Kept, session: Held) -> None:
    session.session.wait_for("ready")
    kept.wait_until_untraced()
    with editing(kept, session.session.port) as editor:
        os.kill(kept.pid, signal.SIGKILL)
        act(scene, kept, session, editor, ended=1)
        if scene.fault == "debugtool":
            return
        while session.session.wait_for("rearmed")["pid"] != kept.pid:
            pass
        if scene.fault == "plugin":
            hit(kept, editor)
            editor.disconnect()
    stops_at_breakpoint(kept, session.session.port)


def leave(scene: Scene, kept: Kept, session: Held) -> None:
    session.session.wait_for("ready")
    kept.wait_until_untraced()
    with editing(kept, session.session.port) as editor:
        editor.send("disconnect", {"terminateDebuggee": False})
        act(scene, kept, session, editor)
    if scene.fault == "plugin":
        assert session.session.wait_for("rearmed")["pid"] == kept.pid
    if scene.fault != "debugtool":
        stops_at_breakpoint(kept, session.session.port)


def detach(scene: Scene, kept: Kept, session: Held) -> None:
    session.session.wait_for("ready")
    kept.wait_until_untraced()
    with editing(kept, session.session.port) as editor:
        session.session.process.terminate()
        act(scene, kept, session, editor)
        if scene.fault != "debugtool":
            assert session.session.process.wait(DEADLINE_S) == 0, session.session.error_text()


PHASES = {"attach": attach, "editor": editor_attaches, "replay": replay, "leave": leave, "detach": detach}


def play(scene: Scene, directory: Path) -> None:
    """Play one scene, and prove that nothing has come of it."""
    method = ["--method", "agent" if scene.agent else "ptrace"]
    action = "kill" if scene.fault == "debugtool" else "stop"
    with kept_worker(directory, agent=scene.agent) as kept:
        with held(kept, directory, f"{scene.point}:{action}:{scene.turn}", "--no-pause", *method) as session:
            PHASES[scene.phase](scene, kept, session)
            if session.session.process.poll() is None and scene.fault != "debugtool":
                assert session.session.stop() == 0, session.session.error_text()
                eventually(session.files)
        assert_over(kept, session)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("phase", PHASES)
def test_faults(phase: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scenes = all_scenes(phase) if request.config.getoption("--all-faults") else some_scenes(phase)
    failed: dict[str, BaseException] = {}
    with concurrent.futures.ThreadPoolExecutor(SEVERAL) as pool:
        plays = {pool.submit(play, scene, tmp_path): scene for scene in scenes}
        for played in concurrent.futures.as_completed(plays):
            if (error := played.exception()) is not None:
                failed[str(plays[played])] = error
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(scenes)}: {', '.join(sorted(failed))}", _named(failed))


def _named(failed: dict[str, BaseException]) -> list[Exception]:
    named = []
    for name, error in failed.items():
        error.add_note(f"in the scene {name}")
        named.append(error if isinstance(error, Exception) else RuntimeError(str(error)))
    return named
