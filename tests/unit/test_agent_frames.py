"""sys._current_frames() in a program whose threads come and go while it collects garbage (python/cpython#106883)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from attach_driver import ROOT, find_pythons

LETTING_GO = ROOT / "debugtool" / "plugin" / "agent" / "letting_go.py"

# Each object that is made begins a collection, and each collection gives up the GIL to threads that begin and end.
PROGRAM = """
import gc, sys, threading, time
names = {"__name__": "letting_go"}
exec(open(sys.argv[1]).read(), names)
original = sys._current_frames
kept = names["guard_frames"]()
assert kept is original
def come_and_go():
    while True:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
threading.Thread(target=come_and_go, daemon=True).start()
gc.callbacks.append(lambda phase, info: time.sleep(0.001))
gc.set_threshold(1)
for _ in range(20):
    assert threading.get_ident() in sys._current_frames()
    assert gc.isenabled()
gc.disable()
assert threading.get_ident() in sys._current_frames()
assert not gc.isenabled()
print("ok", sys._current_frames is not original)
"""


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: path.parents[1].name)
def test_frames_are_looked_at_without_a_deadlock(python: Path) -> None:
    done = subprocess.run([python, "-c", PROGRAM, LETTING_GO], capture_output=True, text=True, timeout=30, check=False)
    version = tuple(int(part) for part in python.parents[1].name.split("."))
    assert (done.stdout, done.stderr) == (f"ok {(3, 11) <= version < (3, 11, 9)}\n", "")
