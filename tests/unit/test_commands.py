"""What holds for every command: help, an example, the documents that name it, and nothing imported too early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_reference import reference
from click.testing import CliRunner

from debugtool.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_an_imperative_first_line(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help
    assert "Example:" in command.help
    first = command.help.strip().splitlines()[0]
    assert first[0].isupper() and not first.split()[0].endswith("s")
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"debugtool {name}" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert name in (ROOT / "README.md").read_text()


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys; from debugtool.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'psutil', 'grpc', 'pyarrow', 'aiohttp', 'debugpy', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not [m for m in sys.modules if m.startswith('debugtool.commands.')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["attahc"])
    assert result.exit_code == 2
    assert "No such command 'attahc'. Did you mean 'attach'?" in result.output
    assert "Did you mean" not in CliRunner().invoke(main, ["xyzzy"]).output


def test_the_reference_is_what_the_commands_say_today() -> None:
    written = (ROOT / "docs" / "cli-reference.md").read_text()
    assert written == reference(), "stale: run scripts/gen-cli-reference"
