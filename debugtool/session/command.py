"""An attach as a command of its own: with warnings on stderr, in the foreground or in the background."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from debugtool import processes
from debugtool.errors import DebugtoolError, ExitCode
from debugtool.model import Runtime
from debugtool.plugin.agent import paths
from debugtool.session.attach import attach
from debugtool.session.report import Report
from debugtool.session.request import AttachRequest


def run_attach(request: AttachRequest, report: Report) -> signal.Signals | None:
    """Attach and stay until it ends (`session.attach`), with warnings on stderr; give the signal that ended it.

    Raises:
        DebugtoolError: The attach failed.
    """
    logging.basicConfig(level=logging.WARNING, format="Warning: %(message)s", stream=sys.stderr)
    target = request.target
    bootloader = {"bootloader": target.launcher_pid} if target.runtime is Runtime.FROZEN and target.launcher_pid else {}
    report("target", **processes.target_document(target), **bootloader)
    return asyncio.run(attach(request, report))


def attach_in_background(report: Report) -> None:
    """Start this same command once more, without `--background`, in a session of its own; return when it is ready.

    Raises:
        DebugtoolError: It failed, with its own words and code.
    """
    log = Path(paths.make_runtime_dir(os.geteuid())) / f"attach-{os.getpid()}.log"
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--background", "--json")]
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "debugtool", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        _follow(log, child, report)
    finally:
        log.unlink(missing_ok=True)  # the session writes on into a file that nobody finds; it is small


def _follow(log: Path, child: subprocess.Popen[bytes], report: Report) -> None:
    with log.open() as lines:
        while True:
            ended = child.poll() is not None
            for event in map(_event, iter(lines.readline, "")):
                name = event.pop("event", "")
                if name == "error":
                    raise _as_error(event)
                if name:
                    report(str(name), **{key: value for key, value in event.items() if key != "time"})
                if name == "launch_json" or (name == "ready" and "--no-launch-json" in sys.argv):
                    if child.poll() is None:
                        report("background", session_pid=child.pid)
                        child.returncode = 0  # it is on its own from here
                    return
            if ended:
                raise DebugtoolError("The session in the background ended.", why=f"exit code {child.returncode}")
            time.sleep(0.02)


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}  # a warning's text
    return event if isinstance(event, dict) else {}


def _as_error(event: dict[str, object]) -> DebugtoolError:
    error = DebugtoolError(str(event["what"]), why=str(event["why"]), next_step=str(event["next"]))
    error.exit_code = ExitCode(int(str(event["code"])))
    return error
