"""`debugtool attach`: the debugger into a running plugin, an endpoint for the editor."""

from __future__ import annotations

import functools
import signal
from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import ExitCode

METHODS = ("agent", "remote_exec", "ptrace", "gdb")  # debugtool.inject.METHODS, not imported for the sake of --help


@click.command()
@_options.plugin_name
@click.option("--pid", type=click.IntRange(min=1), help="The process itself, where a name is not enough.")
@click.option("--port", type=click.IntRange(0, 65535), default=3222, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--allow-remote", is_flag=True, help="Permit a --host that other machines can reach. Dangerous.")
@click.option("--method", type=click.Choice(METHODS), help="The way in.  [default: the gentlest that works]")
@click.option("--all", "every", is_flag=True, help="All processes of that name, and the Pythons they started.")
@click.option("--wait", is_flag=True, help="Wait until the plugin appears.")
@click.option("--wait-at-start", is_flag=True, help="Hold each start of a debug build for the editor's breakpoints.")
@click.option("--hold", type=click.FloatRange(0, 55), default=50, hidden=True, help="Seconds, for --wait-at-start.")
@click.option("--timeout", type=click.FloatRange(1), default=15, show_default=True, help="Seconds for getting in.")
@click.option("--once", is_flag=True, help="End with the process.  [default: follow its restarts]")
@click.option("--no-pause", is_flag=True, help="Follow at once a plugin that keeps ending right after its start.")
@click.option("--background", is_flag=True, help="Return once the debugger is ready; the session goes on.")
@click.option("--workspace", type=click.Path(exists=True, file_okay=False, path_type=Path), help="For launch.json.")
@click.option("--no-launch-json", is_flag=True, help="Leave the editor's configuration alone.")
@_options.json_events
def attach(
    name: str | None,
    pid: int | None,
    port: int,
    host: str,
    allow_remote: bool,
    method: str | None,
    every: bool,
    wait: bool,
    wait_at_start: bool,
    hold: float,
    timeout: float,
    once: bool,
    no_pause: bool,
    background: bool,
    workspace: Path | None,
    no_launch_json: bool,
    as_json: bool,
) -> None:
    """Attach a debugger to the plugin NAME, listen for an editor, and stay until Ctrl-C.

    Writes the configuration "Debug backend plugin" into .vscode/launch.json: press F5 there. The plugin runs at full
    speed until an editor connects, and again once it has left. Ctrl-C lets go; the plugin serves on.

    When the plugin ends, crashes or is rebuilt, the session waits for its host to start it again and goes on there: the
    editor stays connected, with its breakpoints. A debug build is armed before its own code runs.

    With --all the editor gets a session for each process of that name and for the Pythons below them (a pool's
    workers), those that come later included; one that another session has comes once that has ended. Without it one
    process is debugged, and what it starts while an editor is there.

    With --wait-at-start a debug build is held at each start, before its own code, until an editor has set its
    breakpoints, for 50 s at most: a host waits 60 s for the handshake line. A plugin on debugtool.plugin then stops
    after that line and before its first request, any other program at its first line. With --wait the first start is
    held too. With --all the starts of the session's first process are held; the others are debugged as they come.

    NAME is a plugin id, the executable of a plugin.json, a process or a script name; without it the plugin.json of the
    working directory names it.

    \b
    Example:
        debugtool attach my-datasource
        debugtool attach --pid 4711 --port 0 --json
        debugtool attach gunicorn --all
        debugtool attach my-datasource --wait --wait-at-start
    """
    from debugtool import session

    with session.Reporter(as_json) as report:
        if background:
            session.attach_in_background(report)
            return
        request_for = functools.partial(
            session.AttachRequest,
            host=host,
            port=port,
            method=method,
            allow_remote=allow_remote,
            workspace=False if no_launch_json else workspace,
            timeout_s=timeout,
            every=every,
            once=once,
            pauses=not no_pause,
            hold_s=hold if wait_at_start else None,
        )
        with session.EarlyPort(host, port, allow_remote) as early:
            if wait_at_start:
                ended_by = session.run_attach_at_start(
                    name, pid, request_for, report, early, hold_s=hold, waits=wait, every=every
                )
            elif wait:
                ended_by = session.run_attach_once_it_runs(name, pid, request_for, report, early, every=every)
            else:
                ended_by = session.run_attach(request_for(session.choose_target(name, pid, oldest=every)), report)
    if ended_by is signal.SIGINT:
        click.get_current_context().exit(int(ExitCode.INTERRUPTED))
