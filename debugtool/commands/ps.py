"""`debugtool ps`: the running plugins."""

from __future__ import annotations

import click

from debugtool.commands import _options


@click.command()
@_options.plugin_name
@click.option("--all", "everything", is_flag=True, help="Every Python and Go process, not only plugins.")
@_options.json_document
def ps(name: str | None, everything: bool, as_json: bool) -> None:
    """List the running plugins, or those called NAME.

    Changes nothing in them.

    \b
    Example:
        debugtool ps
        debugtool ps my-datasource --json
        debugtool ps --all
    """
    from debugtool import output, processes

    targets = processes.find_targets(name) if name else processes.list_targets(everything=everything)
    if as_json:
        output.print_json([processes.target_document(target) for target in targets])
    elif targets:
        click.echo("\n".join(processes.target_table(targets)))
    elif everything:
        click.echo("No Python or Go process is running. Start your plugin's host.", err=True)
    else:
        click.echo("No plugin is running. Start its host, or see every process: debugtool ps --all", err=True)
