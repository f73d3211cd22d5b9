"""`debugtool doctor`: what would stop an attach or a build here."""

from __future__ import annotations

from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import ExitCode

_COLOURS = {"ok": "green", "info": "blue", "warning": "yellow", "problem": "red"}


@click.command()
@_options.plugin_name
@click.option("--pid", type=click.IntRange(min=1), help="The process itself, where a name is not enough.")
@click.option("--port", type=click.IntRange(0, 65535), default=3222, show_default=True, help="That attach would use.")
@_options.json_document
def doctor(name: str | None, pid: int | None, port: int, as_json: bool) -> None:
    """Say what would stop an attach to the plugin NAME or a build here, each with its narrowest fix.

    Looks at this machine, at the plugin project of the working directory, and at the running plugin NAME. Without NAME
    the plugin.json of the working directory names it; without that the machine alone is looked at. Changes nothing.

    Ends with 0 when nothing stands in the way, else with 1; warnings do not count.

    \b
    Example:
        debugtool doctor
        debugtool doctor my-datasource --json
    """
    from debugtool import output
    from debugtool.doctor import DoctorRequest, diagnose, finding_text

    diagnosis = diagnose(DoctorRequest(name, pid, port, Path.cwd()))
    if as_json:
        output.print_json(diagnosis.document)
    else:
        for finding in diagnosis.findings:
            mark = click.style(f"{finding.status:8}", fg=_COLOURS[finding.status])
            click.echo(f"{mark} {finding_text(finding)}")
        click.echo(f"{diagnosis.problems or 'No'} problem{'' if diagnosis.problems == 1 else 's'}.", err=True)
    if diagnosis.problems:
        click.get_current_context().exit(int(ExitCode.FAILED))
