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

    status = 0
    head: dict[str, Sequence[str]] = {}
    body, last = bytearray(), b""
    stdout = sys.stdout.buffer

    def on_head(code: int, answered: Mapping[str, Sequence[str]]) -> None:
        nonlocal status
        status = code
        head.update(answered)
        if include:
            lines = (f"{key}: {value}" for key, values in answered.items() for value in values)
            click.echo("\n".join((f"{code}", *lines, "")), err=True)

    def on_body(piece: bytes) -> None:
        nonlocal last
        if as_json:
            body.extend(piece)
        else:
            last = piece[-1:]
            stdout.write(piece)
            stdout.flush()

    request = devhost.make_resource_request(method, path, headers, _read_body(data))
    callee = _call_options.callee(name, pid, datasource, provisioning, timeout)
    devhost.call_resource(callee, request, on_head, on_body)
    if as_json:
        output.print_json({"status": status, "headers": head, "body": devhost.readable_body(bytes(body))})
    elif status >= 400 and not include:
        click.echo(f"{callee.target} answered {status}.", err=True)
    elif last != b"\n" and stdout.isatty():
        click.echo()
    ctx.exit(1 if status >= 400 else 0)


def _read_body(data: str | None) -> bytes | None:
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode()
    with click.open_file(data[1:], "rb") as file:
        content: bytes = file.read()
    return content
