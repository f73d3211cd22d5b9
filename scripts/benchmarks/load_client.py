"""The load on a plugin, from a process of its own, with grpcio: so many queries a second, or as many as it can answer.

Usage: load_client.py ADDRESS RATE ROWS. RATE is in queries a second, whether or not earlier ones were answered; 0 keeps
eight under way. Each query asks for ROWS rows at most. Prints `ready` once the first was answered. Each line on stdin
is a command, each line on stdout the answer, one JSON document:

    address ADDRESS      send to this address from now on
    rate RATE            send so many from now on
    tell                 give what came back since the last time: `answered`, `elapsed_s`, `latencies_ms` and, of each
                         query that failed, [when it was sent, when it failed (seconds of CLOCK_MONOTONIC), its code]
"""

from __future__ import annotations

import json
import sys
import threading
import time

import grpc

from benchmarks.caller import request
from debugtool.plugin.proto import backend_pb2, backend_pb2_grpc

UNDER_WAY = 8
_DEADLINE_S = 60.0


class Load:
    """Sends queries from a thread of its own and notes what becomes of them.

    Args:
        address: What gRPC dials.
        rate: Queries a second; 0 for saturation.
        rows: See above.
    """

    def __init__(self, address: str, rate: float, rows: int) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(UNDER_WAY)
        self._wanted = request(rows)
        self._latencies: list[float] = []
        self._failures: list[tuple[float, float, str]] = []
        self._began = time.monotonic()
        self.dial(address)
        self._stub.QueryData(self._wanted, timeout=_DEADLINE_S, wait_for_ready=True)
        threading.Thread(target=self._send, name="load", daemon=True).start()

    def dial(self, address: str) -> None:
        """Send to this address from now on; what is under way to another one is still answered or fails."""
        self._stub = backend_pb2_grpc.DataStub(grpc.insecure_channel(address))

    def tell(self) -> dict[str, object]:
        """Give what came back since the last time, and forget it."""
        with self._lock:
            latencies, self._latencies = self._latencies, []
            failures, self._failures = self._failures, []
            began, self._began = self._began, time.monotonic()
        told = {"answered": len(latencies), "elapsed_s": time.monotonic() - began, "latencies_ms": latencies}
        return {**told, "failures": failures}

    def _send(self) -> None:
        due = time.monotonic()
        while True:
            if not self.rate:
                self._slots.acquire()
                due = time.monotonic()
                self._query(saturating=True)
                continue
            due = max(
                due + 1 / self.rate, time.monotonic() - 1
            )  # what a stall held up is sent late, but a second at most
            time.sleep(max(0.0, due - time.monotonic()))
            self._query()

    def _query(self, *, saturating: bool = False) -> None:
        sent = time.monotonic()
        call = self._stub.QueryData.future(self._wanted, timeout=_DEADLINE_S)

        def done(answer: grpc.Future[backend_pb2.QueryDataResponse]) -> None:
            ended = time.monotonic()
            failure = answer.exception()
            if isinstance(failure, grpc.RpcError):
                problem = failure.code().name
            else:
                problem = answer.result().responses["A"].error
            with self._lock:
                if problem:
                    self._failures.append((sent, ended, problem))
                else:
                    self._latencies.append((ended - sent) * 1000)
            if saturating:
                self._slots.release()

        call.add_done_callback(done)


def main() -> None:
    """Carry out the commands until stdin ends."""
    load = Load(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    print("ready", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "address":
            load.dial(words[0])
        elif command == "rate":
            load.rate = float(words[0])
        print(json.dumps(load.tell() if command == "tell" else {}), flush=True)


if __name__ == "__main__":
    main()
