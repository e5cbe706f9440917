"""A recorded market that a test makes up: flat stretches and slopes, one row a minute, funding in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

BEGIN = datetime(2025, 10, 8, tzinfo=UTC)
HEADER = "ts,mark,mid,index,funding_rate"
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The price goes straight to ``price`` within so many minutes."""

    minutes: int
    price: Decimal


def write_market(
    path: Path, start: Decimal, stretches: Sequence[Stretch], *, settle_every: int, rate: str
) -> Path:
    """``settle_every`` in minutes; each settlement is at ``rate``."""
    rows = [HEADER]
    for minute, price in enumerate(_prices(start, stretches)):
        millis = int((BEGIN + timedelta(minutes=minute)).timestamp()) * 1000
        settled = rate if minute and minute % settle_every == 0 else ""
        rows.append(f"{millis},{price},{price},{price},{settled}")
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


def _prices(start: Decimal, stretches: Sequence[Stretch]) -> Iterator[Decimal]:
    yield start
    before = start
    for stretch in stretches:
        for minute in range(1, stretch.minutes + 1):
            yield (before + (stretch.price - before) * minute / stretch.minutes).quantize(CENT)
        before = stretch.price


def still_market(path: Path, price: str = "100000") -> Path:
    """Nothing moves and, after its one minute, no time passes either."""
    return write_market(path, Decimal(price), [Stretch(1, Decimal(price))], settle_every=60, rate="0.0001")
