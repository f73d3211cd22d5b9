"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _remember(mode: str) -> Callable[[click.Context, click.Parameter, bool], bool]:
    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
        if value:
            ctx.meta["debugtool.json"] = mode  # read by LazyGroup.invoke, so that errors take the same form
        return value

    return remember


def json_document(function: F) -> F:
    """Add `--json`: one JSON document on stdout. The command receives `as_json`."""
    return click.option("--json", "as_json", is_flag=True, callback=_remember("document"), help="Print JSON.")(function)


def json_events(function: F) -> F:
    """Add `--json` of a long-running command: one JSON object per line. The command receives `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, callback=_remember("events"), help="Print one JSON object per line."
    )(function)


def plugin_name(function: F) -> F:
    """Add the optional NAME argument; the shell completes it with the names of running plugins."""
    return click.argument("name", required=False, shell_complete=_complete_name)(function)


def _complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from debugtool import processes

    names = {name for target in processes.list_targets() for name in (target.name, target.plugin_id) if name}
    return sorted(name for name in names if name.startswith(incomplete))
