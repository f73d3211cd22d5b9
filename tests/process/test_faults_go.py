"""Faults at the points of attach, replay and detach of a Go plugin, with the real delve: see test_faults.py."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from attach_driver import DEADLINE_S, AttachSession, attached
from dap_client import DapClient
from fault_driver import cut
from go_driver import BREAK_LINE, SOURCE, GoScene, debugging_go, delve_environment, delves_on, guards_on
from gohost_driver import GoHost

from debugtool.errors import ExitCode
from debugtool.system import GO_EDITOR_POINTS, GO_FAULT_POINTS, process_state

SEVERAL = 3  # scenes at a time
FAULTS = ("plugin", "debugtool", "editor")


@dataclass(frozen=True)
class Scene:
    """One fault at one point, which is passed for the how manieth time; see test_faults.Scene."""

    phase: str
    point: str
    turn: int
    fault: str

    def __str__(self) -> str:
        return f"{self.phase}-{self.point}-{self.fault}"


POINTS = {
    "attach": [(point, 1) for point in ("locked", "listening", *GO_FAULT_POINTS)],
    "editor": [(point, 1) for point in GO_EDITOR_POINTS],
    "replay": [
        *((point, 1) for point in ("exited", "succeeded", "reconnected", "reinitialized", "replayed", "rearmed")),
        *((point, 2) for point in (*GO_FAULT_POINTS, "lent")),
    ],
    "detach": [(point, 1) for point in ("hung_up", "asked_end", "unregistered")],
}
SCENES = [
    Scene(phase, *point, fault)
    for phase, points in POINTS.items()
    for point in points
    for fault in FAULTS
    if (phase, fault) != ("attach", "editor")  # none can be there yet
]
# where something is on its way
SOME = {"attach-guarded-plugin", "editor-lent-debugtool", "replay-traced-plugin"}


class Kept(GoHost):
    """A Go plugin under the genuine host, which starts it again whenever it ends."""

    def __init__(self, program: Path, plugin: Path) -> None:
        self.pids: list[int] = []
        super().__init__(program, [plugin], flags=["-restart=50ms"])

    @property
    def pid(self) -> int:
        return self.pids[-1] if self.pids else super().pid

    def kill(self) -> None:
        """Kill the process, and wait for the next one."""
        self.pids = self.pids or [self.pid]
        os.kill(self.pid, signal.SIGKILL)
        self.pids.append(int(self.wait_event("restarted")["pid"]))


def wait_until_stopped(session: AttachSession) -> None:
    """Wait until a session stands at its fault point."""
    deadline = time.monotonic() + DEADLINE_S
    while process_state(session.process.pid) != "T":
        assert session.process.poll() is None, session.error_text()
        assert time.monotonic() < deadline, (session.events, "the fault point was not reached")
        time.sleep(0.005)


def act(scene: Scene, kept: Kept, session: AttachSession, editor: DapClient | None) -> None:
    """Wait until debugtool is at the point, let the fault happen, and let debugtool go on."""
    process = session.process
    if scene.fault == "debugtool":
        assert process.wait(DEADLINE_S) == -signal.SIGKILL, session.error_text()
        return
    wait_until_stopped(session)
    if scene.fault == "plugin":
        kept.kill()
    elif editor is not None:
        cut(editor)
    process.send_signal(signal.SIGCONT)


def stops(scene: GoScene) -> None:
    """Fail unless an editor that comes now stops at a breakpoint, and the plugin goes on when it leaves."""
    with scene.stopped() as (editor, _, question):
        editor.disconnect()
    scene.assert_answer(question)


def run_phase(scene: Scene, kept: Kept, session: AttachSession) -> None:
    if scene.phase == "attach":
        act(scene, kept, session, None)
        return
    port = session.port
    with DapClient(port) as editor:
        if scene.phase == "editor":
            if scene.point == "lent":
                editor.initialize()
                editor.send("attach")
            else:
                editor.attach({SOURCE: [BREAK_LINE]})
                editor.send("disconnect")
            act(scene, kept, session, editor)
            return
        editor.attach({SOURCE: [BREAK_LINE]})
        if scene.phase == "replay":
            kept.kill()
        else:
            session.process.terminate()
        act(scene, kept, session, editor)


def play(scene: Scene, host: Path, plugin: Path) -> None:
    """Play one scene, and prove that nothing has come of it."""
    action = "kill" if scene.fault == "debugtool" else "stop"
    environment = {**delve_environment(), "DEBUGTOOL_FAULT": f"{scene.point}:{action}:{scene.turn}"}
    with Kept(host, plugin) as kept:
        with attached("--pid", kept.pid, "--no-pause", env=environment) as session:
            try:
                run_phase(scene, kept, session)
            finally:
                session.process.send_signal(signal.SIGCONT)
        assert "Traceback" not in session.error_text()
        with attached("--pid", kept.pid, env=delve_environment()) as after:
            stops(GoScene(kept, after))
            assert after.stop() == 0
        GoScene(kept, after).assert_free()
        assert not [found for pid in kept.pids for found in delves_on(pid)]


@pytest.mark.timeout(1800)
def test_faults_of_a_go_plugin(go_programs: Path, debug_plugin: Path, request: pytest.FixtureRequest) -> None:
    scenes = [one for one in SCENES if request.config.getoption("--all-faults") or str(one) in SOME]
    failed: dict[str, BaseException] = {}
    with concurrent.futures.ThreadPoolExecutor(SEVERAL) as pool:
        plays = {pool.submit(play, scene, go_programs / "host", debug_plugin): scene for scene in scenes}
        for played in concurrent.futures.as_completed(plays):
            if (error := played.exception()) is not None:
                error.add_note(f"in the scene {plays[played]}")
                failed[str(plays[played])] = error
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(scenes)}: {', '.join(sorted(failed))}", list(failed.values()))


def test_of_four_attaches_at_once_one_has_the_plugin_and_three_tell_of_it(host: GoHost) -> None:
    with contextlib.ExitStack() as stack:
        scenes = [stack.enter_context(debugging_go(host)) for _ in range(4)]
        ready = [scene.session.wait_for("ready") for scene in scenes]
        assert len({event["port"] for event in ready}) == 1
        (holder,) = (scene for scene, event in zip(scenes, ready, strict=True) if not event.get("reused"))
        for scene in scenes:
            assert scene is holder or scene.session.process.wait(DEADLINE_S) == 0
        assert len(guards_on(host.pid)) == 1
        stops(holder)
        assert holder.session.stop() == 0
    holder.assert_free()


def test_the_port_is_taken_between_the_look_and_the_listening(host: GoHost) -> None:
    """Exit 8, the plugin serves, and the next attach works."""
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))  # and listens only once debugtool has looked
        port = thief.getsockname()[1]
        with debugging_go(host, "--port", str(port), DEBUGTOOL_FAULT="locked:stop") as scene:
            wait_until_stopped(scene.session)
            thief.listen()
            scene.session.process.send_signal(signal.SIGCONT)
            assert scene.session.process.wait(DEADLINE_S) == ExitCode.ADDRESS_IN_USE
            text = scene.session.error_text()
    assert f"127.0.0.1:{port}: the address is in use" in text and f"pid {os.getpid()}" in text
    assert "ready" not in [event["event"] for event in scene.session.events]
    scene.assert_free()
    with debugging_go(host) as after:
        stops(after)
        assert after.session.stop() == 0
    after.assert_free()
