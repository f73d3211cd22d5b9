"""A plugin that answers queries with what it was given, as JSON in one cell."""

from __future__ import annotations

import json

from debugtool import plugin


class Mirror:
    """Shows contexts."""

    def query_data(self, ctx, time_range, data_source, queries):
        """Give back the call."""
        return {
            query.ref_id: {"seen": [json.dumps(self.seen(ctx, time_range, data_source, query))]} for query in queries
        }

    def seen(self, ctx, time_range, data_source, query):
        """Collect everything."""
        user, source = ctx.user, data_source
        return {
            "context": {
                "org_id": ctx.org_id,
                "plugin_id": ctx.plugin_id,
                "plugin_version": ctx.plugin_version,
                "user": user and [user.login, user.name, user.email, user.role],
                "app": ctx.app,
                "grafana_config": ctx.grafana_config,
                "user_agent": ctx.user_agent,
                "api_version": ctx.api_version,
                "namespace": ctx.namespace,
                "logger_params": ctx.logger_params,
                "traceparent": ctx.metadata.get("traceparent"),
                "panel": ctx.header("x-panel-id"),
                "from_alert": ctx.header("fromalert"),
            },
            "data_source": source
            and [source.id, source.uid, source.name, source.url, source.json_data, source.secure_json_data["password"]],
            "secret_shown": "secret" in repr(source),
            "remaining_s": ctx.remaining_s,
            "time_range": [time_range.start.isoformat(), time_range.end.isoformat()],
            "query": [
                query.ref_id,
                query.max_data_points,
                query.interval.total_seconds(),
                query.query_type,
                dict(query.json),
            ],
        }


if __name__ == "__main__":
    plugin.serve(Mirror)
