"""What a market and a pair went through: prices thinned for a picture, and the result at each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from chatbot.domain.hedge import Leg
from chatbot.domain.instrument import ZERO, ContractKind, Instrument
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill
from chatbot.domain.pnl import apply_fill, unrealized_pnl

MICROSECOND = timedelta(microseconds=1)

# --- prices -------------------------------------------------------------------------------------


def thinned(points: Sequence[PricePoint], most: int) -> tuple[PricePoint, ...]:
    """At most ``most`` (2 or more): the first, the last, and low and high of equal spans in between."""
    if len(points) <= most:
        return tuple(points)
    first, *middle, last = points
    return (first, *_extremes(middle, (most - 2) // 2), last)


def _extremes(points: Sequence[PricePoint], spans: int) -> Iterator[PricePoint]:
    if not spans:
        return
    begin, length = points[0].at, points[-1].at - points[0].at

    def span_of(point: PricePoint) -> int:
        return min(spans - 1, (point.at - begin) * spans // length) if length else 0

    for _, span in groupby(points, span_of):
        held = list(span)
        low, high = min(held, key=_price), max(held, key=_price)
        yield from sorted({low, high}, key=_instant)


def _price(point: PricePoint) -> Decimal:
    return point.price


def _instant(point: PricePoint) -> datetime:
    return point.at


# --- legs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegPast:
    """``leg`` as it is now and every fill of it that is known, ascending.

    What it held before the first fill was opened elsewhere, and is taken to have been held since
    ``held_since``.
    """

    leg: Leg
    fills: tuple[Fill, ...]
    held_since: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """A leg from an instant on; ``price`` is that of the fill that made it so."""

    at: datetime
    leg: Leg
    price: Decimal | None = None


def moments(past: LegPast, instrument: Instrument) -> tuple[Moment, ...]:
    """Each state of the leg, from flat on. Fills that contradict one another leave only what is held now."""
    leg = _before(past, instrument)
    if leg is None:
        return (Moment(past.held_since, replace(past.leg, realized_pnl=ZERO)),)
    states = [Moment(past.held_since, leg)] if leg.quantity else []
    for fill in past.fills:
        leg = apply_fill(
            leg, instrument, opens=fill.opens, quantity=fill.quantity, price=fill.price, fee=fill.fee
        )
        states.append(Moment(fill.at, leg, fill.price))
    return tuple(states)


def _before(past: LegPast, instrument: Instrument) -> Leg | None:
    """The leg without its fills, worked out backwards; ``None`` where that makes no sense."""
    quantity, entry = past.leg.quantity, past.leg.entry_price
    for fill in reversed(past.fills):
        rest = quantity - fill.signed_change
        if rest < 0:
            return None
        if fill.opens:
            entry = _entry_before(instrument.kind, held=quantity, entry=entry, rest=rest, fill=fill)
        quantity = rest
    if quantity and entry <= 0:
        return None
    return replace(past.leg, quantity=quantity, entry_price=entry if quantity else ZERO, realized_pnl=ZERO)


def _entry_before(kind: ContractKind, *, held: Decimal, entry: Decimal, rest: Decimal, fill: Fill) -> Decimal:
    """Zero where there was no position, hence none."""
    if not rest:
        return ZERO
    if kind is ContractKind.LINEAR:
        return (held * entry - fill.quantity * fill.price) / rest
    cost = held / entry - fill.quantity / fill.price
    return rest / cost if cost > 0 else ZERO


# --- the result ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResultPoint:
    """Realized and unrealized PnL of all legs together, without fees and funding."""

    at: datetime
    amount: Decimal


def result_over_time(
    legs: Sequence[Sequence[Moment]], prices: Sequence[PricePoint], instrument: Instrument
) -> tuple[ResultPoint, ...]:
    """At each price since something was held, and at each change of a leg in between."""
    begin = min((states[0].at for states in legs if states), default=None)
    if begin is None or not prices:
        return ()
    known = [point for point in prices if point.at >= begin]
    changes = (_change(prices, state) for states in legs for state in states)
    # Of one instant the change comes first: what is worth how much now stands at the end.
    asked = sorted([*(point for point in changes if point is not None), *known], key=_instant)
    return tuple(ResultPoint(p.at, _result(legs, p, instrument)) for p in asked)


def _change(prices: Sequence[PricePoint], state: Moment) -> PricePoint | None:
    """At the price of the fill: there the result has a corner and no step."""
    price = price_at(prices, state.at)
    return None if price is None else PricePoint(state.at, state.price or price)


def _result(legs: Iterable[Sequence[Moment]], point: PricePoint, instrument: Instrument) -> Decimal:
    held = (leg for states in legs if (leg := _as_of(states, point.at)) is not None)
    return sum((_pnl(leg, point.price, instrument) for leg in held), ZERO)


def _pnl(leg: Leg, price: Decimal, instrument: Instrument) -> Decimal:
    return leg.realized_pnl + unrealized_pnl(instrument, leg.side, leg.quantity, leg.entry_price, price)


def _as_of(states: Sequence[Moment], at: datetime) -> Leg | None:
    return next((state.leg for state in reversed(states) if state.at <= at), None)


def price_at(prices: Sequence[PricePoint], at: datetime) -> Decimal | None:
    """On the straight line between the points around it; ``None`` outside of them."""
    after = next((number for number, point in enumerate(prices) if point.at >= at), None)
    if after is None or (after == 0 and prices[0].at > at):
        return None
    right = prices[after]
    if right.at == at:
        return right.price
    left = prices[after - 1]
    passed, length = ((end - left.at) // MICROSECOND for end in (at, right.at))
    return left.price + (right.price - left.price) * passed / length


# --- locked -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """``until`` is ``None`` while it lasts."""

    since: datetime
    until: datetime | None = None


def locked_spans(one: Sequence[Moment], other: Sequence[Moment]) -> tuple[Span, ...]:
    """When both legs were held."""
    spans: list[Span] = []
    since: datetime | None = None
    for at in sorted({state.at for state in (*one, *other)}):
        locked = _holds(one, at) and _holds(other, at)
        if locked and since is None:
            since = at
        elif not locked and since is not None:
            spans.append(Span(since, at))
            since = None
    return (*spans, Span(since)) if since is not None else tuple(spans)


def _holds(states: Sequence[Moment], at: datetime) -> bool:
    leg = _as_of(states, at)
    return leg is not None and leg.quantity > 0
