"""Ending a plugin's process so that its host starts the next one."""

from debugtool.reload.ending import Ending, end_instance, has_ended
from debugtool.reload.host import HostRef, NotRestarted, restarting_host
from debugtool.reload.instances import Instances
from debugtool.reload.reload import Reload, reload_plugin

__all__ = [
    "Ending",
    "HostRef",
    "Instances",
    "NotRestarted",
    "Reload",
    "end_instance",
    "has_ended",
    "reload_plugin",
    "restarting_host",
]
