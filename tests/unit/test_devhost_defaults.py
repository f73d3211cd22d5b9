"""The defaults that `debugtool run --help` shows are those of the host."""

from __future__ import annotations

from click.testing import CliRunner

from debugtool import devhost
from debugtool.cli import main
from debugtool.commands.run import run


def test_defaults_are_written_once_in_effect() -> None:
    defaults = {parameter.name: parameter.default for parameter in run.params}

    assert defaults["port"] == devhost.DEFAULT_PORT
    assert defaults["start_timeout"] == devhost.START_TIMEOUT_S
    assert defaults["restart_poll"] == devhost.RESTART_POLL_S


def test_help_shows_an_example_of_each_command() -> None:
    for name in ("run", "health", "query", "resource"):
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0 and f"Example:\n    debugtool {name}" in done.output.replace("      ", "    ")
