"""What a backend plugin imports: serve() and the types of its handlers.

A plugin is an object with the methods it has. Each may be a plain or an `async def` method:

    from debugtool import plugin

    class MyDatasource:
        def query_data(self, ctx, time_range, data_source, queries):
            return {query.ref_id: {"time": [time_range.start], "value": [1.0]} for query in queries}

        def check_health(self, ctx):
            return plugin.HealthResult(message="Data source is working")

    if __name__ == "__main__":
        plugin.serve(MyDatasource)

The methods, each given a `Context` first (the other arguments and results stand with their types):

    query_data(ctx, time_range, data_source, queries) -> {ref_id: frames | DataResponse | exception}
    query_chunked(ctx, time_range, data_source, queries) -> iterator of Chunk
    check_health(ctx) -> HealthResult | bool | None
    collect_metrics(ctx) -> Prometheus text
    call_resource(ctx, request) -> ResourceResponse | JSON, or yields them
    subscribe_stream(ctx, request) -> StreamResult | StreamStatus | None
    run_stream(ctx, request) -> iterator of JSON packets; watch ctx.cancelled, and tidy up in a `finally`
    publish_stream(ctx, request) -> StreamResult | StreamStatus | None
    validate_admission(ctx, request) -> ValidationResult | bool
    mutate_admission(ctx, request) -> MutationResult
    convert_objects(ctx, request) -> ConversionResult
    close() is called once when the host ends the plugin

A frame is a `Frame`, a dict of columns, a pandas DataFrame, or an Arrow table. `Frame`, `Field` and all about them live
in `debugtool.plugin.frames`; these two have their names here as well.

Importing this package is cheap and changes nothing: gRPC comes with serve(), pyarrow with the first frame.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from debugtool.plugin.frames import Field, Frame
    from debugtool.plugin.requests import (
        AdmissionRequest,
        AppSettings,
        Context,
        ConversionRequest,
        DataSource,
        Operation,
        Query,
        RawObject,
        ResourceRequest,
        StreamRequest,
        TimeRange,
        User,
    )
    from debugtool.plugin.responses import (
        Chunk,
        ConversionResult,
        DataResponse,
        ErrorSource,
        HealthResult,
        HealthStatus,
        MutationResult,
        QueryError,
        ResourceResponse,
        StatusResult,
        StreamResult,
        StreamStatus,
        ValidationResult,
    )
    from debugtool.plugin.serving import Options, serve
    from debugtool.plugin.stdout import guard_stdout

__all__ = [
    "AdmissionRequest",
    "AppSettings",
    "Chunk",
    "Context",
    "ConversionRequest",
    "ConversionResult",
    "DataResponse",
    "DataSource",
    "ErrorSource",
    "Field",
    "Frame",
    "HealthResult",
    "HealthStatus",
    "MutationResult",
    "Operation",
    "Options",
    "Query",
    "QueryError",
    "RawObject",
    "ResourceRequest",
    "ResourceResponse",
    "StatusResult",
    "StreamRequest",
    "StreamResult",
    "StreamStatus",
    "TimeRange",
    "User",
    "ValidationResult",
    "guard_stdout",
    "serve",
]

# Where each name comes from; a module is imported when one of its names is first asked for. The debug agent and
# `debugtool ps` import modules below this one for a constant or two, and all of these take as long as Click to import.
# (The imports above, which never run, show PyInstaller and type checkers the same.)
_HOMES = {
    "frames": "Field Frame",
    "requests": (
        "AdmissionRequest AppSettings Context ConversionRequest DataSource Operation Query RawObject "
        "ResourceRequest StreamRequest TimeRange User"
    ),
    "responses": (
        "Chunk ConversionResult DataResponse ErrorSource HealthResult HealthStatus MutationResult QueryError "
        "ResourceResponse StatusResult StreamResult StreamStatus ValidationResult"
    ),
    "serving": "Options serve",
    "stdout": "guard_stdout",
}


if not TYPE_CHECKING:  # a type checker shall see the names above, and find misspelt ones

    def __getattr__(name: str) -> Any:
        for module, names in _HOMES.items():
            if name in names.split():
                found = getattr(importlib.import_module(f"debugtool.plugin.{module}"), name)
                globals()[name] = found
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
