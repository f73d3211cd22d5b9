"""Forwards an HTTP request to a plugin's CallResource and streams its answer back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from debugtool.devhost import answers, calls
from debugtool.devhost.context import end_to_end

if TYPE_CHECKING:
    import grpc.aio

    from debugtool.plugin.proto import backend_pb2

_WITHOUT_BODY = (204, 304)
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"  # what may stand in a URL's path as it is (RFC 3986)


async def forward_resource(
    request: web.Request, channel: grpc.aio.Channel, context: backend_pb2.PluginContext
) -> web.StreamResponse:
    """Call the resource that a request's path ends with.

    Source:
        Grafana's pkg/api/plugin_resource.go: header rules, the default content type, 404 for a plugin without
        resources, 500 for an answer without a message.
    """
    path, query = request.match_info.get("path", ""), request.rel_url.raw_query_string
    call = calls.ResourceRequest(
        method=request.method,
        path=path,
        url=quote(path, safe=_PATH_CHARACTERS) + (f"?{query}" if query else ""),
        headers=end_to_end((name, value) for name, value in request.headers.items() if name.lower() != "host"),
        body=await request.read(),
    )
    response: web.StreamResponse | None = None
    pieces = calls.call_resource(channel, context, call)
    try:
        async for piece in pieces:
            if response is None:
                response = _head(piece)
                await response.prepare(request)
            if piece.body and response.status not in _WITHOUT_BODY:
                await response.write(piece.body)
    except calls.CallFailed as error:
        if response is None:
            return _failure(error)
        # Half an answer was sent: break it off, so that nobody takes it for a whole one.
        if request.transport is not None:
            request.transport.abort()
        return response
    except ConnectionResetError:  # the client went away
        return response or web.Response(status=499)
    finally:
        await pieces.aclose()  # ends the call when it is us who stop
    if response is None:
        return _failure(calls.CallFailed("UNKNOWN", "the plugin's answer has no message"))
    await response.write_eof()
    return response


def _head(first: backend_pb2.CallResourceResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=first.code or 200)
    headers = end_to_end((name, value) for name, values in first.headers.items() for value in values.values)
    for name, values in headers.items():
        for value in values:
            if name.lower() != "content-length":  # the stream says its own length
                response.headers.add(name, value)
    if "Content-Type" not in response.headers and response.status != 204:
        response.headers["Content-Type"] = "application/json"
    response.headers.setdefault("Content-Security-Policy", "sandbox")
    return response


def _failure(error: calls.CallFailed) -> web.Response:
    if error.code == "UNIMPLEMENTED":
        status, message = 404, "Not found"
    elif error.code == "UNAVAILABLE":
        status, message = 503, "Plugin unavailable"
    else:
        status, message = 500, "Failed to call resource"
    detail = f"{error.code}: {error.details}"
    return web.json_response(answers.error_document(status, message, error=detail), status=status)
