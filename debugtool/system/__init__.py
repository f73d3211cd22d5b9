"""Facts of this machine: the only package that asks which platform this is."""

import sys

PLATFORM: str = sys.platform

# After PLATFORM: the modules of this package read it.
from debugtool.system.platform import goos_goarch  # noqa: E402

__all__ = ["PLATFORM", "goos_goarch"]
