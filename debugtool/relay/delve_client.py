"""A client that speaks delve's own JSON-RPC (`dlv connect`, GoLand): passed through, but for what ends the plugin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from debugtool.debuggers import BadFrame
from debugtool.relay.client import FIRST_MESSAGE_S

log = logging.getLogger(__name__)

FIRST_BYTE = b"{"
_READ_BYTES = 64 * 1024
_MAX_CALL_BYTES = 4 * 1024 * 1024
_DETACH = "RPCServer.Detach"  # with Kill, which `dlv connect` proposes, it ends the process


class RpcClient:
    """One JSON-RPC client, from its first byte to its last.

    delve takes its calls as they are. `Detach` is answered here and ends the session: the relay lets the process go,
    and keeps delve for the next client.

    Args:
        first: What has been read of it already.
        reader: The connection to it, with `writer`.
        writer: See `reader`.

    Attributes:
        left: Set once it leaves; `gone` once its target has been let go, too.
    """

    def __init__(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._unread = first
        self._reader = reader
        self._writer = writer
        self.left = asyncio.Event()
        self.gone = asyncio.Event()

    async def read_first(self) -> None:
        """Wait for its first call, so that one who only begins it keeps nobody else from delve.

        Raises:
            BadFrame: It was not JSON-RPC, or did not come in time.
        """
        try:
            call = await asyncio.wait_for(self._next_call(), FIRST_MESSAGE_S)
        except TimeoutError:
            raise BadFrame(f"no whole call of JSON-RPC within {FIRST_MESSAGE_S:g} s") from None
        if call is None:
            raise BadFrame("it left before its first call was whole")
        self._unread = call[1] + self._unread

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass its calls to delve, and delve's answers to it, until one of them hangs up.

        Args:
            reader: The connection to delve, with `writer`.
            writer: See `reader`.

        Raises:
            BadFrame: What came was not JSON-RPC.
        """
        answers = asyncio.create_task(self._pass_answers(reader))
        calls = asyncio.create_task(self._pass_calls(writer))
        try:
            await asyncio.wait((answers, calls), return_when=asyncio.FIRST_COMPLETED)
            if calls.done():
                calls.result()
        finally:
            self.left.set()
            for task in (answers, calls):
                task.cancel()
            await asyncio.gather(answers, calls, return_exceptions=True)
            writer.close()

    async def refuse(self, why: str) -> None:
        """Answer its first call by an error, and hang up."""
        with contextlib.suppress(BadFrame):
            call = await self._next_call()
            if call is not None:
                self._answer(call[0], error=why)
        await self.hang_up(why)

    async def hang_up(self, why: str) -> None:
        """Close the connection, which makes `serve` return."""
        log.debug("JSON-RPC client ends: %s", why)
        self.left.set()
        self._writer.close()

    async def _pass_answers(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                self._writer.write(data)
                await self._writer.drain()

    async def _pass_calls(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while (call := await self._next_call()) is not None:
                if call[0].get("method") == _DETACH:
                    self._answer(call[0])
                    await self._writer.drain()
                    return
                writer.write(call[1] + b"\n")
                await writer.drain()

    def _answer(self, call: dict[str, Any], error: str | None = None) -> None:
        answer: dict[str, object] = {"id": call.get("id"), "result": None if error else {}, "error": error}
        self._writer.write(json.dumps(answer).encode() + b"\n")

    async def _next_call(self) -> tuple[dict[str, Any], bytes] | None:
        """Read the next call, however its JSON is broken into lines; also give its bytes. None at the end.

        Raises:
            BadFrame: It is no JSON object, or too long.
        """
        while True:
            call = _take_object(self._unread)
            if call is not None:
                self._unread = self._unread[len(call) :].lstrip()
                return json.loads(call), call
            if len(self._unread) > _MAX_CALL_BYTES:
                raise BadFrame(f"a JSON-RPC call of more than {_MAX_CALL_BYTES} bytes")
            data = await self._reader.read(_READ_BYTES)
            if not data:
                return None
            self._unread = (self._unread + data).lstrip()


def _take_object(data: bytes) -> bytes | None:
    """Give the JSON object that data begins with; None while it is not whole.

    Raises:
        BadFrame: It begins with something else.
    """
    if data and not data.startswith(FIRST_BYTE):
        raise BadFrame(f"no JSON-RPC: {data[:40]!r}")
    try:
        text = data.decode()
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None  # also in the middle of a character
    return text[:end].encode()
