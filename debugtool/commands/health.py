"""`debugtool health`: ask a running plugin for its health."""

from __future__ import annotations

import json
from pathlib import Path

import click

from debugtool.commands import _call_options, _options


@click.command()
@_options.plugin_name
@_call_options.call_options
@_options.json_document
@click.pass_context
def health(
    ctx: click.Context,
    name: str | None,
    pid: int | None,
    datasource: str | None,
    provisioning: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask the running plugin NAME for its health, over its own gRPC socket.

    Exits with 0 when it is OK, else with 1.

    \b
    Example:
        debugtool health my-datasource
    """
    from debugtool import devhost, output

    callee = _call_options.callee(name, pid, datasource, provisioning, timeout)
    answer = devhost.check_health(callee)
    if as_json:
        details = json.loads(answer.details) if answer.details else None
        output.print_json(
            {
                "pid": callee.target.pid,
                "name": callee.target.name,
                "status": answer.status,
                "message": answer.message,
                "details": details,
            }
        )
    else:
        click.echo(f"{answer.status} {answer.message}".rstrip())
        if answer.details not in (b"", b"{}"):
            click.echo(answer.details.decode(errors="replace"))
    ctx.exit(0 if answer.status == "OK" else 1)
