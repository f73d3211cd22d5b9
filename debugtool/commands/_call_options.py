"""Options of the commands that call a running plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from debugtool.commands._options import F

if TYPE_CHECKING:
    from debugtool.devhost import Callee


def call_options(function: F) -> F:
    """Add `--pid`, `--datasource`, `--provisioning` and `--timeout`."""
    for option in (
        click.option("--timeout", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help="Seconds."),
        click.option(
            "--provisioning",
            type=click.Path(path_type=Path),
            help="Grafana provisioning file or directory of the data sources.  [default: the project's own]",
        ),
        click.option("--datasource", metavar="UID", help="Data source to ask for.  [default: the first one]"),
        click.option("--pid", type=int, help="The process, when several have that name."),
    ):
        function = option(function)
    return function


def callee(
    name: str | None, pid: int | None, datasource: str | None, provisioning: Path | None, timeout: float
) -> Callee:
    """Find the running plugin that the options name."""
    from debugtool import devhost, processes

    target = processes.find_target(name, pid=pid)
    return devhost.find_callee(target, uid=datasource, provisioning=provisioning, timeout_s=timeout)
