"""Calls to a plugin that runs anywhere on this machine, over the socket it listens on, whoever hosts it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from debugtool.devhost import answers, calls
from debugtool.devhost.calls import CallFailed, Health, ResourceRequest
from debugtool.devhost.connection import open_channel
from debugtool.devhost.context import plugin_context
from debugtool.devhost.datasources import DataSource, find_datasource, load_datasources
from debugtool.devhost.queries import Query
from debugtool.errors import DebugtoolError, NotFound, TimedOut, Unsupported
from debugtool.manifest import FILENAME, Manifest, read_manifest
from debugtool.model import Target

if TYPE_CHECKING:
    import grpc.aio

T = TypeVar("T")
_Call = Callable[["grpc.aio.Channel"], Coroutine[Any, Any, T]]


@dataclass(frozen=True)
class Callee:
    """Whom to call.

    Attributes:
        target: The process.
        address: What it listens on.
        manifest: Its plugin.json, or what we know without one.
        datasource: The data source to ask for.
        timeout_s: How long an answer may take.
    """

    target: Target
    address: str
    manifest: Manifest
    datasource: DataSource
    timeout_s: float


def find_callee(target: Target, *, uid: str | None, provisioning: Path | None, timeout_s: float) -> Callee:
    """Say how to call a running plugin.

    Raises:
        Unsupported: It listens on nothing that we see.
        NotFound: There is no data source of that uid.
        DebugtoolError: Its plugin.json or a provisioning file is broken.
    """
    if target.grpc_address is None:
        raise Unsupported(
            f"{target} cannot be called.",
            why="It listens on no unix socket and no TCP port that this user can see.",
            next_step="Wait until it has started, or look again as its user: debugtool ps",
        )
    manifest = _manifest_of(target)
    datasource = find_datasource(load_datasources(manifest, provisioning), uid)
    return Callee(target, target.grpc_address, manifest, datasource, timeout_s)


def _manifest_of(target: Target) -> Manifest:
    if target.plugin_dir is not None:
        return read_manifest(target.plugin_dir / FILENAME)
    program = target.script or target.executable
    if program is None or not program.exists():
        raise NotFound(
            f"{target} has no plugin.json.",
            why="Neither it nor its program can be read.",
            next_step="Run this as its user, or as root.",
        )
    # Any plugin can be called, also one that was started outside a project.
    return Manifest(program, target.plugin_id or target.name, target.name, "datasource", None, True, "")


def check_health(callee: Callee) -> Health:
    """Ask for its health.

    Raises:
        TimedOut: No answer in time.
        Unsupported: It has no such call.
        DebugtoolError: It cannot be reached, or the call failed.
    """

    async def call(channel: grpc.aio.Channel) -> Health:
        return await calls.check_health(channel, _context(callee), {}, callee.timeout_s)

    return _run(callee, call)


def query_data(callee: Callee, query: Query) -> dict[str, Any]:
    """Run a query; gives Grafana's document, `{"results": {refId: {...}}}`.

    Raises:
        TimedOut: No answer in time.
        Unsupported: It answers no queries.
        DebugtoolError: It cannot be reached, or the call failed as a whole.
    """

    async def call(channel: grpc.aio.Channel) -> dict[str, Any]:
        responses = await calls.query_data(channel, _context(callee), [query.message()], {}, callee.timeout_s)
        return answers.results_answer(responses)[1]

    return _run(callee, call)


def call_resource(
    callee: Callee,
    request: ResourceRequest,
    on_head: Callable[[int, Mapping[str, Sequence[str]]], None],
    on_body: Callable[[bytes], None],
) -> None:
    """Call a resource, handing its answer over as it comes.

    Args:
        callee: Whom to call.
        request: What to call.
        on_head: Called once with the HTTP status and the headers.
        on_body: Called with each piece of the body.

    Raises:
        TimedOut: No whole answer in time.
        Unsupported: It has no resources.
        DebugtoolError: It cannot be reached, or the call failed.
    """

    async def call(channel: grpc.aio.Channel) -> None:
        seen = False
        async for piece in calls.call_resource(channel, _context(callee), request, callee.timeout_s):
            if not seen:
                on_head(piece.code or 200, {name: tuple(values.values) for name, values in piece.headers.items()})
            seen = True
            if piece.body:
                on_body(piece.body)
        if not seen:
            raise CallFailed("UNKNOWN", "the answer has no message")

    _run(callee, call)


def _context(callee: Callee) -> Any:
    return plugin_context(callee.manifest, None if callee.manifest.type == "app" else callee.datasource)


def _run(callee: Callee, call: _Call[T]) -> T:
    async def run() -> T:
        async with open_channel(callee.address) as channel:
            return await call(channel)

    try:
        return asyncio.run(run())
    except CallFailed as error:
        raise _explain(callee, error) from error


def _explain(callee: Callee, error: CallFailed) -> DebugtoolError:
    if error.code == "DEADLINE_EXCEEDED":
        return TimedOut(
            f"{callee.target} did not answer within {callee.timeout_s:g} s.",
            why="The call was sent; no answer came back.",
            next_step="If it stands at a breakpoint, let it continue; or give it more time with --timeout.",
        )
    if error.code == "UNIMPLEMENTED":
        return Unsupported(
            f"{callee.target} does not implement this call.",
            why=f"It answered {error.code}: {error.details}",
            next_step="Add the handler to the plugin.",
        )
    if error.code == "UNAVAILABLE":
        return DebugtoolError(
            f"Could not reach {callee.target} on {callee.address}.",
            why=error.details or "The connection was closed.",
            next_step="See whether it still runs: debugtool ps",
        )
    return DebugtoolError(
        f"{callee.target} failed to answer.",
        why=f"{error.code}: {error.details}",
        next_step="See its log for the cause.",
    )


def make_resource_request(method: str | None, path: str, headers: Sequence[str], body: bytes | None) -> ResourceRequest:
    """Make a resource request of what a command line says, with curl's defaults.

    Args:
        method: HTTP method; GET by default, POST with a body.
        path: Path with an optional query string.
        headers: `Name: value` each.
        body: None for none.

    Raises:
        DebugtoolError: A header has no colon.
    """
    grouped: dict[str, list[str]] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise DebugtoolError(
                f"{header!r} is no header.", why="It has no colon.", next_step="Write -H 'Name: value'."
            )
        grouped.setdefault(name.strip(), []).append(value.strip())
    url = path.lstrip("/")
    return ResourceRequest(
        method=(method or ("GET" if body is None else "POST")).upper(),
        path=unquote(url.partition("?")[0]),
        url=url,
        headers=grouped,
        body=body or b"",
    )


def readable_body(body: bytes) -> object:
    """Give a body as JSON if it is, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
