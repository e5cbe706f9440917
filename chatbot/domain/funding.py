"""Funding: what legs pay and receive, brought to a day before anything is compared."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from chatbot.domain.instrument import ZERO, Instrument, PositionSide
from chatbot.domain.market import MarketState
from chatbot.domain.pnl import Held
from chatbot.domain.quote import FundingOutlook

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
# Beyond this "never" is the better answer, and dates come to an end.
_FAR_DAYS = 36_500


@lru_cache(maxsize=64)  # exchanges have a handful of intervals
def _ratio(span: timedelta, unit: timedelta) -> Decimal:
    return Decimal(span // _MICROSECOND) / Decimal(unit // _MICROSECOND)


def interval_hours(interval: timedelta) -> Decimal:
    return _ratio(interval, timedelta(hours=1))


def per_day(amount: Decimal, interval: timedelta) -> Decimal:
    """Of an amount or a rate that comes once an interval."""
    return amount * _ratio(_DAY, interval)


def funding_received(
    instrument: Instrument, side: PositionSide, quantity: Decimal, mark_price: Decimal, rate: Decimal
) -> Decimal:
    """At one settlement, in the settlement currency; negative: paid."""
    return -side.sign * instrument.notional(quantity, mark_price) * rate


def outlook(instrument: Instrument, market: MarketState, legs: Iterable[Held]) -> FundingOutlook:
    """Of one or two legs on one market, at the current rate and mark price."""
    received = {PositionSide.LONG: ZERO, PositionSide.SHORT: ZERO}
    for leg in legs:
        received[leg.side] += funding_received(
            instrument, leg.side, leg.quantity, market.mark_price, market.funding_rate
        )
    net = sum(received.values(), ZERO)
    return FundingOutlook(
        rate=market.funding_rate,
        interval_hours=interval_hours(market.funding_interval),
        settles_at=market.next_funding_at,
        long_receives=received[PositionSide.LONG],
        short_receives=received[PositionSide.SHORT],
        net_per_settlement=net,
        net_per_day=per_day(net, market.funding_interval),
        at=market.at,
    )


def cross_venue_per_day(
    instrument: Instrument, quantity: Decimal, *, long_on: MarketState, short_on: MarketState
) -> Decimal:
    """Received a day by a long on one venue and an equal short on another, each at its own pace."""
    legs = ((PositionSide.LONG, long_on), (PositionSide.SHORT, short_on))
    return sum((_leg_per_day(instrument, side, quantity, market) for side, market in legs), ZERO)


def _leg_per_day(
    instrument: Instrument, side: PositionSide, quantity: Decimal, market: MarketState
) -> Decimal:
    received = funding_received(instrument, side, quantity, market.mark_price, market.funding_rate)
    return per_day(received, market.funding_interval)


def eaten_at(net_lock: Decimal, net_per_day: Decimal, at: datetime) -> datetime | None:
    """When funding at this pace has eaten the lock; ``None``: not within a century, or there is none."""
    if net_per_day >= 0 or net_lock <= 0:
        return None
    days = net_lock / -net_per_day
    return None if days > _FAR_DAYS else at + timedelta(microseconds=int(days * (_DAY // _MICROSECOND)))
