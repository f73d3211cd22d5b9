"""`debugtool dev`: the edit loop."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import ExitCode


@click.command()
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3222, show_default=True, help="The debugger's; 0: a free one."
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=3001,
    show_default=True,
    help="The embedded host's; 0: a free one.",
)
@click.option(
    "--log-level",
    type=click.Choice(["trace", "debug", "info", "warn", "error"]),
    default="info",
    show_default=True,
    help="Least level of the plugin's log entries to show.",
)
@click.option("--editable", is_flag=True, help="Editable builds, also where the program in dist/ is a frozen one.")
@click.option("--no-launch-json", is_flag=True, help="Leave the editor's configuration alone.")
@_options.json_events
@click.pass_context
def dev(
    ctx: click.Context,
    directory: Path,
    port: int,
    http_port: int,
    log_level: str,
    editable: bool,
    no_launch_json: bool,
    as_json: bool,
) -> None:
    """Host the plugin of DIR, and on each save restart it and have the debugger in it again.

    Makes the editable debug build (PyInstaller's where the program in dist/ is a frozen one, Go's of a plugin in Go)
    and runs the embedded host, unless Grafana or another debugtool run hosts the plugin already. A source that does not
    compile is shown and the plugin runs on as it was; one that fails at its start is shown and starts at the next save.
    plugin.json and assets are copied, the frontend's sources are left alone. Ctrl-C detaches and stops what this
    command has started; also kill -9 leaves nothing of it running.

    \b
    Example:
        debugtool dev
        debugtool dev my-datasource --http-port 0 --json
    """
    from debugtool.dev import DevRequest, reporter, run_dev

    request = DevRequest(directory, port, http_port, log_level, launch_json=not no_launch_json, editable=editable)
    with reporter(as_json) as report:
        number = run_dev(request, report)
    if number is signal.SIGINT:
        ctx.exit(int(ExitCode.INTERRUPTED))
