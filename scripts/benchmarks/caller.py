"""The handlers benchmark's client, a process of its own: calls QueryData and tells how long each call took.

Usage: caller.py ADDRESS CALLERS REQUESTS. Prints one JSON document: `elapsed_s`, `latencies_ms`.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time

import grpc

from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

_WARM_UP = 50
_DEADLINE_S = 30.0


def request(rows: int = 1000) -> backend_pb2.QueryDataRequest:
    """Give a request with one query over 1,000 seconds, for at most so many rows."""
    query = backend_pb2.DataQuery(
        refId="A",
        json=b"{}",
        maxDataPoints=rows,
        intervalMS=1000,
        timeRange=backend_pb2.TimeRange(fromEpochMS=1_700_000_000_000, toEpochMS=1_700_001_000_000),
    )
    source = backend_pb2.DataSourceInstanceSettings(uid="bench", name="bench", jsonData=b"{}")
    context = backend_pb2.PluginContext(orgId=1, pluginId="bench", dataSourceInstanceSettings=source)
    return backend_pb2.QueryDataRequest(pluginContext=context, queries=[query])


def call(stub: backend_pb2_grpc.DataStub, count: int, latencies_ms: list[float]) -> None:
    """Call a number of times in a row.

    Raises:
        AssertionError: The answer is no frame.
    """
    wanted = request()
    for _ in range(count):
        began = time.perf_counter()
        answer = stub.QueryData(wanted, timeout=_DEADLINE_S)
        latencies_ms.append((time.perf_counter() - began) * 1000)
        assert not answer.responses["A"].error and len(answer.responses["A"].frames[0]) > 16_000, answer.responses["A"]


def main() -> None:
    """Warm up, call from several threads on one channel as a host does, tell."""
    address, callers, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with grpc.insecure_channel(address) as channel:
        stub = backend_pb2_grpc.DataStub(channel)
        call(stub, _WARM_UP, [])
        latencies: list[list[float]] = [[] for _ in range(callers)]
        threads = [threading.Thread(target=call, args=(stub, requests // callers, each)) for each in latencies]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed_s = time.perf_counter() - began
    print(json.dumps({"elapsed_s": elapsed_s, "latencies_ms": list(itertools.chain(*latencies))}))


if __name__ == "__main__":
    main()
