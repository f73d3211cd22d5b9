"""`debugtool reload`: the next instance of a plugin."""

from __future__ import annotations

import asyncio

import click

from debugtool.commands import _options


@click.command()
@_options.plugin_name
@click.option("--pid", type=click.IntRange(min=1), help="The process itself, when several have that name.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds for the next one."
)
@_options.json_document
def reload(name: str | None, pid: int | None, timeout: float, as_json: bool) -> None:
    """End the running plugin NAME as its host would, and wait until the host has started it again.

    go-plugin's Shutdown over its own socket comes first, then SIGTERM, then SIGKILL; the command is done when the next
    process answers. A plugin whose parent is a shell or init is left running, because nobody would start it again:
    exit 5. So is the exit code when the host has not started it in time. Debuggers and other users' processes are never
    ended.

    \b
    Example:
        debugtool reload my-datasource
        debugtool reload --pid 4711 --timeout 10 --json
    """
    from debugtool import output, processes
    from debugtool.reload import reload_plugin

    done = asyncio.run(reload_plugin(processes.find_target(name, pid=pid), timeout))
    if as_json:
        output.print_json(
            {
                "name": done.new.name,
                "plugin_id": done.new.plugin_id,
                "old_pid": done.old.pid,
                "new_pid": done.new.pid,
                "host": {"pid": done.host.pid, "name": done.host.name},
                "grpc_address": done.new.grpc_address,
                "ended_by": done.ending.by,
                "steps_ms": done.ending.steps_ms,
                "ended_ms": done.ended_ms,
                "started_ms": done.started_ms,
                "answered_ms": done.answered_ms,
            }
        )
        return
    click.echo(f"{done.new.name}: pid {done.old.pid} -> {done.new.pid}")
    click.echo(
        f"Ended by {done.ending.by} in {done.ended_ms:.0f} ms, started again by {done.host} after"
        f" {done.started_ms:.0f} ms, answers after {done.answered_ms:.0f} ms more.",
        err=True,
    )
