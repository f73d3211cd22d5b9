"""What a frame says about itself: `FrameMeta`, notices and statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from debugtool.plugin.frames.config import FieldConfig
from debugtool.plugin.frames.wirejson import (
    ANYTHING,
    NUMBER,
    TEXT,
    Kind,
    WireObject,
    choice,
    listing,
    nested,
    whole,
    wire,
    wrong_type,
)

_INT = whole(-(2**63), 2**63 - 1)
_UINT = whole(0, 2**64 - 1)


class Inspect(IntEnum):
    """The tab of the panel inspector that a notice points to."""

    NONE = 0
    META = 1
    ERROR = 2
    DATA = 3
    STATS = 4


@dataclass
class Notice(WireObject):
    """A message for the user, shown on the panel."""

    severity: Literal["info", "warning", "error"] = field(
        default="info", metadata=wire("severity", choice("info", "warning", "error"), always=True)
    )
    text: str = field(default="", metadata=wire("text", TEXT, always=True))
    link: str = field(default="", metadata=wire("link", TEXT))
    inspect: int = field(default=0, metadata=wire("inspect", _INT))


@dataclass
class QueryStat(FieldConfig):
    """One statistic of the query: a `FieldConfig`, whose display name must be set, with a finite `value`."""

    value: float = field(default=0.0, metadata=wire("value", NUMBER, always=True))


def _version(value: Any, where: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise wrong_type(where, value, "two whole numbers")
    return _UINT.read(value[0], where), _UINT.read(value[1], where)


@dataclass
class FrameMeta(WireObject):
    """Facts about a frame that Grafana uses to choose and explain a visualisation.

    Attributes:
        type: What the frame's structure promises: `timeseries-wide`, `-long`, `-multi` (or the old `-many`),
            `numeric-wide`, `-multi`, `-long`, `log-lines`, `table`, `directory-listing`.
        type_version: Version of that promise; (0, 0) is none.
        custom: Anything JSON can hold.
        preferred_visualisation_type: `graph`, `table`, `logs`, `trace`, `nodeGraph` or `flamegraph`.
        executed_query_string: The query as it was sent, for the query inspector.
        data_topic: `annotations` for annotation data.
        unique_row_id_fields: Indexes of the fields that together identify a row.

    Source:
        grafana-plugin-sdk-go data/frame_meta.go, data/frame_type.go.
    """

    type: str = field(default="", metadata=wire("type", TEXT))
    type_version: tuple[int, int] = field(
        default=(0, 0),
        metadata=wire("typeVersion", Kind(lambda value, where: list(_version(value, where)), _version), always=True),
    )
    path: str = field(default="", metadata=wire("path", TEXT))
    path_separator: str = field(default="", metadata=wire("pathSeparator", TEXT))
    custom: Any = field(default=None, metadata=wire("custom", ANYTHING))
    stats: list[QueryStat] = field(default_factory=list, metadata=wire("stats", listing(nested(QueryStat))))
    notices: list[Notice] = field(default_factory=list, metadata=wire("notices", listing(nested(Notice))))
    channel: str = field(default="", metadata=wire("channel", TEXT))
    preferred_visualisation_type: str = field(default="", metadata=wire("preferredVisualisationType", TEXT))
    preferred_visualisation_plugin_id: str = field(default="", metadata=wire("preferredVisualisationPluginId", TEXT))
    executed_query_string: str = field(default="", metadata=wire("executedQueryString", TEXT))
    data_topic: str = field(default="", metadata=wire("dataTopic", TEXT))
    unique_row_id_fields: list[int] = field(default_factory=list, metadata=wire("uniqueRowIdFields", listing(_INT)))
