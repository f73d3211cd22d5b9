"""`debugtool build`: make the program that the host starts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from debugtool.commands import _options
from debugtool.errors import Unsupported


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--debug", is_flag=True, help="With the debug agent, so that debugtool can attach without privileges.")
@click.option("--editable", is_flag=True, help="Run the source tree: an edit needs only a restart of the plugin.")
@_options.json_document
def build(directory: Path, debug: bool, editable: bool, as_json: bool) -> None:
    """Build the Python plugin in DIR into dist/, as its plugin.json says.

    The build there is so far is the editable debug build: give both --debug and --editable. It makes
    dist/<executable>_<os>_<arch>, which runs the sources, and copies plugin.json and logos beside it. A plugin that
    runs meanwhile is not disturbed.

    \b
    What starts the plugin is the first there is of
        entry = "FILE" in [tool.debugtool] of pyproject.toml
        backend/main.py, backend/__main__.py
        backend/src/*/__main__.py, src/*/__main__.py
    The Python that runs it is the first there is of
        .venv, Poetry's environment, venv, env; also those of backend/
        .venv of the uv workspace that the project is in
        the active environment: VIRTUAL_ENV, CONDA_PREFIX
        the Python of debugtool
    More directories of modules: paths = ["lib"] in [tool.debugtool].

    \b
    Example:
        debugtool build --debug --editable
    """
    from debugtool import output
    from debugtool.builds import build_editable

    if not (debug and editable):
        raise Unsupported(
            f"Could not build {directory.absolute()}.",
            why="This version makes editable debug builds only: it cannot freeze a plugin into a program of its own.",
            next_step="Run: debugtool build --debug --editable",
        )
    built = build_editable(directory)
    if as_json:
        output.print_json({**asdict(built), "debug": True, "editable": True})
        return
    click.echo(str(built.artefact))
    click.echo(
        f"Built {built.plugin_id} in {built.elapsed_ms} ms: runs {built.entry} with {built.interpreter}.", err=True
    )
