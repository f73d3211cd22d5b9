"""The long run of the targets in tests/fuzz: coverage-guided (atheris, libFuzzer), one target after the other.

`scripts/fuzz [TARGET ...] [--seconds N] [--keep] [--list]`. What it finds lies in .cache/fuzz/findings, one input for
each place that an exception came from; a finding does not end the run. The corpus grows in .cache/fuzz/corpus from what
is kept in tests/fuzz/corpus; `--keep` puts there what goes from one line to another as nothing else does, the smallest
inputs first.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FUZZ = ROOT / "tests" / "fuzz"
KEPT = FUZZ / "corpus"
HOME = ROOT / ".cache" / "fuzz"
FINDINGS = HOME / "findings"
MOST_BYTES = 4096  # of one input
HANGS_S = 30
MOST_MB = 1024
_KEPT_BYTES = 16_000  # of one target's inputs, in all
_STATISTICS = re.compile(r"stat::number_of_executed_units:\s+(\d+)|cov: (\d+) ft: \d+ corp: (\d+)")


def main() -> None:
    """Run what the command line asks for; exit 1 when something was found."""
    sys.path[:0] = [str(FUZZ), str(ROOT)]
    every = sorted(path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.py"))
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz what reads from others.")
    parser.add_argument("targets", nargs="*", choices=[*every, []], metavar="TARGET", help="all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument(
        "--keep", action="store_true", help="write tests/fuzz/corpus anew from what was found to matter"
    )
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    targets = given.targets or every
    if given.list:
        print("\n".join(every))
    elif given.child:
        search(targets[0], given.seconds)
    elif given.keep:
        for target in targets:
            keep(target)
    else:
        sys.exit(0 if all([report(target, given.seconds) for target in targets]) else 1)


def report(target: str, seconds: int) -> bool:
    """Search for a while and print what came of it in a line; give whether nothing was found."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    before = set(FINDINGS.iterdir())
    log = HOME / f"{target}.log"
    with log.open("w") as file:
        command = [sys.executable, __file__, target, "--child", "--seconds", str(seconds)]
        code = subprocess.run(command, stdout=file, stderr=file, cwd=ROOT, check=False).returncode
    runs = edges = inputs = "?"
    for match in _STATISTICS.finditer(log.read_text(errors="replace")):
        runs, edges, inputs = match[1] or runs, match[2] or edges, match[3] or inputs
    found = sorted(set(FINDINGS.iterdir()) - before)
    end = "" if code == 0 else f", ended with {code} ({log.relative_to(ROOT)})"
    print(f"{target}: {seconds} s, {runs} runs, {edges} edges, {inputs} inputs, {len(found)} found{end}", flush=True)
    for path in found:
        print(f"  {path.relative_to(ROOT)}", flush=True)
    return code == 0 and not found


def search(target: str, seconds: int) -> None:
    """Search in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["debugtool"], enable_loader_override=False):
        module = importlib.import_module(f"fuzz_{target}")
    known: set[tuple[str, int]] = set()

    def fuzz_one(data: bytes) -> None:
        try:
            module.fuzz_one(data)
        except Exception as error:
            frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
            place = next((place for place in reversed(frames) if str(ROOT) in place[0]), frames[-1])
            if place not in known:
                known.add(place)
                name = f"{target}-{Path(place[0]).stem}-{place[1]}-{type(error).__name__}"
                (FINDINGS / name).write_bytes(data)
                traceback.print_exc()

    corpus = HOME / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = [str(KEPT / target)] if (KEPT / target).is_dir() else []
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        f"-timeout={HANGS_S}",
        f"-rss_limit_mb={MOST_MB}",
    ]
    options += [f"-artifact_prefix={FINDINGS}/{target}-", f"-dict={FUZZ / 'words.dict'}", "-print_final_stats=1"]
    atheris.Setup([target, *options, str(corpus), *seeds], fuzz_one)
    atheris.Fuzz()


def keep(target: str) -> None:
    """Keep the smallest inputs that together take every step from line to line that any does, and named ones."""
    module: Any = importlib.import_module(f"fuzz_{target}")
    inputs: dict[bytes, Path] = {}
    for directory in (KEPT / target, HOME / "corpus" / target):
        inputs.update((path.read_bytes(), path) for path in sorted(directory.glob("*")))
    reached: set[tuple[str, int, int]] = set()
    kept: dict[str, bytes] = {}
    for data in sorted(inputs, key=lambda data: (not inputs[data].is_relative_to(KEPT), len(data), data)):
        name = inputs[data].name
        new = steps_of(module, data) - reached
        is_named = inputs[data].is_relative_to(KEPT) and not re.fullmatch("[0-9a-f]{40}", name)  # a finding, or a seed
        if is_named or (new and sum(map(len, kept.values())) + len(data) <= _KEPT_BYTES):
            reached |= new
            kept[name] = data
    with tempfile.TemporaryDirectory(dir=FUZZ) as beside:
        for name, data in kept.items():
            Path(beside, name).write_bytes(data)
        shutil.rmtree(KEPT / target, ignore_errors=True)
        shutil.copytree(beside, KEPT / target)
    print(f"{target}: {len(kept)} of {len(inputs)} inputs kept, {sum(map(len, kept.values()))} bytes")


def steps_of(module: Any, data: bytes) -> set[tuple[str, int, int]]:
    """Run an input; give the steps from line to line inside debugtool."""
    steps: set[tuple[str, int, int]] = set()
    package = str(ROOT / "debugtool")

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(package):
            return None
        last = 0

        def step(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                steps.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    threading.settrace(enter)
    sys.settrace(enter)
    try:
        module.fuzz_one(data)
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return steps


if __name__ == "__main__":
    main()
