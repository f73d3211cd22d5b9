"""`debugtool query`: send a query to a running plugin."""

from __future__ import annotations

import json
from pathlib import Path

import click

from debugtool.commands import _call_options, _options


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME] [KEY=VALUE]...")
@click.option("--query", "query_json", metavar="JSON", default="{}", help="The query object; KEY=VALUE adds to it.")
@click.option("--from", "start", default="now-1h", show_default=True, help="Start: now-1h, now/d, epoch ms, ISO 8601.")
@click.option("--to", "end", default="now", show_default=True, help="End.")
@click.option("--ref-id", default="A", show_default=True, help="Name of the query.")
@click.option("--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to print; 0 for all.")
@_call_options.call_options
@_options.json_document
@click.pass_context
def query(
    ctx: click.Context,
    words: tuple[str, ...],
    query_json: str,
    start: str,
    end: str,
    ref_id: str,
    rows: int,
    pid: int | None,
    datasource: str | None,
    provisioning: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Send a query to the running plugin NAME, over its own gRPC socket.

    A VALUE that is JSON is taken as such (12, true, [1]), anything else as text.

    \b
    Example:
        debugtool query my-datasource expr='up{job="a"}' --from now-6h
        debugtool query my-datasource --query '{"queryType": "table"}' --json
    """
    from debugtool import devhost, output

    name, pairs = (words[0], words[1:]) if words and "=" not in words[0] else (None, words)
    raw = {"refId": ref_id, **_object(query_json), **dict(_pair(pair) for pair in pairs)}
    try:
        time_range = devhost.parse_range(start, end)
    except devhost.BadTime as error:
        raise click.BadParameter(str(error), param_hint="--from/--to") from error
    callee = _call_options.callee(name, pid, datasource, provisioning, timeout)
    document = devhost.query_data(callee, devhost.make_query(raw, time_range))
    if as_json:
        output.print_json(document)
    else:
        for line in devhost.result_lines(document, rows):
            click.echo(line)
    failed = {key: result for key, result in document["results"].items() if result.get("error")}
    for key, result in failed.items():
        click.echo(f"Query {key} failed in {callee.target}: {result['status']}, {result['error']}", err=True)
    ctx.exit(1 if failed else 0)


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--query") from error
    if not isinstance(value, dict):
        raise click.BadParameter("not a JSON object", param_hint="--query")
    return value


def _pair(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
