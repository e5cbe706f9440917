"""Numbers and instants to places: ranges, round steps, labels that make room for one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from chatbot.charts.description import Chart, Point

FLAT = 0.002  # of the price: a market that stands still is shown in a range of this
AIR = 0.06  # of the range, above and below
# How many times as high as the prices alone the picture may become for a level.
ANCHOR_REACH, LEVEL_REACH = 4.0, 2.2
ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
TIME_STEPS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160)
)
DAY = timedelta(days=1)
GAP_FACTOR, SHORTEST_GAP = 4, timedelta(minutes=20)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Scale:
    """``low`` is drawn at ``bottom``, ``high`` at ``top``; both are pixels or units that grow downwards."""

    low: float
    high: float
    top: float
    bottom: float

    def place(self, value: Decimal | float) -> float:
        return self.bottom - (float(value) - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def shows(self, value: Decimal | float) -> bool:
        return self.low <= float(value) <= self.high


@dataclass(frozen=True, slots=True)
class TimeScale:
    begin: datetime
    end: datetime
    left: float
    right: float

    def place(self, at: datetime) -> float:
        """Kept within the picture."""
        share = (at - self.begin) / (self.end - self.begin)
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)


# --- ranges -------------------------------------------------------------------------------------


def price_range(chart: Chart) -> tuple[float, float]:
    """Of the prices, stretched to the levels that are near enough."""
    low, high = _extremes(chart.price)
    least = high * FLAT
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    prices = high - low
    for level in sorted(chart.levels, key=lambda level: not level.anchors):
        value = float(level.value)
        reach = ANCHOR_REACH if level.anchors else LEVEL_REACH
        if max(high, value) - min(low, value) <= reach * prices:
            low, high = min(low, value), max(high, value)
    return _aired(low, high)


def result_range(points: Sequence[Point]) -> tuple[float, float]:
    """Zero is always on."""
    low, high = _extremes(points)
    low, high = min(low, 0.0), max(high, 0.0)
    return _aired(low, high) if high > low else (-1.0, 1.0)


def _extremes(points: Sequence[Point]) -> tuple[float, float]:
    values = [float(point.value) for point in points]
    return min(values), max(values)


def _aired(low: float, high: float) -> tuple[float, float]:
    return low - (high - low) * AIR, high + (high - low) * AIR


# --- ticks --------------------------------------------------------------------------------------


def round_values(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round values in the range with their labels, evenly apart, at most one more than ``most``."""
    raw = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(each * magnitude for each in ROUND_STEPS if each * magnitude >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**decimals, 6) % 1:
        decimals += 1
    return [(number * step, f"{number * step + 0.0:,.{decimals}f}") for number in range(first, last + 1)]


def round_instants(chart: Chart, most: int) -> list[tuple[datetime, str]]:
    """Instants that read well in the zone of the chart, at most ``most``, with their labels."""
    length = chart.end - chart.begin
    step = next((each for each in TIME_STEPS if length / each < most), TIME_STEPS[-1])
    # An hour that a zone leaves out would stand there twice.
    instants = dict.fromkeys(
        at.astimezone(UTC) for at in _local_steps(chart.begin, chart.end, step, chart.zone)
    )
    return [(at, _time_label(at.astimezone(chart.zone), step)) for at in instants]


def _local_steps(begin: datetime, end: datetime, step: timedelta, zone: tzinfo) -> Iterator[datetime]:
    """Counted from midnight of the zone, each day anew: a day of 23 hours does not shift the others."""
    midnight = begin.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    number = 0
    while midnight <= end:
        if step < DAY:
            yield from _within_day(midnight, begin, end, step=step)
        elif begin <= midnight and number % (step // DAY) == 0:
            yield midnight
        number += begin <= midnight
        midnight = (midnight.replace(tzinfo=None) + DAY).replace(tzinfo=zone)


def _within_day(midnight: datetime, begin: datetime, end: datetime, *, step: timedelta) -> Iterator[datetime]:
    for number in range(DAY // step):
        at = (midnight.replace(tzinfo=None) + number * step).replace(tzinfo=midnight.tzinfo)
        if begin <= at <= end:
            yield at


def _time_label(at: datetime, step: timedelta) -> str:
    if step >= DAY or (at.hour == 0 and at.minute == 0):
        return f"{at.day} {_MONTHS[at.month - 1]}"
    return f"{at:%H:%M}"


# --- lines and labels ---------------------------------------------------------------------------


def unbroken(points: Sequence[Point]) -> list[list[Point]]:
    """The line in pieces: where nothing is known for long it is not drawn."""
    pieces: list[list[Point]] = [[points[0]]]
    usual = (points[-1].at - points[0].at) / max(1, len(points) - 1)
    longest = max(SHORTEST_GAP, GAP_FACTOR * usual)
    for point in points[1:]:
        if point.at - pieces[-1][-1].at > longest:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Places at least ``gap`` apart, as near to the wanted ascending ones as can be, within the bounds.

    Where the bounds have no room for all, they are kept and the gap is not.
    """
    gap = min(gap, (high - low) / (len(wanted) - 1)) if len(wanted) > 1 else gap
    groups: list[tuple[float, int]] = []  # sum of what its members want of the first, how many
    for number, place in enumerate(wanted):
        groups.append((place - number * gap, 1))
        while len(groups) > 1 and _mean(groups[-2]) > _mean(groups[-1]):
            (total, count), (more, others) = groups[-2:]
            groups[-2:] = [(total + more, count + others)]
    bases = [_mean(group) for group in groups for _ in range(group[1])]
    top = high - gap * (len(wanted) - 1)
    return [min(max(base, low), top) + number * gap for number, base in enumerate(bases)]


def _mean(group: tuple[float, int]) -> float:
    return group[0] / group[1]
