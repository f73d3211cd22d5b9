"""pluginv2.Resource: HTTP requests to a plugin's own paths, answered at once or in parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc

from debugtool.plugin import convert
from debugtool.plugin.calls import Caller, describe, fail, is_stream, log
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.responses import ResourceResponse, status_of


class ResourceService:
    """Answers CallResource with `call_resource`."""

    def __init__(self, plugin: Any, caller: Caller) -> None:
        self._plugin = plugin
        self._caller = caller

    def call_resource(
        self, request: pb.CallResourceRequest, call: grpc.ServicerContext
    ) -> Iterator[pb.CallResourceResponse]:
        """Answer one HTTP request: status and headers in the first message, parts of the body in all.

        An exception before the first message is an answer with its status (500 for most) and text; after it, the call
        fails.

        Source:
            wire-spec 3.1, CallResource: at least one message is needed.
        """
        headers = {name: values.values[0] for name, values in request.headers.items() if values.values}
        context = self._caller.open(request.pluginContext, headers, call)
        started = False
        try:
            result = self._caller.call(self._plugin.call_resource, context, call, convert.resource_request(request))
            for message in self._messages(result, context, call):
                started = True
                yield message
        except Exception as error:  # a handler may raise anything; the client must hear of it
            if started or context.is_cancelled:
                fail(call, context, "call_resource", error)
            log.error("call_resource failed: %s", describe(error), exc_info=error, extra=dict(context.logger_params))
            yield head(ResourceResponse(status_of(error), {"message": describe(error)}))

    def _messages(self, result: object, context: Any, call: grpc.ServicerContext) -> Iterator[pb.CallResourceResponse]:
        if not is_stream(result):
            yield head(result)
            return
        parts = self._caller.iterate(result, context, call)
        yield head(next(parts, ResourceResponse()))
        for part in parts:
            yield pb.CallResourceResponse(body=body_bytes(part)[0])


def head(result: object) -> pb.CallResourceResponse:
    """Write the message with status and headers; a plain value is its body, None is 204."""
    if result is None:
        response = ResourceResponse(204)
    else:
        response = result if isinstance(result, ResourceResponse) else ResourceResponse(body=result)
    body, content_type = body_bytes(response.body)
    message = pb.CallResourceResponse(code=response.status, body=body)
    for name, values in response.headers.items():
        message.headers[name].values.extend([values] if isinstance(values, str) else values)
    if content_type and not any(name.lower() == "content-type" for name in response.headers):
        message.headers["Content-Type"].values.append(content_type)
    return message


def body_bytes(body: object) -> tuple[bytes, str]:
    """Give a body's bytes and what they are: "" when only the author knows.

    Raises:
        TypeError: It is neither bytes nor text, nor can it be written as JSON.
        ValueError: It contains itself.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), ""
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json"
