"""What a moment of market time does to the accounts: triggers, limits, liquidations, funding."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from chatbot.domain.instrument import ZERO, Instrument, Symbol
from chatbot.domain.order import FillCause, OrderStatus
from chatbot.venues.paper.book import Market
from chatbot.venues.paper.catalog import LIQUIDATION_FEE
from chatbot.venues.paper.floor import Floor
from chatbot.venues.paper.ledger import Execution, settle_funding
from chatbot.venues.paper.margin import (
    cross_liquidation,
    maintenance,
    sigma,
    summary,
    worst_cross_leg,
)
from chatbot.venues.paper.matching import crossed, fire, meet_resting
from chatbot.venues.paper.state import AccountState, LegState, WorkingOrder

Marks = Mapping[Symbol, Decimal]
LIQUIDATED = "The account was liquidated."


def next_settlement(after: datetime, instrument: Instrument) -> datetime:
    """Intervals are counted from midnight UTC, as the venues do."""
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = (after - midnight) // instrument.funding_interval
    return midnight + (passed + 1) * instrument.funding_interval


def look_at_accounts(floor: Floor, before: Marks, clock_now: datetime) -> None:
    """After the prices moved from ``before``; in an order that a restart does not change."""
    for account in [floor.busy[account_id] for account_id in sorted(floor.busy)]:
        if floor.real_time and not _priced(floor, account):
            continue
        _meet_orders(floor, account, clock_now)
        _liquidate_isolated(floor, account, before)
        _liquidate_cross(floor, account, before)


def _priced(floor: Floor, account: AccountState) -> bool:
    """A live market may not have told all its prices yet."""
    return all(floor.markets[symbol].priced for symbol in account.symbols())


def _meet_orders(floor: Floor, account: AccountState, clock_now: datetime) -> None:
    for order in tuple(account.orders.values()):
        if order.report.status.final:
            continue
        if not order.report.type.conditional:
            meet_resting(floor, account, order)
        elif crossed(order, floor.mark(order.report.symbol)):
            fire(floor, account, order, clock_now)


# --- funding ------------------------------------------------------------------------------------


def settle_due(floor: Floor, until: datetime, *, inclusive: bool) -> None:
    for market in floor.markets.values():
        while market.next_funding_at < until or (inclusive and market.next_funding_at == until):
            if market.priced:
                _settle(floor, market, market.next_funding_at)
            _schedule_next(market)


def _settle(floor: Floor, market: Market, at: datetime) -> None:
    prices = market.prices
    for account in floor.busy.values():
        for leg in account.legs.values():
            if leg.symbol != market.instrument.symbol:
                continue
            payment = settle_funding(
                account, leg, market.instrument, mark=prices.mark, rate=prices.funding_rate, at=at
            )
            floor.unsaved.funding.append((account.id, payment))
            floor.unsaved.accounts[account.id] = account


def _schedule_next(market: Market) -> None:
    settled_at = market.next_funding_at
    known = market.prices.next_funding_at if market.priced else None
    if known is not None and known > settled_at:
        market.next_funding_at = known
    elif market.priced and market.prices.funding_interval is not None:
        market.next_funding_at = settled_at + market.prices.funding_interval
    else:
        market.next_funding_at = next_settlement(settled_at, market.instrument)


# --- liquidation --------------------------------------------------------------------------------


def _liquidate_isolated(floor: Floor, account: AccountState, before: Marks) -> None:
    for leg in tuple(account.legs.values()):
        price = leg.liquidation_price
        if not leg.isolated or price is None:
            continue
        mark = floor.mark(leg.symbol)
        if (mark - price) * leg.side.sign <= 0:
            passed = _passed(price, before.get(leg.symbol, mark), mark)
            _close_by_force(floor, account, leg, passed, loss_limit=leg.margin)


def _liquidate_cross(floor: Floor, account: AccountState, before: Marks) -> None:
    """The worst leg goes first and the rest is looked at again: one leg of a full hedge may survive."""
    for currency in tuple(account.wallets):
        while summary(account, floor.instruments, floor.mark, currency).liquidated:
            leg = worst_cross_leg(account.legs.values(), floor.instruments, floor.mark, currency)
            if leg is None:
                break
            _cancel_openings(floor, account, currency)
            _liquidate_cross_leg(floor, account, leg, before)


def _liquidate_cross_leg(floor: Floor, account: AccountState, leg: LegState, before: Marks) -> None:
    instrument, mark = floor.instruments[leg.symbol], floor.mark(leg.symbol)
    solved = cross_liquidation(account, floor.instruments, floor.mark, leg.symbol)
    price = solved[0] if solved and solved[1] is leg.side else mark
    price = _passed(price, before.get(leg.symbol, mark), mark)
    others = [
        other
        for other in account.legs.values()
        if other is not leg
        and not other.isolated
        and floor.instruments[other.symbol].settle == instrument.settle
    ]
    figures = summary(account, floor.instruments, floor.mark, instrument.settle)
    _close_by_force(floor, account, leg, price, loss_limit=None if others else figures.cross_wallet)


def _passed(price: Decimal, before: Decimal, now: Decimal) -> Decimal:
    """The liquidation price if the mark went through it just now, else the nearer end of the way it went."""
    return min(max(price, min(before, now)), max(before, now))


def _close_by_force(
    floor: Floor, account: AccountState, leg: LegState, price: Decimal, *, loss_limit: Decimal | None
) -> None:
    """At the price, to the tick in the leg's favor; a loss beyond ``loss_limit`` is the insurance fund's."""
    instrument = floor.instruments[leg.symbol]
    price = _round_in_favor(instrument, leg, price)
    gain = _gain(instrument, leg, price)
    if loss_limit is not None and gain < -loss_limit:
        price = _bankruptcy_price(instrument, leg, loss_limit)
        gain = _gain(instrument, leg, price)
    notional = instrument.notional(leg.quantity, price)
    left = notional * LIQUIDATION_FEE if loss_limit is None else max(ZERO, loss_limit + gain)
    if loss_limit is None:
        left = min(left, maintenance(instrument, notional))
    execution = Execution(
        instrument=instrument,
        side=leg.side.closing,
        position_side=leg.side,
        fee_rate=min(LIQUIDATION_FEE, _floor_rate(left / notional)),
        at=floor.now,
        client_order_id=None,
        cause=FillCause.LIQUIDATION,
    )
    floor.trade(account, execution, [(price, leg.quantity)])


def _gain(instrument: Instrument, leg: LegState, price: Decimal) -> Decimal:
    return sigma(instrument, leg.side) * (instrument.notional(leg.quantity, price) - leg.cost)


def _floor_rate(rate: Decimal) -> Decimal:
    return max(ZERO, rate.quantize(Decimal("1e-8"), rounding="ROUND_DOWN"))


def _round_in_favor(instrument: Instrument, leg: LegState, price: Decimal) -> Decimal:
    ticks = (price / instrument.tick_size).to_integral_value(
        "ROUND_CEILING" if leg.side.sign > 0 else "ROUND_FLOOR"
    )
    return max(Decimal(1), ticks) * instrument.tick_size


def _bankruptcy_price(instrument: Instrument, leg: LegState, loss_limit: Decimal) -> Decimal:
    """Where the gain is exactly ``-loss_limit``; a limit below zero asks for a gain."""
    notional = leg.cost - sigma(instrument, leg.side) * loss_limit
    per_unit = notional / leg.quantity
    linear = instrument.kind == "linear"
    return _round_in_favor(instrument, leg, max(ZERO, per_unit) if linear else 1 / per_unit)


def _cancel_openings(floor: Floor, account: AccountState, currency: str) -> None:
    for order in tuple(account.orders.values()):
        if _reserves(order) and floor.instruments[order.report.symbol].settle == currency:
            floor.end_order(account, order, OrderStatus.CANCELED, LIQUIDATED)


def _reserves(order: WorkingOrder) -> bool:
    report = order.report
    return not report.type.conditional and report.side is report.position_side.opening
