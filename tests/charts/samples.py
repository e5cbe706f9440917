"""Charts to try: a hedge on its way, and parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.charts.description import Chart, Dot, Level, Point, Result, Shade, Tone

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)


def line(values: Sequence[float | str], *, step: timedelta = STEP) -> tuple[Point, ...]:
    return tuple(Point(BEGIN + number * step, Decimal(str(value))) for number, value in enumerate(values))


def wave(count: int = 120, *, low: float = 2_000, height: float = 100) -> tuple[Point, ...]:
    """Up and down in a saw of ten points."""
    return line([low + height * abs(number % 20 - 10) / 10 for number in range(count)])


def a_hedge(levels: Sequence[Level] = ()) -> Chart:
    points = wave()
    begin, lock = points[30], points[60]
    before = [Point(p.at, p.value - begin.value) for p in points[30:60]]
    locked = [Point(p.at, lock.value - begin.value) for p in points[60:]]
    entries = (
        Level(begin.value, f"long {begin.value:,}", Tone.LONG, anchors=True),
        Level(lock.value, f"short {lock.value:,}", Tone.SHORT, anchors=True),
    )
    return Chart(
        title="#3 ETH · locked ~+98.10 USDT",
        subtitle="long 1 · short 1 · 2 d 4 h",
        price=points,
        now=f"{points[-1].value:,}",
        levels=(*entries, *levels),
        dots=(Dot(begin.at, begin.value, Tone.LONG), Dot(lock.at, lock.value, Tone.SHORT)),
        shades=(Shade(lock.at),),
        shade_label="locked",
        result=Result((*before, *locked), "Result before fees and funding, in USDT", "+100.00"),
    )
