"""A plugin that stops at a breakpoint in each query: debugpy listens in this very process and logs its port."""

from __future__ import annotations

import logging

import debugpy

from debugtool import plugin


class Paused:
    """Stops."""

    def __init__(self):
        _, port = debugpy.listen(("127.0.0.1", 0), in_process_debug_adapter=True)
        logging.getLogger("paused").info("debugger listens", extra={"port": port})

    def query_data(self, ctx, time_range, data_source, queries):
        """Stop, and answer when the debugger lets go."""
        debugpy.breakpoint()
        return {query.ref_id: {"value": [1]} for query in queries}


if __name__ == "__main__":
    plugin.serve(Paused)
