"""What a chart shows, in values and ready words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum


class Tone(StrEnum):
    LONG = "long"
    SHORT = "short"
    DANGER = "danger"
    STOP = "stop"
    TARGET = "target"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Point:
    at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """A price that matters. ``anchors``: the picture is stretched far to have it on; else only when near."""

    value: Decimal
    label: str
    tone: Tone
    anchors: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """Something that was done at a price."""

    at: datetime
    value: Decimal
    tone: Tone


@dataclass(frozen=True, slots=True)
class Shade:
    """``until`` is ``None`` while it lasts."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The lower panel. ``label`` is that of its last value."""

    points: tuple[Point, ...]
    title: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``price`` ascends and has at least two points; ``now`` labels its last one.

    ``levels`` come in the order of their weight: where there is no room for all, the last ones are left out.
    """

    title: str
    subtitle: str
    price: tuple[Point, ...]
    now: str
    levels: tuple[Level, ...] = ()
    dots: tuple[Dot, ...] = ()
    shades: tuple[Shade, ...] = ()
    shade_label: str = ""
    result: Result | None = None
    zone: tzinfo = UTC
    zone_name: str = "UTC"

    @property
    def begin(self) -> datetime:
        return self.price[0].at

    @property
    def end(self) -> datetime:
        return self.price[-1].at
