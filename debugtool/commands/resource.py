"""`debugtool resource`: call a resource of a running plugin."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from debugtool.commands import _call_options, _options


@click.command()
@click.argument("name")
@click.argument("path")
@click.option("-X", "--method", help="HTTP method.  [default: GET, or POST with -d]")
@click.option("-d", "--data", metavar="BODY", help="Body; @FILE reads it from a file, @- from stdin.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; repeatable.")
@click.option("-i", "--include", is_flag=True, help="Print status and headers of the answer too, on stderr.")
@_call_options.call_options
@_options.json_document
@click.pass_context
def resource(
    ctx: click.Context,
    name: str,
    path: str,
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    include: bool,
    pid: int | None,
    datasource: str | None,
    provisioning: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Call the resource PATH of the running plugin NAME, over its own gRPC socket.

    Prints the answer's body as it comes. Exits with 1 when its status is 400 or above.

    \b
    Example:
        debugtool resource my-datasource metrics/names?prefix=cpu
        debugtool resource my-datasource echo -d '{"a": 1}' -H 'X-Mine: yes'
    """
    from debugtool import devhost, output

    request = devhost.make_resource_request(method, path, headers, _read_body(data))
    callee = _call_options.callee(name, pid, datasource, provisioning, timeout)
    answer = _Answer(include, keep=as_json)
    devhost.call_resource(callee, request, answer.take_head, answer.take_body)
    if as_json:
        body = devhost.readable_body(bytes(answer.kept))
        output.print_json({"status": answer.status, "headers": answer.headers, "body": body})
    elif answer.status >= 400 and not include:
        click.echo(f"{callee.target} answered {answer.status}.", err=True)
    ctx.exit(1 if answer.status >= 400 else 0)


class _Answer:
    """Prints an answer as it comes, or keeps it."""

    def __init__(self, include: bool, keep: bool) -> None:
        self._include, self._keep = include, keep
        self.status = 0
        self.headers: dict[str, Sequence[str]] = {}
        self.kept = bytearray()

    def take_head(self, status: int, headers: Mapping[str, Sequence[str]]) -> None:
        self.status = status
        self.headers.update(headers)
        if self._include:
            lines = (f"{key}: {value}" for key, values in headers.items() for value in values)
            click.echo("\n".join((f"{status}", *lines, "")), err=True)

    def take_body(self, piece: bytes) -> None:
        if self._keep:
            self.kept.extend(piece)
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _read_body(data: str | None) -> bytes | None:
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode()
    with click.open_file(data[1:], "rb") as file:
        content: bytes = file.read()
    return content
