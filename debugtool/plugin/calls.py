"""Runs handler methods, plain and `async`, with a context that learns of cancellation."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, NoReturn

import grpc

from debugtool.plugin import convert
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.requests import Context

log = logging.getLogger("plugin")


class AsyncLoop:
    """One event loop on a thread of its own for all `async def` handlers, started when the first one is called.

    It is a thread a debugger may stop, unlike those that answer the host.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, Any], context: Context, call: grpc.ServicerContext) -> Any:
        """Run a coroutine to its end, from any thread; the end of the call cancels it.

        Raises:
            concurrent.futures.CancelledError: The call ended first.
            Exception: Whatever the coroutine raises.
        """
        future = self.start(coroutine)
        if context.is_cancelled or not call.add_callback(lambda: _cancel(future)):
            future.cancel()
        return future.result()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start a coroutine, from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="plugin-async", daemon=True).start()
            return self._loop


class Caller:
    """Calls handlers for the services."""

    def __init__(self) -> None:
        self._async = AsyncLoop()

    def open(self, plugin_context: pb.PluginContext, headers: Mapping[str, str], call: grpc.ServicerContext) -> Context:
        """Make a call's context; its `cancelled` is set when the call ends."""
        context = convert.context_of(plugin_context, headers, call.invocation_metadata(), call.time_remaining())
        if not call.add_callback(context.cancelled.set):
            context.cancelled.set()
        return context

    def call(self, method: Callable[..., Any], context: Context, call: grpc.ServicerContext, *arguments: object) -> Any:
        """Call a handler and give its result, awaited when it is a coroutine.

        Raises:
            concurrent.futures.CancelledError: The call ended before an `async` handler did.
            Exception: Whatever the handler raises.
        """
        result = method(context, *arguments)
        return self._async.run(result, context, call) if inspect.iscoroutine(result) else result

    def iterate(self, result: object, context: Context, call: grpc.ServicerContext) -> Iterator[Any]:
        """Iterate over what a generator or an async generator yields, and close it when the call has ended.

        Raises:
            TypeError: `result` is neither.
            Exception: Whatever the generator raises.
        """
        if isinstance(result, AsyncIterator):
            return self._iterate_async(result, context, call)
        if isinstance(result, Iterator):
            return result
        raise TypeError(f"the handler must yield, or return an iterator; it returned {type(result).__name__}")

    def _iterate_async(self, result: AsyncIterator[Any], context: Context, call: grpc.ServicerContext) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._async.run(_next(result), context, call)
                except StopAsyncIteration:
                    return
        finally:
            if inspect.isasyncgen(result):
                self._async.start(result.aclose())


def _cancel(future: Future[Any]) -> None:
    future.cancel()


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)


def is_stream(result: object) -> bool:
    """Whether a handler's result is to be iterated: lists and strings are values, generators are not."""
    return isinstance(result, Iterator | AsyncIterator)


def fail(call: grpc.ServicerContext, context: Context, name: str, error: BaseException) -> NoReturn:
    """End a call with an exception's text and log its traceback as one error line; a cancelled call ends quietly."""
    if context.is_cancelled or isinstance(error, CancelledError):
        call.abort(grpc.StatusCode.CANCELLED, f"{name} was cancelled")
    log.error("%s failed: %s", name, describe(error), exc_info=error, extra=dict(context.logger_params))
    call.abort(grpc.StatusCode.UNKNOWN, describe(error))


def describe(error: BaseException) -> str:
    """Say what an exception says: its text, else its type; a KeyError's text is a bare key."""
    return f"KeyError: {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
