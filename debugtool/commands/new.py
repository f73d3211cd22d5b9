"""`debugtool new`: create a plugin project."""

from __future__ import annotations

from pathlib import Path

import click

from debugtool.commands import _options


def _checked_name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    from debugtool.builds import name_problem

    if problem := name_problem(value):
        raise click.BadParameter(f"{value!r}: {problem}.")
    return value


@click.command()
@click.argument("name", callback=_checked_name)
@click.option(
    "--runtime", type=click.Choice(["python", "go"]), default="python", show_default=True, help="Its language."
)
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="Where to create it; absent or empty. [default: ./NAME]"
)
@_options.json_document
def new(name: str, runtime: str, directory: Path | None, as_json: bool) -> None:
    """Create a working plugin project in ./NAME.

    It has a plugin.json, a backend that answers queries, tests, a README and VS Code's attach configuration. NAME
    becomes the plugin id and the name of its program.

    \b
    Example:
        debugtool new my-datasource
        cd my-datasource
        debugtool build --debug --editable
        debugtool new my-other-datasource --runtime go
    """
    from debugtool import output
    from debugtool.builds import create_project

    project = create_project(name, directory or Path(name), runtime)
    if as_json:
        output.print_json(
            {
                "directory": project.directory,
                "plugin_id": project.plugin_id,
                "runtime": runtime,
                "files": project.files,
            }
        )
        return
    click.echo(str(project.directory))
    build = "debugtool build --debug" + (" --editable" if runtime == "python" else "")
    click.echo(f"Created the plugin {project.plugin_id}. Next: cd {directory or name} && {build}", err=True)
