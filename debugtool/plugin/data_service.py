"""pluginv2.Data: queries and their answers, at once or in chunks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import grpc

from debugtool.plugin import convert
from debugtool.plugin.calls import Caller, describe, fail, log
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.requests import Context, Query
from debugtool.plugin.responses import Chunk, DataResponse, ErrorSource, FrameLike, QueryError, status_of

Request = pb.QueryDataRequest | pb.QueryChunkedDataRequest
Results = dict[str, DataResponse]


class DataService:
    """Answers QueryData and QueryChunkedData with `query_data` and, when there is one, `query_chunked`."""

    def __init__(self, plugin: Any, caller: Caller) -> None:
        self._plugin = plugin
        self._caller = caller

    def query_data(self, request: pb.QueryDataRequest, call: grpc.ServicerContext) -> pb.QueryDataResponse:
        """Answer all queries of a request."""
        context = self._caller.open(request.pluginContext, request.headers, call)
        response = pb.QueryDataResponse()
        for ref_id, answer in self._results(request, context, call).items():
            fill_response(response.responses[ref_id], ref_id, answer, context)
        return response

    def query_chunked_data(
        self, request: pb.QueryChunkedDataRequest, call: grpc.ServicerContext
    ) -> Iterator[pb.QueryChunkedDataResponse]:
        """Answer them in chunks: those of `query_chunked`, else one for each frame of `query_data`."""
        context = self._caller.open(request.pluginContext, request.headers, call)
        if not hasattr(self._plugin, "query_chunked"):
            for ref_id, answer in self._results(request, context, call).items():
                yield from _chunks_of(ref_id, answer, context)
            return
        queries, results = parse_queries(request.queries)
        for ref_id, answer in results.items():
            yield from _chunks_of(ref_id, answer, context)
        if not queries:
            return
        try:
            arguments = (queries[0].time_range, context.data_source, queries)
            produced = self._caller.call(self._plugin.query_chunked, context, call, *arguments)
            for chunk in self._caller.iterate(produced, context, call):
                yield _chunk(chunk, context)
        except Exception as error:  # a handler may raise anything; each of its queries must hear of it
            if context.is_cancelled:
                fail(call, context, "query_chunked", error)
            _log_failure("query_chunked", error, context)
            for query in queries:
                yield from _chunks_of(query.ref_id, as_response(error), context)

    def _results(self, request: Request, context: Context, call: grpc.ServicerContext) -> Results:
        queries, results = parse_queries(request.queries)
        if not queries:
            return results
        if not hasattr(self._plugin, "query_data"):
            call.abort(grpc.StatusCode.UNIMPLEMENTED, "the plugin answers queries in chunks only")
        try:
            arguments = (queries[0].time_range, context.data_source, queries)
            returned = self._caller.call(self._plugin.query_data, context, call, *arguments)
            if not isinstance(returned, Mapping):
                raise TypeError(f"query_data must return a mapping of refId to frames, not {type(returned).__name__}")
        except Exception as error:  # a handler may raise anything; each of its queries must hear of it
            if context.is_cancelled:
                fail(call, context, "query_data", error)
            _log_failure("query_data", error, context)
            return results | {query.ref_id: as_response(error) for query in queries}
        for ref_id, value in returned.items():
            if isinstance(value, BaseException):
                _log_failure(f"query {ref_id}", value, context)
            results[str(ref_id)] = as_response(value)
        return results


def parse_queries(messages: Iterable[pb.DataQuery]) -> tuple[list[Query], Results]:
    """Read the queries; those that cannot be read are answered with status 400."""
    queries: list[Query] = []
    refused: Results = {}
    for message in messages:
        try:
            queries.append(convert.query(message))
        except (ValueError, OverflowError) as error:
            text = f"the query cannot be read: {describe(error)}"
            refused[message.refId] = DataResponse(error=text, status=400)
    return queries, refused


def as_response(value: object) -> DataResponse:
    """Take a handler's result for one query: a response, an exception, one frame, several, or none."""
    match value:
        case DataResponse():
            return value
        case BaseException():
            source = value.source if isinstance(value, QueryError) else ErrorSource.PLUGIN
            return DataResponse(error=describe(value), status=status_of(value), error_source=source)
        case None:
            return DataResponse()
        case list() | tuple():
            return DataResponse(frames=value)
        case Iterator():
            return DataResponse(frames=list(value))
        case _:
            return DataResponse(frames=[value])


def _log_failure(name: str, error: BaseException, context: Context) -> None:
    """Log what nobody foresaw as one error line; a QueryError is an answer, told to the user."""
    extra = dict(context.logger_params)
    if isinstance(error, QueryError):
        log.debug("%s: %s", name, describe(error), extra=extra)
    else:
        log.error("%s failed: %s", name, describe(error), exc_info=error, extra=extra)


def fill_response(message: pb.DataResponse, ref_id: str, answer: DataResponse, context: Context) -> None:
    """Write one query's answer; frames that cannot be encoded become its error."""
    try:
        message.frames.extend(encode(frame, ref_id) for frame in answer.frames)
    except Exception as error:  # whatever a frame's library raises: the other queries have good answers
        del message.frames[:]
        _log_failure(f"query {ref_id}", error, context)
        answer = DataResponse(error=f"the answer is no frame: {describe(error)}", status=500)
    if answer.meta is not None:
        message.jsonMeta = json.dumps(answer.meta).encode()
    # Always sent: a host reads 0 as 500 (wire-spec 3.1).
    message.status = answer.status if answer.status is not None else (500 if answer.error else 200)
    if answer.error:
        message.error = answer.error
        message.errorSource = str(answer.error_source)


def encode(frame: FrameLike, ref_id: str) -> bytes:
    """Write a frame as an Arrow file, under the query's refId unless it has one.

    The Arrow library is loaded by the first frame, not before.

    Raises:
        FrameError: It is no frame, or holds what a frame cannot.
    """
    from debugtool.plugin.frames.arrow import as_frame, encode_frame

    whole = as_frame(frame)
    return encode_frame(whole if whole.ref_id else dataclasses.replace(whole, ref_id=ref_id))


def _chunks_of(ref_id: str, answer: DataResponse, context: Context) -> Sequence[pb.QueryChunkedDataResponse]:
    whole = pb.DataResponse()
    fill_response(whole, ref_id, answer, context)
    chunks = [
        pb.QueryChunkedDataResponse(refId=ref_id, frameId=str(number), frame=frame, status=whole.status)
        for number, frame in enumerate(whole.frames)
    ]
    if whole.error:
        chunks.append(_error_chunk(ref_id, whole))
    return chunks


def _error_chunk(ref_id: str, answer: pb.DataResponse) -> pb.QueryChunkedDataResponse:
    return pb.QueryChunkedDataResponse(
        refId=ref_id,
        frameId="error",
        frame=encode({}, ref_id),  # one Grafana decodes the frame before it looks at the error (wire-spec 3.1)
        error=answer.error,
        status=answer.status,
        errorSource=answer.errorSource,
    )


def _chunk(chunk: object, context: Context) -> pb.QueryChunkedDataResponse:
    if not isinstance(chunk, Chunk):
        raise TypeError(f"query_chunked must yield Chunk, not {type(chunk).__name__}")
    if not chunk.ref_id or not chunk.frame_id:
        raise ValueError("a Chunk needs a ref_id and a frame_id")
    whole = pb.DataResponse()
    if chunk.error is not None:
        _log_failure(f"query {chunk.ref_id}", chunk.error, context)
        fill_response(whole, chunk.ref_id, as_response(chunk.error), context)
    else:
        fill_response(whole, chunk.ref_id, DataResponse(frames=[chunk.frame]), context)
    if whole.error:
        return _error_chunk(chunk.ref_id, whole)
    return pb.QueryChunkedDataResponse(
        refId=chunk.ref_id, frameId=chunk.frame_id, frame=whole.frames[0], status=whole.status
    )
