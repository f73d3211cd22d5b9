"""A plugin that answers each query with 1,000 rows of time and value, as tests/gohost/cmd/sdkplugin does in Go.

With the argument `numpy` the columns are made by numpy, else they are Python lists. `listen DIRECTORY PORT` does what a
plugin does today that wants to be debugged: debugpy.listen(), with the debugpy in DIRECTORY.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from debugtool import plugin

ROWS = 1000


class Lists:
    """Columns from plain Python."""

    def query_data(
        self, ctx: plugin.Context, time_range: plugin.TimeRange, data_source: object, queries: list[plugin.Query]
    ) -> dict[str, Any]:
        """Answer all queries."""
        return {query.ref_id: self.columns(query) for query in queries}

    def columns(self, query: plugin.Query) -> dict[str, Any]:
        """Make one query's columns."""
        start = query.time_range.start
        return {
            "time": [start + timedelta(seconds=second) for second in range(ROWS)],
            "value": [float(second) for second in range(ROWS)],
        }


class Numpy(Lists):
    """Columns from numpy, as plugins have them whose data come in bulk."""

    def columns(self, query: plugin.Query) -> dict[str, Any]:
        """Make one query's columns."""
        import numpy

        start = numpy.datetime64(query.time_range.start.replace(tzinfo=None), "ns")
        return {
            "time": start + numpy.arange(ROWS) * numpy.timedelta64(1, "s"),
            "value": numpy.arange(ROWS, dtype=float),
        }


def listen(directory: str, port: int) -> None:
    """Have debugpy listen in this process; its adapter runs with this interpreter."""
    sys.path.insert(0, directory)
    import debugpy

    debugpy.listen(("127.0.0.1", port))


if __name__ == "__main__":
    if "listen" in sys.argv[1:]:
        listen(sys.argv[2], int(sys.argv[3]))
    plugin.serve(Numpy if "numpy" in sys.argv[1:] else Lists)
