"""Keeps web pages of other sites away from the HTTP API, which asks nobody for a password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

_OURS = frozenset(("localhost", "127.0.0.1", "::1"))


def is_local(host: str) -> bool:
    """Whether a Host header, or the host of an Origin, means this machine's loopback."""
    try:
        return urlsplit(f"//{host}").hostname in _OURS
    except ValueError:  # [::1 without its bracket
        return False


@web.middleware
async def refuse_foreign_pages(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 403 to a page of another site, and to a foreign name that was made to point here (DNS rebinding)."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and not is_local(urlsplit(origin).netloc if "//" in origin else "")
    if foreign or not is_local(request.host):
        return web.json_response({"message": "Only pages and programs of this machine may call this host"}, status=403)
    return await handler(request)
