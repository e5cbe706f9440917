"""Profit and loss of legs and pairs, in the settlement currency: quote for linear, base for inverse.

Entries of an inverse leg average harmonically, because its PnL is linear in 1/price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from chatbot.domain.hedge import Hedge, Leg
from chatbot.domain.instrument import ZERO, ContractKind, Instrument, OrderSide, PositionSide
from chatbot.domain.market import OrderBook
from chatbot.errors import InvariantBroken


class Held(Protocol):
    """What a leg of the ledger and a position of the venue have in common."""

    @property
    def side(self) -> PositionSide: ...

    @property
    def quantity(self) -> Decimal: ...

    @property
    def entry_price(self) -> Decimal: ...


# --- one leg ------------------------------------------------------------------------------------


def pnl_of_kind(
    kind: ContractKind, side: PositionSide, quantity: Decimal, entry: Decimal, exit_price: Decimal
) -> Decimal:
    if quantity == 0:
        return ZERO
    if kind is ContractKind.LINEAR:
        return side.sign * quantity * (exit_price - entry)
    return side.sign * (quantity / entry - quantity / exit_price)


def unrealized_pnl(
    instrument: Instrument, side: PositionSide, quantity: Decimal, entry_price: Decimal, price: Decimal
) -> Decimal:
    """Also what closing at ``price`` would realize, without fees."""
    return pnl_of_kind(instrument.kind, side, quantity, entry_price, price)


def fee(instrument: Instrument, quantity: Decimal, price: Decimal, *, rate: Decimal | None = None) -> Decimal:
    """Of one fill, positive: paid; the taker's unless ``rate`` says otherwise."""
    return instrument.notional(quantity, price) * (instrument.taker_fee_rate if rate is None else rate)


def average_entry(
    instrument: Instrument, *, held: Decimal, entry: Decimal, added: Decimal, price: Decimal
) -> Decimal:
    if held == 0:
        return price
    total = held + added
    if instrument.kind is ContractKind.LINEAR:
        return (held * entry + added * price) / total
    return total / (held / entry + added / price)


def apply_fill(
    leg: Leg, instrument: Instrument, *, opens: bool, quantity: Decimal, price: Decimal, fee: Decimal
) -> Leg:
    """Opening averages the entry, closing realizes; both pay. The entry of a closed leg stays known.

    Raises ``InvariantBroken`` for a fill without quantity or price and for closing more than the leg holds.
    """
    if quantity <= 0 or price <= 0:
        raise InvariantBroken(f"a fill of {quantity} at {price} on the {leg.side} leg is impossible")
    paid = replace(leg, fees_paid=leg.fees_paid + fee)
    if opens:
        return _opened(paid, instrument, quantity, price)
    return _closed(paid, instrument, quantity, price)


def _opened(leg: Leg, instrument: Instrument, quantity: Decimal, price: Decimal) -> Leg:
    entry = average_entry(instrument, held=leg.quantity, entry=leg.entry_price, added=quantity, price=price)
    return replace(leg, quantity=leg.quantity + quantity, entry_price=entry)


def _closed(leg: Leg, instrument: Instrument, quantity: Decimal, price: Decimal) -> Leg:
    left = leg.quantity - quantity
    if left < 0:
        raise InvariantBroken(f"a fill closes {quantity} of the {leg.side} leg, which holds {leg.quantity}")
    realized = unrealized_pnl(instrument, leg.side, quantity, leg.entry_price, price)
    return replace(leg, quantity=left, realized_pnl=leg.realized_pnl + realized)


# --- the pair -----------------------------------------------------------------------------------


def gross_lock(
    instrument: Instrument,
    primary_side: PositionSide,
    quantity: Decimal,
    primary_entry: Decimal,
    offset_entry: Decimal,
) -> Decimal:
    """The same at every later price: the primary's PnL at the offset's entry."""
    return pnl_of_kind(instrument.kind, primary_side, quantity, primary_entry, offset_entry)


@dataclass(frozen=True, slots=True)
class ClosingCosts:
    """Of closing both legs into one book, negative; ``spread`` is half-spread and slippage of both."""

    fees: Decimal
    spread: Decimal

    def times(self, factor: Decimal) -> ClosingCosts:
        return ClosingCosts(self.fees * factor, self.spread * factor)


def exit_price(book: OrderBook | None, side: OrderSide, quantity: Decimal, mark_price: Decimal) -> Decimal:
    """Volume-weighted; of what there is where the book is too thin, the mark price where there is no book."""
    if book is None or quantity <= 0 or not book.bids or not book.asks:
        return mark_price
    return book.walk(side, quantity).average_price


def closing_costs(
    instrument: Instrument, quantity: Decimal, mark_price: Decimal, book: OrderBook | None = None
) -> ClosingCosts:
    if quantity <= 0:
        return ClosingCosts(ZERO, ZERO)
    bid = exit_price(book, OrderSide.SELL, quantity, mark_price)
    ask = exit_price(book, OrderSide.BUY, quantity, mark_price)
    fees = fee(instrument, quantity, bid) + fee(instrument, quantity, ask)
    spread = pnl_of_kind(instrument.kind, PositionSide.LONG, quantity, ask, bid)
    return ClosingCosts(fees=-fees, spread=spread)


@dataclass(frozen=True, slots=True)
class Totals:
    """What all legs have brought so far; ``fees_paid`` positive: paid, ``funding`` positive: received."""

    realized: Decimal
    fees_paid: Decimal
    funding: Decimal

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees_paid + self.funding


def totals(hedge: Hedge) -> Totals:
    """Of a closed hedge ``net`` is its result."""
    return Totals(
        realized=sum((leg.realized_pnl for leg in hedge.legs), ZERO),
        fees_paid=sum((leg.fees_paid for leg in hedge.legs), ZERO),
        funding=sum((leg.funding for leg in hedge.legs), ZERO),
    )


@dataclass(frozen=True, slots=True)
class Lock:
    """What a hedge has locked now; the figures add up to ``net``, costs negative.

    ``gross`` and the closing costs are of the ``quantity`` that both legs share; ``floating`` is the PnL of
    what one leg holds beyond it: not locked and no part of ``net``. Fees, funding and realized are all of the
    hedge's.
    """

    quantity: Decimal
    gross: Decimal
    realized: Decimal
    fees_paid: Decimal
    funding: Decimal
    fees_to_close: Decimal
    spread_cost: Decimal
    floating: Decimal

    @property
    def net(self) -> Decimal:
        so_far = self.realized + self.fees_paid + self.funding
        return self.gross + so_far + self.fees_to_close + self.spread_cost


def paired_quantity(hedge: Hedge) -> Decimal:
    return min(hedge.primary.quantity, hedge.offset.quantity) if hedge.offset is not None else ZERO


def hedge_gross_lock(hedge: Hedge, instrument: Instrument) -> Decimal:
    shared = paired_quantity(hedge)
    if shared == 0 or hedge.offset is None:
        return ZERO
    return gross_lock(
        instrument,
        hedge.primary.side,
        quantity=shared,
        primary_entry=hedge.primary.entry_price,
        offset_entry=hedge.offset.entry_price,
    )


def open_pnl(hedge: Hedge, instrument: Instrument, mark_price: Decimal) -> Decimal:
    pnls = (
        unrealized_pnl(instrument, leg.side, leg.quantity, leg.entry_price, mark_price) for leg in hedge.legs
    )
    return sum(pnls, ZERO)


def lock_now(
    hedge: Hedge, instrument: Instrument, mark_price: Decimal, book: OrderBook | None = None
) -> Lock:
    """Without a book the closes are taken to fill at the mark price."""
    shared = paired_quantity(hedge)
    gross = hedge_gross_lock(hedge, instrument)
    costs = closing_costs(instrument, shared, mark_price, book)
    so_far = totals(hedge)
    return Lock(
        quantity=shared,
        gross=gross,
        realized=so_far.realized,
        fees_paid=-so_far.fees_paid,
        funding=so_far.funding,
        fees_to_close=costs.fees,
        spread_cost=costs.spread,
        floating=open_pnl(hedge, instrument, mark_price) - gross,
    )


def net_lock_now(
    hedge: Hedge, instrument: Instrument, mark_price: Decimal, book: OrderBook | None = None
) -> Decimal:
    return lock_now(hedge, instrument, mark_price, book).net
