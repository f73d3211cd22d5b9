"""The edit loop: on each save the plugin is checked, restarted, and under the debugger again."""

from debugtool.dev.loop import DevRequest, run_dev
from debugtool.dev.report import reporter

__all__ = ["DevRequest", "reporter", "run_dev"]
