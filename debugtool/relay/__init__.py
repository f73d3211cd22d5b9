"""The one DAP endpoint: framing, who may connect, and the sessions of editors."""

from debugtool.relay.address import check_host, is_loopback
from debugtool.relay.pauses import Pause
from debugtool.relay.relay import Relay
from debugtool.relay.sources import FrozenSources

__all__ = ["FrozenSources", "Pause", "Relay", "check_host", "is_loopback"]
