"""A plugin that stands still and is to end is let go for that: its host's Shutdown waits in a socket."""

from __future__ import annotations

import asyncio

from debugtool import system
from debugtool.model import Target

_POLL_S = 0.25
_SHUTDOWN = b"/plugin.GRPCController/Shutdown"
# The same as HPACK's Huffman code has it, in which grpc-go writes paths. Source: RFC 7541, 5.2 and appendix B.
_SHUTDOWN_HUFFMAN = bytes.fromhex("62ba2d98d52f8b6ebbd78f526c3d1416c6374f6a643f8abf")


def is_shutdown(data: bytes) -> bool:
    """Tell whether the bytes of an HTTP/2 connection hold a call of go-plugin's Shutdown."""
    return _SHUTDOWN in data or _SHUTDOWN_HUFFMAN in data


async def until_it_is_to_end(target: Target) -> str:
    """Wait until a process that stands still is told to end; give who tells it.

    What another debugtool sends it cannot be seen: that comes on a connection of its own, which nobody accepts now.
    """
    while True:
        if await asyncio.to_thread(system.is_end_announced, target):
            return "debugtool ends it"
        if any(map(is_shutdown, await asyncio.to_thread(system.waiting_bytes, target.pid))):
            return "its host stops"
        await asyncio.sleep(_POLL_S)
