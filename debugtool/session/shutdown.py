"""A host that stops while its plugin stands still: its Shutdown waits in a socket, and the plugin is let go for it."""

from __future__ import annotations

import asyncio

from debugtool import system

_POLL_S = 0.25
_SHUTDOWN = b"/plugin.GRPCController/Shutdown"
# The same as HPACK's Huffman code has it, in which grpc-go writes paths. Source: RFC 7541, 5.2 and appendix B.
_SHUTDOWN_HUFFMAN = bytes.fromhex("62ba2d98d52f8b6ebbd78f526c3d1416c6374f6a643f8abf")


def is_shutdown(data: bytes) -> bool:
    """Tell whether the bytes of an HTTP/2 connection hold a call of go-plugin's Shutdown."""
    return _SHUTDOWN in data or _SHUTDOWN_HUFFMAN in data


async def until_shutdown_waits(pid: int) -> None:
    """Wait until a process that stands still has been told to shut down by its host."""
    while not any(map(is_shutdown, await asyncio.to_thread(system.waiting_bytes, pid))):
        await asyncio.sleep(_POLL_S)
