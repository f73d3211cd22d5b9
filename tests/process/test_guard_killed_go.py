"""kill -9 to the guard of a delve, alone or together with debugtool: the plugin is let go by whoever is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dap_client import DapClient
from go_driver import BREAK_LINE, SOURCE, GoScene, debugging_go, delves_on, guards_on, tracer, words_of
from gohost_driver import GoHost, StartGoHost

STOP = {"line": BREAK_LINE}
HOT = {"line": BREAK_LINE + 4, "condition": "i < 0"}  # never holds: each hit stops and resumes the whole plugin


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill(*pids: int) -> None:
    """Kill processes so that none of them sees another one's end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)


def own_directory(host: GoHost) -> Path:
    """Give the directory that the guard of a plugin's delve has made."""
    delve, *_ = started_delves(host)  # it starts a process of its own, which has its words for a moment
    return Path(f"/proc/{delve}/cwd").readlink()


def started_delves(host: GoHost) -> list[int]:
    return [pid for pid in delves_on(host.pid) if words_of(pid)[:1] == [b"dlv"]]


@contextlib.contextmanager
def attaching(host: GoHost, *, is_traced: bool = True) -> Iterator[GoScene]:
    """Begin an attach, and stop debugtool while delve is on its way."""
    with debugging_go(host, DEBUGTOOL_FAULT="guarded:stop") as scene:
        wait_until(lambda: tracer(host.pid) if is_traced else started_delves(host))
        try:
            yield scene
        finally:
            scene.session.process.send_signal(signal.SIGCONT)


def assert_over(scene: GoScene, questions: list[int], own: Path) -> None:
    """Fail unless the plugin answers, nothing is left of delve, and an editor of the next session stops it."""
    for question in questions:
        scene.assert_answer(question)
    scene.assert_free()
    assert not own.exists()
    with debugging_go(scene.host) as after:
        with after.stopped() as (editor, _, question):
            editor.disconnect()
        after.assert_answer(question)
        assert after.session.stop() == 0
    after.assert_free()


def kill_the_guard_and_see_another(host: GoHost) -> None:
    (guard,) = guards_on(host.pid)
    kill(guard)
    wait_until(lambda: guards_on(host.pid) not in ([], [guard]))


def kill_both(scene: GoScene) -> None:
    kill(scene.session.process.pid, *guards_on(scene.pid))


@pytest.mark.parametrize("is_traced", [False, True], ids=["delve reads", "delve has it"])
def test_both_are_killed_while_delve_attaches(host: GoHost, is_traced: bool) -> None:
    with attaching(host, is_traced=is_traced) as scene:
        own = own_directory(host)
        kill_both(scene)
    assert_over(scene, [], own)


def test_both_are_killed_with_no_editor(host: GoHost) -> None:
    with debugging_go(host) as scene:
        scene.session.wait_for("ready")
        own = own_directory(host)
        kill_both(scene)
    assert_over(scene, [], own)


def test_both_are_killed_with_a_breakpoint_set(host: GoHost) -> None:
    with debugging_go(host) as scene, DapClient(scene.session.port) as editor:
        editor.attach({SOURCE: [STOP]})
        own = own_directory(host)
        kill_both(scene)
        assert_over(scene, [scene.ask()], own)


def test_both_are_killed_while_the_plugin_stands_at_a_breakpoint(host: GoHost) -> None:
    with debugging_go(host) as scene, scene.stopped() as (_, _, question):
        own = own_directory(host)
        kill_both(scene)
        assert_over(scene, [question], own)


def test_both_are_killed_while_threads_run_into_a_breakpoint(host: GoHost) -> None:
    for _ in range(3):
        with debugging_go(host) as scene, DapClient(scene.session.port) as editor:
            editor.attach({SOURCE: [HOT]})
            questions = [scene.ask() for _ in range(8)]
            own = own_directory(host)
            kill_both(scene)
            assert_over(scene, questions, own)


def test_the_name_of_debugtool_is_no_name_of_its_guard(host: GoHost) -> None:
    """What `pkill -9 -f debugtool` ends is debugtool alone, so that the guard does what it is for."""
    with debugging_go(host) as scene, scene.stopped() as (_, _, question):
        helpers = delves_on(host.pid)
        assert len(helpers) == 3, [words_of(pid) for pid in helpers]
        named = [pid for pid in (scene.session.process.pid, *helpers) if b"debugtool" in b" ".join(words_of(pid))]
        assert named == [scene.session.process.pid]
        own = own_directory(host)
        kill(*named)
        assert_over(scene, [question], own)


def test_a_guard_that_is_killed_is_followed_by_another_and_the_session_goes_on(host: GoHost) -> None:
    with debugging_go(host) as scene:
        with scene.stopped() as (editor, stop, question):
            own = own_directory(host)
            for _ in range(3):  # each in its first moments, but for the first
                kill_the_guard_and_see_another(host)
            editor.resume(stop["threadId"])
            scene.assert_answer(question)
            question = scene.ask()
            editor.wait_for_stop()
            editor.disconnect()
        scene.assert_answer(question)
        assert scene.session.stop() == 0
        assert_over(scene, [], own)


def test_a_guard_that_is_killed_while_its_delve_attaches_is_followed_by_another(host: GoHost) -> None:
    with attaching(host) as scene:
        own = own_directory(host)
        kill(*guards_on(host.pid))
        scene.session.process.send_signal(signal.SIGCONT)
        with scene.stopped() as (editor, _, question):
            editor.disconnect()
        scene.assert_answer(question)
        assert scene.session.stop() == 0
        assert_over(scene, [], own)


def test_debugtool_detaches_by_itself_when_nobody_follows_the_guard(host: GoHost) -> None:
    with debugging_go(host) as scene:
        scene.session.wait_for("ready")
        own = own_directory(host)
        kill(*(pid for pid in delves_on(host.pid) if words_of(pid)[:1] != [b"dlv"]))
        assert scene.session.process.wait(60) == 1
        assert "guard" in scene.session.error_text()
        assert_over(scene, [], own)


def test_a_directory_that_nobody_is_left_to_remove_is_removed_by_the_next_attach(
    start_go_host: StartGoHost, debug_plugin: Path
) -> None:
    host = start_go_host(debug_plugin)
    with debugging_go(host) as scene:
        scene.session.wait_for("ready")
        own = own_directory(host)
        kill(scene.session.process.pid, *(pid for pid in delves_on(host.pid) if words_of(pid)[:1] != [b"dlv"]))
    with debugging_go(start_go_host(debug_plugin)) as other:
        other.session.wait_for("ready")
        assert (own / "delve.sock").exists()  # its delve runs
        kill(*delves_on(host.pid))
        assert other.session.stop() == 0
    assert own.exists()
    with debugging_go(start_go_host(debug_plugin)) as other:
        other.session.wait_for("ready")
        assert not own.exists()
