"""The one error of data frames."""

from __future__ import annotations


class FrameError(ValueError):
    """A frame that cannot be sent or read.

    The message is one sentence: the field, the row where there is one, the type found, and what to use instead.
    """
