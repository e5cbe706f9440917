"""Margin and liquidation, linear and inverse alike.

With ``x`` the price (linear) or its inverse (inverse contracts), a leg's notional is ``q x``, its PnL
``d (q x - c)`` (``d`` the side, turned round for inverse; ``c`` the notional at entry) and its maintenance
margin ``q x m - a``. Equity less maintenance is therefore a broken line in ``x`` that bends where a leg
enters another tier; a liquidation price is where it first comes down to zero. Instead of iterating tier by
tier, which may cycle between two tiers, the line is walked piece by piece from the mark price outwards:
exact, and it always finds the nearest price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.instrument import ZERO, ContractKind, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.pnl import Held, pnl_of_kind, unrealized_pnl
from chatbot.domain.quote import LegLiquidation, LiquidationSource

# --- margin -------------------------------------------------------------------------------------


def initial_margin(
    instrument: Instrument, quantity: Decimal, price: Decimal, *, leverage: Decimal
) -> Decimal:
    return instrument.notional(quantity, price) / leverage


def maintenance_margin(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    notional = instrument.notional(quantity, price)
    tier = instrument.tier(notional)
    return notional * tier.maintenance_margin_rate - tier.maintenance_amount


def margin_held(instrument: Instrument, position: Position) -> Decimal:
    """Of an isolated position; its initial margin where the venue does not tell."""
    if position.margin is not None:
        return position.margin
    return initial_margin(instrument, position.quantity, position.entry_price, leverage=position.leverage)


def margin_ratio(*, maintenance: Decimal, equity: Decimal) -> Decimal:
    """1 means liquidation; at least 1 when nothing is left to cover a maintenance margin."""
    if maintenance <= 0:
        return ZERO
    return maintenance / equity if equity > 0 else max(Decimal(1), maintenance)


def position_margin_ratio(instrument: Instrument, position: Position, view: AccountView) -> Decimal | None:
    """Of an isolated position its own, of a cross one the account's (the venue's figure wins)."""
    if position.margin_mode is MarginMode.CROSS:
        return account_margin_ratio(view, instrument.settle)
    mark = view.markets[position.symbol].mark_price
    gain = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)
    return margin_ratio(
        maintenance=maintenance_margin(instrument, position.quantity, mark),
        equity=margin_held(instrument, position) + gain,
    )


def account_margin_ratio(view: AccountView, currency: str | None = None) -> Decimal | None:
    """Of the cross positions that settle in ``currency``; ``None`` where its balance is not known."""
    balance = view.balance_in(currency or view.balance.currency)
    if balance is None:
        return None
    if balance.margin_ratio is not None:
        return balance.margin_ratio
    return margin_ratio(maintenance=balance.maintenance_margin, equity=cross_equity(view, balance))


# --- where equity meets maintenance -------------------------------------------------------------


class _Line(NamedTuple):
    """Equity less maintenance between two bends: ``slope x + constant``."""

    slope: Decimal
    constant: Decimal

    def at(self, x: Decimal) -> Decimal:
        return self.slope * x + self.constant

    @property
    def zero(self) -> Decimal:
        return -self.constant / self.slope


class _Margin:
    """The broken line of legs on one instrument; ``backing`` is what else stands behind them."""

    def __init__(self, instrument: Instrument, legs: Sequence[Held], backing: Decimal) -> None:
        self.instrument = instrument
        self.linear = instrument.kind is ContractKind.LINEAR
        self._quantities = [leg.quantity for leg in legs]
        self._backing = backing
        self._legs = [
            (leg.quantity, direction, direction * instrument.notional(leg.quantity, leg.entry_price))
            for leg in legs
            for direction in (leg.side.sign if self.linear else -leg.side.sign,)
        ]

    def x_of(self, price: Decimal) -> Decimal:
        return price if self.linear else 1 / price

    def line(self, inside: Decimal) -> _Line:
        """The piece that ``inside`` lies in."""
        slope, constant = ZERO, self._backing
        for quantity, direction, cost in self._legs:
            tier = self.instrument.tier(quantity * inside)
            slope += quantity * (direction - tier.maintenance_margin_rate)
            constant += tier.maintenance_amount - cost
        return _Line(slope, constant)

    def bends(self, *, upwards: bool) -> Iterable[Decimal]:
        """In the order in which they are met. Legs of one size, as most pairs are, bend together."""
        caps = [tier.notional_cap for tier in self.instrument.tiers if tier.notional_cap is not None]
        if not upwards:
            caps.reverse()
        first = self._quantities[0]
        if all(quantity == first for quantity in self._quantities):
            return (cap / first for cap in caps)
        found = {cap / quantity for quantity in self._quantities for cap in caps}
        return sorted(found, reverse=not upwards)

    def pieces(self, start: Decimal, *, upwards: bool) -> Iterator[tuple[Decimal, Decimal | None]]:
        """Ends of the pieces from ``start`` outwards, nearer end first; upwards the last one is open."""
        near = start
        for bend in self.bends(upwards=upwards):
            if bend > start if upwards else 0 < bend < start:
                yield near, bend
                near = bend
        yield near, None if upwards else ZERO

    def first_zero(self, start: Decimal, *, upwards: bool, rising: bool = False) -> Decimal | None:
        """Where the line first comes down to zero (``rising``: up to zero) on the way from ``start``."""
        sign = -1 if rising else 1
        for near, far in self.pieces(start, upwards=upwards):
            line = self.line(near * 2 if far is None else (near + far) / 2)
            if sign * line.at(near) <= 0:
                return near  # tiers that jump: zero is met on entering the next one
            reached = sign * line.slope < 0 if far is None else sign * line.at(far) <= 0
            if reached:
                return line.zero
        return None


def liquidation_price(
    instrument: Instrument, legs: Sequence[Held], *, side: PositionSide, backing: Decimal, mark_price: Decimal
) -> Decimal | None:
    """The price on the losing side of ``side`` at which these legs meet their maintenance margin.

    ``backing`` is the margin of an isolated leg, or what the rest of a cross account has above its own
    maintenance. Where equity is under maintenance already: the price at which it would come back, at worst
    the mark price. ``None``: there is none.
    """
    held = [leg for leg in legs if leg.quantity > 0]
    if not held:
        return None
    margin = _Margin(instrument, held, backing)
    start = margin.x_of(mark_price)
    upwards = (side is PositionSide.SHORT) is margin.linear
    if margin.line(start).at(start) > 0:
        x = margin.first_zero(start, upwards=upwards)
    else:
        x = margin.first_zero(start, upwards=not upwards, rising=True) or start
    return None if x is None or x <= 0 else margin.x_of(x)


def isolated_liquidation_price(
    instrument: Instrument, leg: Held, *, margin: Decimal, mark_price: Decimal | None = None
) -> Decimal | None:
    """``margin``: initial margin plus what was added, without unrealized PnL."""
    return liquidation_price(
        instrument, (leg,), side=leg.side, backing=margin, mark_price=mark_price or leg.entry_price
    )


def liquidation_distance(price: Decimal | None, mark_price: Decimal) -> Decimal | None:
    return None if price is None else abs(price - mark_price) / mark_price


def daily_moves(distance: Decimal | None, daily_volatility: Decimal) -> Decimal | None:
    """The distance in daily moves; ``daily_volatility`` is a fraction."""
    return None if distance is None or daily_volatility <= 0 else distance / daily_volatility


# --- legs of an account -------------------------------------------------------------------------


def _settles_in(symbol: Symbol) -> str:
    return symbol.partition(":")[2].partition("-")[0]


def _kind(symbol: Symbol) -> ContractKind:
    base = symbol.partition("/")[0]
    return ContractKind.INVERSE if base == _settles_in(symbol) else ContractKind.LINEAR


def cross_equity(view: AccountView, balance: Balance) -> Decimal:
    """Equity without what isolated positions hold: all that cross positions can lose."""
    isolated = (
        _isolated_equity(view, position)
        for position in view.positions
        if position.margin_mode is MarginMode.ISOLATED and _settles_in(position.symbol) == balance.currency
    )
    return balance.equity - sum(isolated, ZERO)


def _isolated_equity(view: AccountView, position: Position) -> Decimal:
    kind, entry = _kind(position.symbol), position.entry_price
    notional = position.quantity * entry if kind is ContractKind.LINEAR else position.quantity / entry
    margin = notional / position.leverage if position.margin is None else position.margin
    mark = view.markets[position.symbol].mark_price
    return margin + pnl_of_kind(kind, position.side, position.quantity, entry, mark)


def cross_backing(instrument: Instrument, view: AccountView, legs: Sequence[Held]) -> Decimal | None:
    """W: what stands behind these cross legs besides themselves; ``None`` where the balance is not known."""
    balance = view.balance_in(instrument.settle)
    if balance is None:
        return None
    mark = view.markets[instrument.symbol].mark_price
    gains = (unrealized_pnl(instrument, leg.side, leg.quantity, leg.entry_price, mark) for leg in legs)
    own = sum((maintenance_margin(instrument, leg.quantity, mark) for leg in legs), ZERO)
    others = max(ZERO, balance.maintenance_margin - own)
    return cross_equity(view, balance) - sum(gains, ZERO) - others


def leg_liquidation(instrument: Instrument, position: Position, view: AccountView) -> LegLiquidation:
    """The venue's own price wins where it reports one (``None`` and 0 mean that it does not)."""
    mark = view.markets[position.symbol].mark_price
    if position.liquidation_price:
        distance = liquidation_distance(position.liquidation_price, mark)
        return LegLiquidation(position.liquidation_price, distance, LiquidationSource.VENUE)
    price = _computed(instrument, position, view, mark)
    return LegLiquidation(price, liquidation_distance(price, mark), LiquidationSource.COMPUTED)


def _computed(instrument: Instrument, position: Position, view: AccountView, mark: Decimal) -> Decimal | None:
    if position.margin_mode is MarginMode.ISOLATED:
        held = margin_held(instrument, position)
        return isolated_liquidation_price(instrument, position, margin=held, mark_price=mark)
    legs = _cross_legs(position, view)
    backing = cross_backing(instrument, view, legs)
    if backing is None:
        # Unknown money behind it: as if it had its initial margin only, which errs on the near side.
        backing = sum((margin_held(instrument, leg) for leg in legs), ZERO)
    return liquidation_price(instrument, legs, side=position.side, backing=backing, mark_price=mark)


def _cross_legs(position: Position, view: AccountView) -> tuple[Position, ...]:
    opposite = view.position(position.symbol, position.side.opposite)
    if opposite is None or opposite.margin_mode is not MarginMode.CROSS:
        return (position,)
    return (position, opposite)


# --- how a cross account moves with its prices --------------------------------------------------


@dataclass(frozen=True, slots=True)
class CrossLegs:
    """All cross legs on one market, at its mark price. ``x`` is the price, or its inverse (see above)."""

    instrument: Instrument
    legs: tuple[Position, ...]
    mark_price: Decimal

    @property
    def x(self) -> Decimal:
        return self.x_of(self.mark_price)

    def x_of(self, price: Decimal) -> Decimal:
        """Its own inverse: the price of an ``x`` as well."""
        return price if self.instrument.kind is ContractKind.LINEAR else 1 / price

    @property
    def net(self) -> Decimal:
        """What equity gains for each unit that ``x`` grows."""
        held = sum((leg.quantity * leg.side.sign for leg in self.legs), ZERO)
        return held if self.instrument.kind is ContractKind.LINEAR else -held

    @property
    def gross(self) -> Decimal:
        return sum((leg.quantity for leg in self.legs), ZERO)

    def maintenance_rate(self, scale: Decimal) -> Decimal:
        """The highest of any leg, with ``x`` so many times as large."""
        at = self.x * scale
        return max(self.instrument.tier(leg.quantity * at).maintenance_margin_rate for leg in self.legs)

    def room(self, view: AccountView, scale: Decimal) -> Decimal:
        """Equity less maintenance of the whole account, were this one ``x`` so many times as large."""
        backing = cross_backing(self.instrument, view, self.legs)
        if backing is None:
            backing = sum((margin_held(self.instrument, leg) for leg in self.legs), ZERO)
        at = self.x * scale
        return _Margin(self.instrument, self.legs, backing).line(at).at(at)


def cross_legs(instrument: Instrument, view: AccountView) -> CrossLegs:
    legs = (p for p in view.positions if p.symbol == instrument.symbol)
    crossed = tuple(leg for leg in legs if leg.margin_mode is MarginMode.CROSS)
    return CrossLegs(instrument, crossed, view.markets[instrument.symbol].mark_price)


NO_LIQUIDATION = LegLiquidation(None, None)


def nearer(*liquidations: LegLiquidation | None) -> LegLiquidation:
    """The nearest of those there are."""
    known = [
        (found.distance, found) for found in liquidations if found is not None and found.distance is not None
    ]
    return min(known, key=lambda pair: pair[0])[1] if known else NO_LIQUIDATION


def pair_liquidation(instrument: Instrument, view: AccountView) -> LegLiquidation:
    """The nearer one of all legs on the market."""
    legs = (p for p in view.positions if p.symbol == instrument.symbol)
    return nearer(*(leg_liquidation(instrument, leg, view) for leg in legs))
