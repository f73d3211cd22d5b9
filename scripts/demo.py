"""The demo: a new project, a debug build, a host, an attach, a breakpoint that a query hits, a restart, and back."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dap_client import DapClient

NAME = "my-datasource"
DEBUGTOOL = Path(sys.executable).with_name("debugtool")
LIMIT_S = 60
QUERY = {"from": "now-1h", "to": "now", "queries": [{"refId": "A", "datasource": {"uid": NAME}}]}

Event = dict[str, Any]


class Console:
    """Tells what happens, on stderr; silent in JSON mode."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print a step."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


class Command:
    """A long-running `debugtool ... --json`, whose events can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_for(self, name: str) -> Event:
        """Read its events up to one of that name.

        Raises:
            SystemExit: It reported an error or ended.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: Event = json.loads(line)
            if event["event"] == name:
                return event
            if event["event"] == "error":
                raise SystemExit(f"demo: {event['what']} {event['why']}")
        raise SystemExit(f"demo: {self.process.args!r} ended before {name!r}")


@contextlib.contextmanager
def running(*arguments: str, directory: Path) -> Iterator[Command]:
    """Run a long-running debugtool command for the length of the block; it is ended by SIGTERM."""
    with subprocess.Popen(
        [DEBUGTOOL, *arguments, "--json"], cwd=directory, stdout=subprocess.PIPE, text=True
    ) as process:
        # A deadline for all that is waited for below: a stuck command is ended, which ends the wait with an error.
        watchdog = threading.Timer(LIMIT_S, process.kill)
        watchdog.start()
        try:
            yield Command(process)
        finally:
            watchdog.cancel()
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_S)


def run(*arguments: str, directory: Path) -> None:
    """Run a debugtool command to its end."""
    subprocess.run([DEBUGTOOL, *arguments], cwd=directory, check=True, capture_output=True, timeout=LIMIT_S)


def post_query(url: str) -> dict[str, Any]:
    """Send the demo's query to the host; give the body of its answer."""
    request = urllib.request.Request(
        f"{url}/api/ds/query", json.dumps(QUERY).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
        body: dict[str, Any] = json.load(response)
        return body


def rows(answer: dict[str, Any]) -> int:
    """Count the rows of the answer's first frame."""
    return len(answer["results"]["A"]["frames"][0]["data"]["values"][0])


def breakpoint_in(project: Path) -> tuple[Path, int]:
    """Choose the line of the query handler to stop at: where the query has been read and nothing is computed yet."""
    source = project / "backend" / "datasource" / "query.py"
    lines = source.read_text().splitlines()
    return source, next(number for number, line in enumerate(lines, 1) if "times = " in line)


def debug_a_query(editor: DapClient, url: str, place: tuple[Path, int], console: Console) -> dict[str, Any]:
    """Run a query into the breakpoint, look around, continue; give the hit, the variables and the query's answer."""
    answers: list[dict[str, Any]] = []
    query = threading.Thread(target=lambda: answers.append(post_query(url)))
    query.start()
    thread = editor.wait_for_stop()["threadId"]
    frames = editor.stack(thread)
    hit = f"{Path(frames[0]['source']['path']).relative_to(place[0].parents[2])}:{frames[0]['line']}"
    console.say(f"stopped at {hit}; the stack:")
    for frame in frames[:4]:
        console.say(f"    {frame['name']}  {Path(frame['source']['path']).name}:{frame['line']}")
    variables = {name: value for name, value in editor.variables(frames[0]).items() if len(value) < 60}
    for name, value in variables.items():
        console.say(f"    {name} = {value}")
    editor.resume(thread)
    query.join(LIMIT_S)
    console.say(f"continued: the query's answer has {rows(answers[0])} rows")
    return {"hit": hit, "variables": variables, "answer": rows(answers[0])}


def restart(plugin: int, host: Command, session: Command, console: Console) -> tuple[int, Event]:
    """Kill the plugin, and wait until the host has started it again; give its pid and how the session followed."""
    os.kill(plugin, signal.SIGKILL)
    again = host.wait_for("restarted")["pid"]
    rearmed = session.wait_for("rearmed")
    when = "before its own code ran" if rearmed["before_first_request"] else "while it ran"
    console.say(f"6. pid {plugin} is killed, the host starts pid {again}; the session followed {when}")
    return again, rearmed


def demonstrate(project: Path, console: Console) -> dict[str, Any]:
    """Go through the whole loop in a new project; give the demo's document."""
    run("new", NAME, directory=project.parent)
    console.say(f"1. debugtool new {NAME}")
    run("build", "--debug", "--editable", directory=project)
    console.say("2. debugtool build --debug --editable")
    with running("run", "--port", "0", directory=project) as host:
        plugin = host.wait_for("started")["pid"]
        url = str(host.wait_for("listening")["url"])
        console.say(f"3. debugtool run: the plugin is pid {plugin}, its host serves {url}")
        with running("attach", "--pid", str(plugin), "--port", "0", directory=project) as session:
            ready = session.wait_for("ready")
            session.wait_for("launch_json")
            launch = project / ".vscode" / "launch.json"
            port = json.loads(launch.read_text())["configurations"][0]["connect"]["port"]
            way = f"ready in {ready['elapsed_ms']} ms ({ready['method']}), port {port}"
            console.say(f"4. debugtool attach --pid {plugin}: {way}")
            console.say("5. an editor connects as .vscode/launch.json says, sets a breakpoint, and a query comes")
            with DapClient(port) as editor:
                place = breakpoint_in(project)
                editor.attach({place[0]: [place[1]]})
                seen = debug_a_query(editor, url, place, console)
                plugin, rearmed = restart(plugin, host, session, console)
                again = debug_a_query(editor, url, place, console)
                editor.disconnect()
        console.say("7. detached")
        assert rows(post_query(url)) == seen["answer"]
        os.kill(plugin, 0)
        console.say(f"8. the plugin (pid {plugin}) still serves: one more query is answered")
    return {
        "ok": True,
        "attach_ms": ready["elapsed_ms"],
        "stall_ms": ready["stall_ms"],
        "rearm_ms": rearmed["elapsed_ms"],
        "hits": [seen["hit"], again["hit"]],
        "variables": seen["variables"],
        "answer": seen["answer"],
    }


def main() -> None:
    """Parse the command line, go, and say that it went well."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="debugtool-demo-") as directory:
        document = demonstrate(Path(directory) / NAME, Console(quiet=arguments.json))
    print(json.dumps(document, indent=2) if arguments.json else "demo: ok")


if __name__ == "__main__":
    main()
