"""Grafana's HTTP API in front of one plugin, with aiohttp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from debugtool.devhost import answers, calls
from debugtool.devhost.context import call_headers, plugin_context
from debugtool.devhost.datasources import DataSource
from debugtool.devhost.environment import GRAFANA_VERSION
from debugtool.devhost.http_guard import refuse_foreign_pages
from debugtool.devhost.keeper import Keeper, PluginDown
from debugtool.devhost.queries import BadQuery, Batch, parse_queries
from debugtool.devhost.resource_proxy import forward_resource
from debugtool.manifest import Manifest

if TYPE_CHECKING:
    from debugtool.plugin.proto import backend_pb2

_BODY_LIMIT_BYTES = 2**31 - 1

_Answer = Callable[[Mapping[str, "backend_pb2.DataResponse"]], tuple[int, dict[str, Any]]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(manifest: Manifest, datasources: Sequence[DataSource], keeper: Keeper) -> web.Application:
    """Make the web application.

    Args:
        manifest: The plugin.
        datasources: The data sources that exist; all of this plugin's type.
        keeper: Holds the running plugin.

    Source:
        Paths, bodies and codes: Grafana's pkg/api (ds_query.go, datasources.go, plugins.go, plugin_resource.go).
    """
    api = _Api(manifest, datasources, keeper)
    app = web.Application(client_max_size=_BODY_LIMIT_BYTES, middlewares=[refuse_foreign_pages, _errors_as_json])
    app.add_routes(
        [
            web.get("/", api.index),
            web.get("/api/health", api.own_health),
            web.post("/api/ds/query", api.query),
            web.post("/api/tsdb/query", api.tsdb_query),
            web.get("/api/datasources", api.list_datasources),
            web.get("/api/datasources/uid/{uid}", api.show_datasource),
            web.route("*", "/api/datasources/uid/{uid}/health", api.datasource_health),
            web.route("*", "/api/datasources/uid/{uid}/resources", api.datasource_resource),
            web.route("*", "/api/datasources/uid/{uid}/resources/{path:.*}", api.datasource_resource),
            web.get("/api/plugins/{id}/health", api.plugin_health),
            web.get("/api/plugins/{id}/metrics", api.metrics),
            web.get("/metrics/plugins/{id}", api.metrics),
            web.route("*", "/api/plugins/{id}/resources", api.plugin_resource),
            web.route("*", "/api/plugins/{id}/resources/{path:.*}", api.plugin_resource),
        ]
    )
    return app


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except PluginDown:
        return _error(503, "Plugin unavailable", "plugin.unavailable")
    except BadQuery as error:
        return _error(error.status, error.message, error.message_id, error.error)
    except web.HTTPNotFound:
        return _error(404, "Not found")
    except web.HTTPMethodNotAllowed as error:
        return _error(405, f"{request.method} is not allowed here; allowed: {', '.join(sorted(error.allowed_methods))}")


def _error(status: int, message: str, message_id: str = "", error: str = "") -> web.Response:
    return _json(status, answers.error_document(status, message, message_id, error))


def _json(status: int, document: object) -> web.Response:
    return web.json_response(
        document, status=status, dumps=lambda value: json.dumps(value, allow_nan=False, separators=(",", ":"))
    )


class _Api:
    """The handlers."""

    def __init__(self, manifest: Manifest, datasources: Sequence[DataSource], keeper: Keeper) -> None:
        self._manifest = manifest
        self._datasources = datasources
        self._keeper = keeper

    def _datasource(self, request: web.Request) -> DataSource:
        uid = request.match_info["uid"]
        for source in self._datasources:
            if source.uid == uid:
                return source
        known = ", ".join(source.uid for source in self._datasources)
        raise BadQuery(404, "Data source not found", error=f"there is no data source {uid!r}; known: {known}")

    def _plugin_only(self, request: web.Request) -> None:
        if request.match_info["id"] != self._manifest.id:
            raise BadQuery(404, "Plugin not found", error=f"this host runs {self._manifest.id}")

    async def index(self, request: web.Request) -> web.Response:
        """Say what this is and what can be called."""
        base, uid = f"{request.scheme}://{request.host}", self._datasources[0].uid
        paths = {
            "query": f"POST {base}/api/ds/query",
            "health": f"{base}/api/datasources/uid/{uid}/health",
            "resources": f"{base}/api/datasources/uid/{uid}/resources/",
            "metrics": f"{base}/api/plugins/{self._manifest.id}/metrics",
            "datasources": f"{base}/api/datasources",
        }
        return _json(200, {"plugin": self._manifest.id, "pid": self._keeper.pid, "try": paths})

    async def own_health(self, _request: web.Request) -> web.Response:
        """Answer as Grafana does about itself: tools wait for this before they go on."""
        return _json(200, {"database": "ok", "version": GRAFANA_VERSION, "commit": "debugtool"})

    async def list_datasources(self, _request: web.Request) -> web.Response:
        """List the data sources."""
        return _json(200, [_listed(source) for source in self._datasources])

    async def show_datasource(self, request: web.Request) -> web.Response:
        """Show one data source, without its secrets."""
        return _json(200, _listed(self._datasource(request)))

    async def query(self, request: web.Request) -> web.Response:
        """Answer `POST /api/ds/query`."""
        own_ranges = request.headers.get("X-Query-V2", "").lower() == "true"
        batches = parse_queries(await request.read(), self._datasources, own_ranges=own_ranges)
        return await self._run(request, batches, answers.results_answer)

    async def tsdb_query(self, request: web.Request) -> web.Response:
        """Answer `POST /api/tsdb/query`, which Grafana had up to 8: one data source at a time."""
        batches = parse_queries(await request.read(), self._datasources)
        if len(batches) > 1:
            raise BadQuery(400, "All queries must use the same datasource", "query.differentDatasources")
        return await self._run(request, batches, answers.tsdb_answer)

    async def _run(self, request: web.Request, batches: Sequence[Batch], answer: _Answer) -> web.Response:
        headers = call_headers(request.headers)
        channel = await self._keeper.channel()

        async def run(batch: Batch) -> dict[str, backend_pb2.DataResponse]:
            context = plugin_context(self._manifest, batch.datasource)
            return await calls.query_data(channel, context, [query.message() for query in batch.queries], headers)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run(batch)) for batch in batches]
            responses = {ref_id: response for task in tasks for ref_id, response in task.result().items()}
            status, document = answer(responses)
        except* calls.CallFailed as group_error:
            status, document = answers.query_failure(_first(group_error))
        return _json(status, document)

    async def datasource_health(self, request: web.Request) -> web.Response:
        """Answer `/api/datasources/uid/:uid/health`: 400 when it is not OK."""
        return await self._health(request, self._datasource(request), not_ok=400)

    async def plugin_health(self, request: web.Request) -> web.Response:
        """Answer `/api/plugins/:id/health`: 503 when it is not OK."""
        self._plugin_only(request)
        return await self._health(request, None, not_ok=503)

    async def _health(self, request: web.Request, source: DataSource | None, not_ok: int) -> web.Response:
        channel = await self._keeper.channel()
        context = plugin_context(self._manifest, source)
        try:
            health = await calls.check_health(channel, context, call_headers(request.headers))
        except calls.CallFailed as error:
            return _error(500, "Plugin health check failed", "plugin.healthCheck", f"{error.code}: {error.details}")
        status, document = answers.health_answer(health)
        return _json(not_ok if status == 400 else status, document)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer `/api/plugins/:id/metrics` with Prometheus's text format."""
        self._plugin_only(request)
        channel = await self._keeper.channel()
        try:
            text = await calls.collect_metrics(channel, plugin_context(self._manifest, None))
        except calls.CallFailed as error:
            status, document = answers.query_failure(error)
            return _json(status, document)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def datasource_resource(self, request: web.Request) -> web.StreamResponse:
        """Forward to the plugin, for a data source."""
        return await self._resource(request, self._datasource(request))

    async def plugin_resource(self, request: web.Request) -> web.StreamResponse:
        """Forward to the plugin itself, as for apps."""
        self._plugin_only(request)
        return await self._resource(request, None)

    async def _resource(self, request: web.Request, source: DataSource | None) -> web.StreamResponse:
        channel = await self._keeper.channel()
        return await forward_resource(request, channel, plugin_context(self._manifest, source))


def _first(group: BaseExceptionGroup[calls.CallFailed]) -> calls.CallFailed:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _listed(source: DataSource) -> dict[str, object]:
    return {
        "id": source.id,
        "uid": source.uid,
        "orgId": 1,
        "name": source.name,
        "type": source.type,
        "access": "proxy",
        "url": source.url,
        "user": source.user,
        "database": source.database,
        "basicAuth": source.basic_auth,
        "isDefault": source.is_default,
        "jsonData": json.loads(json.dumps(source.json_data, default=str)),
        "secureJsonFields": {key: True for key in source.secure_json_data},
        "readOnly": True,
    }
