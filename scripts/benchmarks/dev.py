"""How long the edit loop takes: from a save to a debugger that listens in the plugin's next process."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, Table, say
from benchmarks.processes import DEBUGTOOL, LIMIT_S, Session, read_line

ROUNDS = 10


@contextlib.contextmanager
def developing(project: Path) -> Iterator[Session]:
    """Run `debugtool dev` for the length of the block; it ends what it has started."""
    command = [str(DEBUGTOOL), "dev", str(project), "--port", "0", "--http-port", "0", "--no-launch-json", "--json"]
    with subprocess.Popen(
        command, bufsize=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        session = Session(process)
        try:
            yield session
        finally:
            session.stop()


def save_and_wait(session: Session, source: Path, turn: int) -> tuple[float, float]:
    """Save a one-line change; give the ms until the debugger was there again, and those of the plugin's own start."""
    text = source.read_text()
    began = time.perf_counter()
    source.write_text(f"{text}\n# change {turn}\n")
    own_ms = armed_ms = 0.0
    while not (own_ms and armed_ms):  # the debugger may be there before the plugin has started
        event = json.loads(read_line(session.process))
        if event["event"] == "restarted":
            own_ms = event["elapsed_ms"]
        elif event["event"] == "rearmed":
            armed_ms = (time.perf_counter() - began) * 1000
    return armed_ms, own_ms


def run(rounds: int = ROUNDS) -> list[Row]:
    """Save again and again in a new project with its editable build."""
    table = Table()
    with tempfile.TemporaryDirectory(prefix="debugtool-bench-") as directory:
        project = Path(directory) / "bench-datasource"
        new = [str(DEBUGTOOL), "new", project.name, "--dir", str(project)]
        subprocess.run(new, check=True, capture_output=True, timeout=LIMIT_S)
        source = project / "backend" / "datasource" / "query.py"
        with developing(project) as session:
            session.wait_for("ready")
            for turn in range(rounds + 1):
                say(f"dev: {f'save {turn} of {rounds}' if turn else 'first save'}")
                elapsed_ms, own_ms = save_and_wait(session, source, turn)
                if turn:  # the first one compiles what the later ones only load
                    table.add("ours", elapsed_ms)
                    table.add("own start", own_ms)
    return [
        Row("save to re-armed", "ms", table["ours"], limit=1500),
        Row("the plugin's own start meanwhile: spawn to handshake", "ms", table["own start"]),
    ]
