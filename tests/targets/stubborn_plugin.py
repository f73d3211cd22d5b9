"""A go-plugin process with only Shutdown, which it obeys or not as its argument says: answers, refuses, blocks."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


def main(mode: str) -> None:
    """Serve for ever."""
    server = grpc.server(ThreadPoolExecutor(4))

    def shutdown(request: bytes, context: grpc.ServicerContext) -> bytes:
        print(f"shutdown asked, mode {mode}", file=sys.stderr, flush=True)
        if mode == "blocks":
            threading.Event().wait()
        return b""

    if mode != "refuses":
        handler = grpc.unary_unary_rpc_method_handler(shutdown)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": handler})]
        )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"1|2|tcp|127.0.0.1:{port}|grpc", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
