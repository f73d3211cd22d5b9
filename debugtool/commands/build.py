"""`debugtool build`: make the program that the host starts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from debugtool.commands import _options


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--debug", is_flag=True, help="To be debugged: with the debug agent, or Go without optimisation.")
@click.option("--editable", is_flag=True, help="Run the source tree: an edit needs only a restart of the plugin.")
@click.option("--onefile", is_flag=True, help="One file, which unpacks itself at each start.")
@click.option("--target", metavar="OS/ARCH", help="Platform to build for, in Go's words. Default: this machine's.")
@click.option("--no-verify", is_flag=True, help="Do not start the program once before it is put into dist/.")
@_options.json_document
def build(
    directory: Path, debug: bool, editable: bool, onefile: bool, target: str | None, no_verify: bool, as_json: bool
) -> None:
    """Build the plugin in DIR into dist/, as its plugin.json says.

    Makes dist/<executable>_<os>_<arch>, and copies plugin.json and logos beside it. A plugin that runs meanwhile is not
    disturbed. docs/builds.md has the details.

    Go (there is a go.mod): `go build` of pkg/ or backend/, with --debug without optimisation, for any --target.

    Python: PyInstaller freezes the plugin with its libraries and its Python; where the plugin's environment has no
    PyInstaller, one is brought along without changing that. The program is started once before it replaces the one in
    dist/. A release build is optimised and has no debugger in it; --debug makes one to attach to; with --editable too,
    nothing is frozen: it runs the sources.

    \b
    What starts a Python plugin is the first there is of
        entry = "FILE" in [tool.debugtool] of pyproject.toml
        backend/main.py, backend/__main__.py
        backend/src/*/__main__.py, src/*/__main__.py
    The Python that runs it is the first there is of
        .venv, Poetry's environment, venv, env; also those of backend/
        .venv of the uv workspace that the project is in
        the active environment: VIRTUAL_ENV, CONDA_PREFIX
        the Python of debugtool
    More of [tool.debugtool]:
        paths = ["lib"]                   more directories of modules
        imports = ["module"]              modules that are imported by a name in a text
        excludes = ["module"]             modules to leave out
        data = ["templates", "*.json"]    more files to take along

    \b
    Example:
        debugtool build
        debugtool build --debug
        debugtool build --debug --editable
        debugtool build --target linux/arm64
    """
    from debugtool import builds, output

    if editable and (not debug or onefile or target):
        raise click.UsageError("--editable goes with --debug, and not with --onefile or --target.")
    built: builds.BuiltGo | builds.EditableBuild | builds.FrozenBuild
    if builds.is_go_project(directory):
        if editable or onefile:
            raise click.UsageError("--editable and --onefile are for plugins in Python; this one is in Go.")
        with output.progress() as say:
            built = builds.build_go(builds.GoBuildRequest(directory, debug, target), say)
        what = f"of {built.package}, to debug" if debug else f"of {built.package}, for release"
    elif editable:
        built = builds.build_editable(directory)
        what = f"runs {built.entry} with {built.interpreter}"
    else:
        with output.progress() as say:
            built = builds.build_frozen(builds.FreezeRequest(directory, debug, onefile, not no_verify, target), say)
        tried = "it was not started" if built.start_ms is None else f"starts in {output.duration_text(built.start_ms)}"
        what = f"{tried}; PyInstaller's log is {built.log}"
    if as_json:
        output.print_json({**asdict(built), "debug": debug, "editable": editable, "onefile": onefile})
        return
    click.echo(str(built.artefact))
    click.echo(f"Built {built.plugin_id} in {output.duration_text(built.elapsed_ms)}: {what}.", err=True)
