"""The one DAP endpoint: framing, who may connect, and the sessions of editors."""

from debugtool.relay.relay import Relay, check_host, is_loopback

__all__ = ["Relay", "check_host", "is_loopback"]
