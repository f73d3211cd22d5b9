"""A plugin whose handlers are all `async`."""

from __future__ import annotations

import asyncio
import logging

from debugtool import plugin

log = logging.getLogger("async")


class AsyncSample:
    """Answers as sample_plugin does, on the event loop."""

    async def query_data(self, ctx, time_range, data_source, queries):
        """Answer with the data source's settings, after a while."""
        try:
            for query in queries:
                await asyncio.sleep(query.json.get("sleep_s", 0))
        except asyncio.CancelledError:
            log.info("async query cancelled")
            raise
        name = data_source.name if data_source else ""
        region = data_source.json_data["region"] if data_source else ""
        secret = data_source.secure_json_data["password"] if data_source else ""
        frame = plugin.Frame.from_dict({"name": [name], "region": [region], "secret": [secret]})
        return {query.ref_id: [frame] for query in queries}

    async def query_chunked(self, ctx, time_range, data_source, queries):
        """Yield two chunks for each query."""
        for query in queries:
            for number in range(2):
                await asyncio.sleep(0)
                yield plugin.Chunk(query.ref_id, {"value": [number]}, f"part-{number}")

    async def check_health(self, ctx):
        """Fail."""
        raise ConnectionError("the service behind is away")

    async def call_resource(self, ctx, request):
        """Yield two parts."""
        yield b"first"
        await asyncio.sleep(0)
        yield "second"

    async def run_stream(self, ctx, request):
        """Send two frames."""
        for number in range(2):
            await asyncio.sleep(0)
            yield plugin.Frame.from_dict({"value": [number]})


if __name__ == "__main__":
    plugin.serve(AsyncSample())
