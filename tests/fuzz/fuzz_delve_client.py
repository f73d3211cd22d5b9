"""A hostile client of delve's JSON-RPC: delve gets whole calls only, and never one that ends the plugin."""

from __future__ import annotations

import asyncio
import contextlib
import json

from fuzzing import Violation, connection, run

from debugtool.debuggers import BadFrame
from debugtool.relay.delve_client import RpcClient


def fuzz_one(data: bytes) -> None:
    """Send bytes as a client's calls."""
    run(lambda: _call(data))


async def _call(data: bytes) -> None:
    async with connection() as (near, (client_reader, client)), connection() as (ours, (delve_reader, _)):
        client.write(data)
        client.write_eof()
        first = await near[0].read(1)
        serving = asyncio.create_task(RpcClient(first, *near).serve(*ours))
        with contextlib.suppress(BadFrame):
            await serving
        heard = await delve_reader.read()
        near[1].close()
        await client_reader.read()
    decoder, text = json.JSONDecoder(), heard.decode().lstrip()
    while text:
        call, end = decoder.raw_decode(text)
        if call.get("method") == "RPCServer.Detach":
            raise Violation(f"delve was asked to end the plugin: {heard!r}")
        text = text[end:].lstrip()
