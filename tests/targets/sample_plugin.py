"""A plugin with every method, for the tests and benchmarks; queries say how they want to be answered.

A query's JSON may hold: `rows` (how many, default 3), `fail` (text of an error), `raise` (text of a plain exception),
`sleep_s` (wait, or until cancelled), `busy_s` (compute in pure Python), `print` (text for stdout), `log` (text for the
log).
"""

from __future__ import annotations

import logging
import os
import time
from datetime import timedelta
from pathlib import Path

from debugtool import plugin

log = logging.getLogger("sample")


class Sample:
    """Answers everything."""

    def query_data(self, ctx, time_range, data_source, queries):
        """Answer each query as its JSON says."""
        results = {}
        for query in queries:
            if "raise" in query.json:
                raise RuntimeError(query.json["raise"])
            results[query.ref_id] = self.answer(ctx, query)
        return results

    def answer(self, ctx, query):
        """Answer one query."""
        wanted = query.json
        if "print" in wanted:
            print(wanted["print"])
        if "log" in wanted:
            log.info("%s", wanted["log"], extra={"refId": query.ref_id, **ctx.logger_params})
        if "fail" in wanted:
            return plugin.QueryError(wanted["fail"], status=wanted.get("status", 500), source="downstream")
        if ctx.cancelled.wait(wanted.get("sleep_s", 0)):
            log.info("query cancelled", extra={"refId": query.ref_id})
        self.compute(wanted.get("busy_s", 0))
        rows = int(wanted.get("rows", 3))
        start = query.time_range.start
        return {
            "time": [start + timedelta(seconds=second) for second in range(rows)],
            "value": [float(second) for second in range(rows)],
        }

    def compute(self, busy_s):
        """Keep one core busy."""
        end = time.monotonic() + busy_s
        count = 0
        while time.monotonic() < end:
            count += 1
        return count

    def check_health(self, ctx):
        """Say that all is well, and who we are."""
        return plugin.HealthResult(message="sample is healthy", details={"pid": os.getpid(), "cwd": str(Path.cwd())})

    def collect_metrics(self, ctx):
        """Give one metric."""
        return "# TYPE sample_up gauge\nsample_up 1\n"

    def call_resource(self, ctx, request):
        """Answer `echo`, `stream/<chunks>`, `context`, `empty` and `raise`; 404 for the rest."""
        if request.path == "echo":
            return plugin.ResourceResponse(body=request.body, headers={"Content-Type": "text/plain"})
        if request.path.startswith("stream/"):
            return self.chunks(int(request.path.removeprefix("stream/")))
        if request.path == "context":
            return {"user": ctx.user.login if ctx.user else None, "url": request.url, "org": ctx.org_id}
        if request.path == "raise":
            raise RuntimeError("resource failed")
        if request.path == "empty":
            return None
        return plugin.ResourceResponse(404, {"message": f"no resource {request.path}"})

    def chunks(self, count):
        """Yield a head and then parts of a body."""
        yield plugin.ResourceResponse(201, headers={"Content-Type": "text/plain", "X-Many": ["a", "b"]})
        for number in range(count):
            yield f"part {number}\n"

    def subscribe_stream(self, ctx, request):
        """Admit everybody to `ticks`."""
        if request.path != "ticks":
            return plugin.StreamStatus.NOT_FOUND
        return plugin.StreamResult(data={"schema": {"fields": []}})

    def run_stream(self, ctx, request):
        """Tick until nobody listens."""
        number = 0
        try:
            while not ctx.cancelled.wait(0.01):
                number += 1
                yield {"tick": number - 1}
        finally:  # a generator that stands at its yield when the last subscriber goes is closed there
            log.info("stream ended", extra={"ticks": number})

    def publish_stream(self, ctx, request):
        """Pass on what a client publishes, unless it is a secret."""
        if request.json().get("secret"):
            return plugin.StreamStatus.PERMISSION_DENIED
        return plugin.StreamResult(data=request.data)

    def validate_admission(self, ctx, request):
        """Refuse deletion."""
        return request.operation is not plugin.Operation.DELETE

    def mutate_admission(self, ctx, request):
        """Store the object as it is."""
        return plugin.MutationResult(True, request.object, warnings=["left as it was"])

    def convert_objects(self, ctx, request):
        """Convert nothing."""
        return plugin.ConversionResult(request.objects)

    def close(self):
        """Say good-bye."""
        log.info("sample closed")


if __name__ == "__main__":
    plugin.serve(Sample)
