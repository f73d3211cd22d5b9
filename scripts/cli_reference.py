"""Print the reference of all commands, in Markdown, from their own help."""

from __future__ import annotations

from typing import Any

import click

from debugtool.cli import COMMANDS, main

WIDTH = 100


def reference() -> str:
    """Give docs/cli-reference.md."""
    parts = ["# Commands", "", "Written by `scripts/gen-cli-reference` from each command's `--help`.", ""]
    settings: dict[str, Any] = {**main.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    root = click.Context(main, info_name="debugtool", **settings)
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        context = click.Context(command, root, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)
        parts += [f"## debugtool {name}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference(), end="")
