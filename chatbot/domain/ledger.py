"""Booking: what a venue reports becomes quantities, entries, fees and PnL of a hedge's legs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.hedge import ROLES, Hedge, HedgeStatus, Leg, LegRole
from chatbot.domain.instrument import ZERO, ContractKind, Instrument
from chatbot.domain.intent import OrderIntent, event_of
from chatbot.domain.order import Fill, FundingPayment, OrderReport, OrderStatus
from chatbot.domain.pnl import apply_fill, average_entry, fee, unrealized_pnl
from chatbot.errors import InvariantBroken

ADOPTED = "the user adopted what the exchange says"


@dataclass(frozen=True, slots=True)
class Booked:
    """``fill`` is what the report adds to what was booked before, ``None`` when it adds nothing."""

    hedge: Hedge
    intent: OrderIntent
    fill: Fill | None


def book_report(hedge: Hedge, intent: OrderIntent, report: OrderReport, instrument: Instrument) -> Booked:
    """Reports are cumulative: only the difference to what is booked is booked.

    One of an order that still works, and with less of it than is known, is from before: it says nothing.
    """
    if report.filled_quantity < intent.filled_quantity and not report.status.final:
        return Booked(hedge, intent, None)
    if intent.status.final:
        return _nothing_new(hedge, intent, report)
    fill = _difference(hedge, intent, report, instrument)
    after = replace(
        intent.after(event_of(report), reason=report.reason),
        venue_order_id=report.venue_order_id,
        filled_quantity=report.filled_quantity,
        average_price=report.average_price,
        fee=report.fee,
    )
    return Booked(hedge if fill is None else book_fill(hedge, intent.leg, fill, instrument), after, fill)


def _nothing_new(hedge: Hedge, intent: OrderIntent, report: OrderReport) -> Booked:
    if report.filled_quantity != intent.filled_quantity:
        raise InvariantBroken(f"order {intent.client_order_id} was settled and filled afterwards")
    return Booked(hedge, intent, None)


def _difference(
    hedge: Hedge, intent: OrderIntent, report: OrderReport, instrument: Instrument
) -> Fill | None:
    quantity = report.filled_quantity - intent.filled_quantity
    if quantity < 0:
        raise InvariantBroken(f"order {intent.client_order_id} has become less filled")
    if quantity == 0:
        return None
    if report.average_price is None:
        raise InvariantBroken(f"order {intent.client_order_id} was filled at no price")
    price = _price_of_difference(intent, report.filled_quantity, report.average_price, instrument.kind)
    leg = hedge.leg(intent.leg)
    opens = intent.side is intent.position_side.opening
    before = leg.realized_pnl
    paid = report.fee - intent.fee
    booked = apply_fill(leg, instrument, opens=opens, quantity=quantity, price=price, fee=paid)
    return Fill(
        venue_fill_id=f"{intent.client_order_id}:{report.filled_quantity}",
        symbol=intent.symbol,
        side=intent.side,
        position_side=intent.position_side,
        quantity=quantity,
        price=price,
        fee=paid,
        realized_pnl=booked.realized_pnl - before,
        at=report.updated_at,
        client_order_id=intent.client_order_id,
    )


def _price_of_difference(
    intent: OrderIntent, filled: Decimal, average: Decimal, kind: ContractKind
) -> Decimal:
    if intent.average_price is None or intent.filled_quantity == 0:
        return average
    return _price_between(
        intent.filled_quantity, intent.average_price, filled=filled, average=average, kind=kind
    )


def _price_between(
    before: Decimal, price: Decimal, *, filled: Decimal, average: Decimal, kind: ContractKind
) -> Decimal:
    """From two cumulative averages; an inverse average is harmonic."""
    quantity = filled - before
    if kind is ContractKind.LINEAR:
        return (filled * average - before * price) / quantity
    return quantity / (filled / average - before / price)


def book_fill(hedge: Hedge, role: LegRole, fill: Fill, instrument: Instrument) -> Hedge:
    leg = apply_fill(
        hedge.leg(role),
        instrument,
        opens=fill.opens,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
    )
    return hedge.with_leg(leg)


def book_funding(hedge: Hedge, payment: FundingPayment) -> Hedge:
    leg = hedge.leg_on(payment.side)
    booked = hedge.with_leg(replace(leg, funding=leg.funding + payment.amount))
    return replace(booked, funding_seen_at=payment.at)


def closed_if_flat(hedge: Hedge, at: datetime) -> Hedge:
    """A frozen one stays: what the venue holds of it is not known."""
    if hedge.status is not HedgeStatus.OPEN or any(leg.quantity for leg in hedge.legs):
        return hedge
    return replace(hedge, status=HedgeStatus.CLOSED, closed_at=at)


def written_off(hedge: Hedge, reason: str, at: datetime) -> Hedge:
    """Closed by no order of its own: what it held went with its account."""
    for leg in hedge.legs:
        hedge = hedge.with_leg(replace(leg, quantity=ZERO))
    return replace(hedge, status=HedgeStatus.CLOSED, reason=reason, closed_at=at)


def venue_quantity(view: AccountView, hedge: Hedge, role: LegRole) -> Decimal:
    position = view.position(hedge.symbol, hedge.leg(role).side)
    return ZERO if position is None else position.quantity


def differences(hedge: Hedge, view: AccountView) -> dict[LegRole, Decimal]:
    """What the venue holds more (or less, negative) than the ledger says, per leg that differs."""
    found: dict[LegRole, Decimal] = {}
    for role in ROLES:
        if difference := venue_quantity(view, hedge, role) - hedge.leg(role).quantity:
            found[role] = difference
    return found


def missing(hedge: Hedge, view: AccountView) -> tuple[LegRole, ...]:
    """Legs of which the venue holds nothing and the ledger something."""
    return tuple(r for r in ROLES if hedge.leg(r).quantity and not venue_quantity(view, hedge, r))


def stands_as_booked(hedge: Hedge, view: AccountView, instrument: Instrument) -> bool:
    """The venue holds both legs, bought as the ledger has it; prices may be rounded by a tick."""
    return any(leg.quantity for leg in hedge.legs) and all(
        _as_booked(hedge.leg(role), view.position(hedge.symbol, hedge.leg(role).side), instrument)
        for role in LegRole
    )


def _as_booked(leg: Leg, position: Position | None, instrument: Instrument) -> bool:
    if position is None or not leg.quantity:
        return position is None and not leg.quantity
    same_price = abs(position.entry_price - leg.entry_price) <= instrument.tick_size
    return position.quantity == leg.quantity and same_price


def adopted_leg(role: LegRole, position: Position) -> Leg:
    """A position that was opened elsewhere: what it cost before is not known to us."""
    return Leg(
        role=role,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        adopted=True,
    )


def take_over(hedge: Hedge, view: AccountView) -> Hedge:
    """The user chose to believe the venue: legs become what it says, at whatever price they came to be so.

    Open even where nothing is left: its orders may still rest.
    """
    before, since = hedge, hedge.unread_from or hedge.fills_seen_at or hedge.opened_at
    for role in LegRole:
        hedge = _take_over_leg(hedge, role, view)
    if any(hedge.leg(role).unpriced > before.leg(role).unpriced for role in LegRole):
        hedge = replace(hedge, unread_from=since, unread_until=view.at)
    return replace(hedge, status=HedgeStatus.OPEN, reason="", fills_seen_at=view.at)


def _take_over_leg(hedge: Hedge, role: LegRole, view: AccountView) -> Hedge:
    leg = hedge.leg(role)
    position = view.position(hedge.symbol, leg.side)
    held = ZERO if position is None else position.quantity
    if held == leg.quantity:
        return hedge
    taken = replace(_unpriced(leg, leg.quantity - held), quantity=held)
    if position is not None:
        taken = replace(taken, entry_price=position.entry_price, adopted=True)
    return hedge.with_leg(taken)


def _unpriced(leg: Leg, closed: Decimal) -> Leg:
    """``closed`` of it, at whatever price; negative: it has grown."""
    if closed <= 0:
        return leg
    unpriced = leg.unpriced + closed
    entry = (leg.unpriced * leg.unpriced_entry + closed * leg.entry_price) / unpriced
    return replace(leg, unpriced=unpriced, unpriced_entry=entry)


def price_late(hedge: Hedge, role: LegRole, fill: Fill, instrument: Instrument) -> Hedge:
    """A closing fill of what was taken over without one: its quantity is booked already, its result is not.

    Raises ``InvariantBroken`` where it is more than what was taken over.
    """
    leg = hedge.leg(role)
    if fill.opens or fill.quantity > leg.unpriced:
        raise InvariantBroken(f"a fill of {fill.quantity} explains no {leg.unpriced} of the {leg.side} leg")
    realized = unrealized_pnl(instrument, leg.side, fill.quantity, leg.unpriced_entry, fill.price)
    told = replace(
        leg,
        unpriced=leg.unpriced - fill.quantity,
        realized_pnl=leg.realized_pnl + realized,
        fees_paid=leg.fees_paid + fill.fee,
    )
    priced = hedge.with_leg(told)
    return priced if priced.unpriced else replace(priced, unread_from=None, unread_until=None)


def fill_by_position(
    intent: OrderIntent,
    leg: Leg,
    position: Position | None,
    *,
    instrument: Instrument,
    mark_price: Decimal,
    at: datetime,
) -> OrderReport | None:
    """The report an order must have had, told by the position alone; ``None``: it does not say so.

    For orders whose look-up stays empty although the leg moved. An opening fill is priced from the change
    of the entry, a closing one at the mark price; the fee is the taker's.
    """
    held = ZERO if position is None else position.quantity
    opens = intent.side is intent.position_side.opening
    moved = held - leg.quantity if opens else leg.quantity - held
    if not 0 < moved <= intent.left:
        return None
    price = mark_price
    if opens and position is not None:
        price = _price_of_growth(leg, position, instrument.kind)
    cost = fee(instrument, moved, price)
    if intent.average_price is not None:
        price = average_entry(
            instrument, held=intent.filled_quantity, entry=intent.average_price, added=moved, price=price
        )
    return _settled_report(intent, filled=intent.filled_quantity + moved, price=price, fee=cost, at=at)


def _price_of_growth(leg: Leg, position: Position, kind: ContractKind) -> Decimal:
    if leg.quantity == 0:
        return position.entry_price
    return _price_between(
        leg.quantity, leg.entry_price, filled=position.quantity, average=position.entry_price, kind=kind
    )


def _settled_report(
    intent: OrderIntent, *, filled: Decimal, price: Decimal, fee: Decimal, at: datetime
) -> OrderReport:
    return OrderReport(
        client_order_id=intent.client_order_id,
        venue_order_id=intent.venue_order_id,
        symbol=intent.symbol,
        side=intent.side,
        position_side=intent.position_side,
        type=intent.type,
        status=OrderStatus.FILLED if filled == intent.quantity else OrderStatus.CANCELED,
        quantity=intent.quantity,
        filled_quantity=filled,
        average_price=price,
        fee=intent.fee + fee,
        updated_at=at,
        reason="told by the position",
    )


def report_of_fills(
    intent: OrderIntent, fills: tuple[Fill, ...], instrument: Instrument
) -> OrderReport | None:
    """The cumulative report that the account's history implies; ``None``: it has no fill of the order."""
    ours = [f for f in fills if f.client_order_id == intent.client_order_id]
    if not ours:
        return None
    filled = sum((f.quantity for f in ours), ZERO)
    notional = sum((instrument.notional(f.quantity, f.price) for f in ours), ZERO)
    price = notional / filled if instrument.kind is ContractKind.LINEAR else filled / notional
    fee = sum((f.fee for f in ours), ZERO) - intent.fee
    return _settled_report(intent, filled=filled, price=price, fee=fee, at=ours[-1].at)
