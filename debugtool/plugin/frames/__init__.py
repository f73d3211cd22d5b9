"""Data frames: what queries answer with, from Python, numpy, pandas and Arrow data to Arrow files and JSON.

Importing this and building frames from lists imports neither pyarrow, numpy nor pandas; encoding imports pyarrow.
"""

from __future__ import annotations

from debugtool.plugin.frames.arrow import as_frame, decode_frame, encode_frame
from debugtool.plugin.frames.config import (
    DataLink,
    EnumConfig,
    FieldConfig,
    MappingResult,
    RangeMapping,
    SpecialMapping,
    Threshold,
    Thresholds,
    TypeConfig,
    ValueMapping,
)
from debugtool.plugin.frames.errors import FrameError
from debugtool.plugin.frames.framejson import frame_to_json
from debugtool.plugin.frames.meta import FrameMeta, Inspect, Notice, QueryStat
from debugtool.plugin.frames.model import Field, Frame

__all__ = [
    "DataLink",
    "EnumConfig",
    "Field",
    "FieldConfig",
    "Frame",
    "FrameError",
    "FrameMeta",
    "Inspect",
    "MappingResult",
    "Notice",
    "QueryStat",
    "RangeMapping",
    "SpecialMapping",
    "Threshold",
    "Thresholds",
    "TypeConfig",
    "ValueMapping",
    "as_frame",
    "decode_frame",
    "encode_frame",
    "frame_to_json",
]
