"""What has to be told over recorded minutes, worked out anew for every minute, without the bot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import PositionSide
from chatbot.venues.replay_file import Row

TENTH = Decimal("1.1")
BEFORE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Due:
    """``words`` are in the first line of the message that is due at the minute ``at``."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Leg:
    side: PositionSide
    quantity: Decimal
    entry: Decimal
    liquidation: Decimal | None

    def distance(self, mark: Decimal) -> Decimal:
        assert self.liquidation is not None
        return (mark - self.liquidation) * self.side.sign / mark

    def gain(self, mark: Decimal) -> Decimal:
        return (mark - self.entry) * self.side.sign / self.entry


def liquidation_due(rows: Sequence[Row], leg: Leg, levels: Sequence[Decimal]) -> Iterator[Due]:
    """``levels`` from harmless to grave. Each is told once until the first is left by a tenth of it."""
    told = -1
    for row in rows:
        distance = leg.distance(row.mark)
        reached = sum(distance <= level for level in levels) - 1
        if told >= 0 and distance > levels[0] * TENTH:
            told = -1
            yield Due(row.at, f"safe again, {_percent(distance)} from liquidation")
        elif reached > told:
            told = reached
            yield Due(row.at, f"{_percent(distance)} from liquidation")


def gone_due(rows: Sequence[Row], leg: Leg) -> Due:
    at = next(row.at for row in rows if leg.distance(row.mark) <= 0)
    return Due(at, f"the {leg.side} leg is gone (liquidated")


def target_due(rows: Sequence[Row], leg: Leg, target: Decimal) -> Iterator[Due]:
    told = False
    for row in rows:
        gain = leg.gain(row.mark)
        if not told and gain >= target:
            told = True
            yield Due(row.at, f"{leg.side} +{_percent(gain)}: lock it?")
        elif told and gain < target * Decimal("0.9"):
            told = False
            yield Due(row.at, "back under the target")


def price_due(rows: Sequence[Row], price: Decimal) -> Iterator[Due]:
    at = next((row.at for row in rows if row.mark <= price), None)
    if at is not None:
        yield Due(at, f"BTC fell to {price:,.1f}")


def funding_due(rows: Sequence[Row], leg: Leg, end: datetime) -> Iterator[Due]:
    """A quarter of an hour before each settlement that costs."""
    marks = {row.at: row.mark for row in rows}
    for row in rows:
        if row.funding_rate is None or row.at - BEFORE >= end:
            continue
        at = row.at - BEFORE
        cost = marks[at] * leg.quantity * row.funding_rate * leg.side.sign
        if cost > Decimal("0.01"):
            yield Due(at, f"funding in 15 min, net ~-{cost:.2f} USDT")


def _percent(share: Decimal) -> str:
    return f"{share * 100:.1f} %"
