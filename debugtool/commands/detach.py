"""`debugtool detach`: end a session, wherever it was started."""

from __future__ import annotations

import click

from debugtool.commands import _options


@click.command()
@_options.plugin_name
@_options.json_document
def detach(name: str | None, as_json: bool) -> None:
    """End the debug session of the plugin NAME, wherever it was started; the plugin serves on.

    NAME may be left out when this user has one session only, and may be a pid.

    \b
    Example:
        debugtool detach my-datasource
    """
    from debugtool import output, session

    record = session.find_session(name)
    session.detach(record)
    if as_json:
        output.print_json({"detached": {"pid": record.target_pid, "name": record.target_name, "port": record.port}})
    else:
        click.echo(f"Detached from {record.target_name} (pid {record.target_pid}). It serves on.", err=True)
