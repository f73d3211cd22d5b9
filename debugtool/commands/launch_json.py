"""`debugtool launch-json`: the editor's attach configuration."""

from __future__ import annotations

from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import NotFound
from debugtool.model import Target


@click.command()
@_options.plugin_name
@click.option("--print", "print_only", is_flag=True, help="Print the entry instead; write nothing.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The directory your editor has open. [default: the plugin's project, else the git root]",
)
@click.option("--port", type=click.IntRange(1, 65535), default=3222, show_default=True, help="Where debugtool listens.")
@_options.json_document
def launch_json(name: str | None, print_only: bool, workspace: Path | None, port: int, as_json: bool) -> None:
    """Write the configuration "Debug backend plugin" to .vscode/launch.json.

    NAME is the plugin; by default that of the plugin.json here. When it runs, the paths it runs from are mapped to
    those of the workspace. Everything else in the file stays as it is. A multi-root .code-workspace is not changed: the
    launch.json of each of its folders counts there too.

    \b
    Example:
        debugtool launch-json
        debugtool launch-json my-datasource --print
    """
    from debugtool import editors, output, session

    target = _running_target(name, workspace)
    workspace = workspace or editors.find_workspace(None, target.plugin_dir if target else None)
    if target:
        entry = session.editor_entry(target, workspace, editors.DEFAULT_HOST, port)
    else:
        entry = session.project_entry(workspace, port)
    if print_only:
        output.print_json({"entry": entry}) if as_json else click.echo(editors.entry_text(entry))
        return
    written = editors.write_launch_json(workspace, entry)
    if as_json:
        output.print_json({"path": written.path, "changed": written.changed, "entry": written.entry})
        return
    click.echo(str(written.path))
    done = "Wrote" if written.changed else "No change: there was"
    click.echo(f'{done} "{entry["name"]}" for port {port}. Choose it under Run and Debug, and press F5.', err=True)


def _running_target(name: str | None, workspace: Path | None) -> Target | None:
    """Find the plugin's process; None for one that does not run but whose project this is."""
    from debugtool import processes
    from debugtool.manifest import find_manifest

    directory = workspace or Path.cwd()
    try:
        return processes.find_target(name, directory=directory)
    except NotFound:
        ours = name is None or (find_manifest(directory) and name in processes.names_of_project(directory))
        if ours:
            return None
        raise
