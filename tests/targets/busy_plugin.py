"""A plugin whose handlers take no notice of cancellation; WORKERS of them run at a time."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from debugtool import plugin

WORKERS = 2
HEAVY = ("pyarrow", "numpy", "pandas", "asyncio")
log = logging.getLogger("busy")


class Busy:
    """Holds its threads."""

    def query_data(self, ctx, time_range, data_source, queries):
        """Hold the worker as the query says: `sleep_s`, `compute_s`, or `wait` until cancelled, which is logged."""
        wanted = queries[0].json
        log.info("query began", extra={"worker": threading.current_thread().name})
        time.sleep(wanted.get("sleep_s", 0))
        end = time.monotonic() + wanted.get("compute_s", 0)
        while time.monotonic() < end:
            pass
        if wanted.get("wait"):
            began = time.monotonic()
            cancelled = ctx.cancelled.wait(30)
            waited_ms = int((time.monotonic() - began) * 1000)
            log.info(
                "query was cancelled", extra={"cancelled": cancelled, "left_s": ctx.remaining_s, "waited": waited_ms}
            )
        if wanted.get("thread_s"):
            threading.Thread(target=time.sleep, args=(wanted["thread_s"],), name="forgotten").start()
        return {query.ref_id: {"text": ["x" * wanted.get("bytes", 1)]} for query in queries}

    def call_resource(self, ctx, request):
        """Say what this process has loaded and which threads it runs."""
        if request.path == "children":
            return self.children()
        hidden = [t.name for t in threading.enumerate() if getattr(t, "pydev_do_not_trace", False)]
        return {
            "heavy": [name for name in HEAVY if name in sys.modules],
            "hidden": sorted(hidden),
            "threads": sorted(t.name for t in threading.enumerate()),
            "environment": sorted(os.environ),
        }

    def children(self):
        """Say what SIGINT and SIGTERM do in a program we start."""
        code = "import signal; print(signal.getsignal(signal.SIGINT).__name__, signal.getsignal(signal.SIGTERM).name)"
        program = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return {"program": program.stdout.strip()}


if __name__ == "__main__":
    plugin.serve(Busy, plugin.Options(workers=WORKERS))
