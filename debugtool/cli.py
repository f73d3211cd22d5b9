"""The `debugtool` command: names its subcommands, loads the one that is called, turns errors into exit codes."""

from __future__ import annotations

import importlib
import sys

import click

from debugtool import __version__
from debugtool.errors import DebugtoolError, ExitCode

# One line each, here and not in the command modules, so that `--help` and completion import none of them.
COMMANDS = {
    "ps": "List the running plugins.",
    "attach": "Attach a debugger to a running plugin and listen for an editor.",
    "detach": "End a debug session, wherever it was started.",
    "launch-json": "Write or print the editor's attach configuration.",
    "new": "Create a working plugin project.",
    "build": "Build the plugin into dist/.",
    "dev": "Edit, save, debug: on each save restart the plugin under the debugger.",
    "reload": "End the running plugin and wait until its host has started it again.",
    "run": "Start the plugin as Grafana does and serve its HTTP API.",
    "health": "Ask a running plugin for its health.",
    "query": "Send a query to a running plugin.",
    "resource": "Call a resource of a running plugin.",
    "doctor": "Say what would stop an attach or a build here.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command: `launch-json` is `launch_json` in `debugtool.commands.launch_json`."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"debugtool.commands.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; for one that there is none of, name the one that looks like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            if similar := difflib.get_close_matches(args[0], COMMANDS, 1):
                ctx.fail(f"{error.message} Did you mean {similar[0]!r}?")
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from COMMANDS, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a DebugtoolError becomes three lines (or JSON) and its exit code, Ctrl-C becomes 130."""
        try:
            return self._invoke(ctx)
        except DebugtoolError as error:
            from debugtool import output

            mode = ctx.meta.get("debugtool.json")
            if mode == "document":
                output.print_json({"error": output.error_document(error)})
            elif mode == "events":
                print(output.event_line("error", **output.error_document(error)), flush=True)
            click.echo(output.error_text(error), err=True)
            ctx.exit(int(error.exit_code))
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(int(ExitCode.INTERRUPTED))
        except BrokenPipeError:
            # The reader of our output went away (`debugtool ps | head`): nothing is wrong, and nobody reads more.
            sys.stdout = None  # keeps the interpreter from flushing the broken pipe at exit
            ctx.exit(int(ExitCode.FAILED))

    def _invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, no file descriptors left
            from debugtool.system import explain_os_error

            raise explain_os_error(f"debugtool {ctx.invoked_subcommand or ''} could not go on.", error) from error


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="debugtool")
def main() -> None:
    """Debug backend plugins: processes that a host program starts.

    \b
    Example:
        debugtool new my-datasource && cd my-datasource
        debugtool build --debug --editable
        debugtool run &
        debugtool attach my-datasource
    """
