"""`debugtool run`: the embedded host."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import ExitCode

_SECONDS = click.FloatRange(min=0.01)


@click.command()
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="HTTP; 0: a free one.")
@click.option("--start-timeout", type=_SECONDS, default=60.0, show_default=True, help="Seconds to the handshake.")
@click.option("--restart-poll", type=_SECONDS, default=1.0, show_default=True, help="Seconds between looks at it.")
@click.option("--forward-env", is_flag=True, help="Pass our environment on, as Grafana up to 12.3 did.")
@click.option("-e", "--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable for the plugin.")
@click.option(
    "--provisioning",
    type=click.Path(path_type=Path),
    help="Grafana provisioning file or directory of the data sources.  [default: provisioning/datasources]",
)
@click.option(
    "--log-level",
    type=click.Choice(["trace", "debug", "info", "warn", "error"]),
    help="Least level of log entries to show; plain text is always shown.  [default: info; with --json: trace]",
)
@_options.json_events
@click.pass_context
def run(
    ctx: click.Context,
    directory: Path,
    port: int,
    start_timeout: float,
    restart_poll: float,
    forward_env: bool,
    variables: tuple[str, ...],
    provisioning: Path | None,
    log_level: str | None,
    as_json: bool,
) -> None:
    """Start the plugin of DIR as Grafana does, keep it running, and serve Grafana's HTTP API.

    Listens on loopback only, without a password. Ctrl-C stops the plugin, a second one kills it.

    \b
    Example:
        debugtool run
        debugtool run my-datasource --port 0 --json
    """
    from debugtool import devhost, processes

    manifest, program = devhost.find_plugin(directory)
    request = devhost.HostRequest(
        manifest,
        program,
        port=port,
        start_timeout_s=start_timeout,
        restart_poll_s=restart_poll,
        forward_environment=forward_env,
        variables=dict(_variable(text) for text in variables),
        provisioning=provisioning,
    )
    name = manifest.executable or manifest.id
    reporter = (
        devhost.JsonReporter(log_level or "trace")
        if as_json
        else devhost.HumanReporter(Path(name).name, log_level or "info")
    )
    others = [target.pid for target in processes.list_targets() if program in (target.executable, target.script)]
    if devhost.run_host(request, reporter, others) == signal.SIGINT:
        ctx.exit(int(ExitCode.INTERRUPTED))


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--env")
    return name, value
