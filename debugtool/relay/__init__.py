"""The one DAP endpoint: framing, who may connect, and the sessions of editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugtool.parts import imported_when_asked_for

if TYPE_CHECKING:
    from debugtool.relay.address import check_host, is_loopback, listen_on
    from debugtool.relay.pauses import Pause
    from debugtool.relay.relay import Relay
    from debugtool.relay.sources import FrozenSources

__all__ = ["FrozenSources", "Pause", "Relay", "check_host", "is_loopback", "listen_on"]

_HOMES = {
    "address": ("check_host", "is_loopback", "listen_on"),
    "pauses": ("Pause",),
    "relay": ("Relay",),
    "sources": ("FrozenSources",),
}

__getattr__ = imported_when_asked_for(__name__, _HOMES)
