"""Orders, fills and funding: the venues' answers as domain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from chatbot.domain.instrument import ZERO, Instrument, OrderSide, PositionSide
from chatbot.domain.intent import Purpose, purpose_of
from chatbot.domain.order import (
    FundingPayment,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
)
from chatbot.venues.ccxt.quirks import Fields
from chatbot.venues.ccxt.reading import Answer

SIDES = {
    "BUY": OrderSide.BUY, "SELL": OrderSide.SELL, "Buy": OrderSide.BUY, "Sell": OrderSide.SELL,
    "buy": OrderSide.BUY, "sell": OrderSide.SELL,
}  # fmt: skip


def client_id(told: Answer, fields: Fields, *, prefix: str = "") -> str:
    """Empty when the order was not placed by an id of the client."""
    return told.optional_text(*fields.client_id).removeprefix(prefix)


def report(told: Answer, fields: Fields, instrument: Instrument, *, prefix: str = "") -> OrderReport:
    """Raises ``Garbled``. ``fee`` is nothing where the venue tells it with the fills only."""
    size = instrument.contract_size
    side = told.one_of(SIDES, fields.side)
    status = told.one_of(fields.statuses, *fields.status)
    filled = told.not_negative(*fields.filled) * size if fields.filled else ZERO
    trigger = told.positive_or_none(*fields.trigger, *fields.profit)
    reduces = _reduces(told, fields)
    return OrderReport(
        client_order_id=client_id(told, fields, prefix=prefix),
        venue_order_id=told.text(*fields.id),
        symbol=instrument.symbol,
        side=side,
        position_side=_leg(told, fields, side, reduces=reduces),
        type=_type(told, fields, trigger),
        status=status,
        quantity=told.not_negative(*fields.quantity) * size,
        filled_quantity=filled,
        average_price=told.positive(*fields.average) if filled else None,
        fee=_fee(told, fields, filled),
        updated_at=told.instant(*fields.updated_at),
        reduce_only=reduces,
        limit_price=told.positive_or_none(*fields.price) if trigger is None else None,
        trigger_price=trigger,
        reason=_reason(told, fields, status),
    )


def one_way_leg(side: OrderSide, profit: Decimal, client_order_id: str) -> PositionSide:
    """Of a trade that names no leg: what realizes a profit closes; orders of ours say it."""
    opened = PositionSide.LONG if side is OrderSide.BUY else PositionSide.SHORT
    purpose = purpose_of(client_order_id)
    closes = profit != 0 if purpose is None else purpose is not Purpose.OPEN
    return opened.opposite if closes else opened


def as_asked(found: OrderReport, request: OrderRequest) -> OrderReport:
    """The id and the leg are known better by us, who named them."""
    leg = request.position_side
    return replace(found, client_order_id=request.client_order_id, side=request.side, position_side=leg)


def waiting(request: OrderRequest, venue_order_id: str, at: datetime) -> OrderReport:
    """Accepted; what it did so far is not known yet."""
    return OrderReport(
        client_order_id=request.client_order_id,
        venue_order_id=venue_order_id,
        symbol=request.symbol,
        side=request.side,
        position_side=request.position_side,
        type=request.type,
        status=OrderStatus.OPEN,
        quantity=request.quantity,
        filled_quantity=ZERO,
        average_price=None,
        fee=ZERO,
        updated_at=at,
        reduce_only=request.reduce_only,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
    )


def _reduces(told: Answer, fields: Fields) -> bool:
    return told.get(fields.reduce_only) in (True, "true", "True", "yes", "YES", "1")


def _leg(told: Answer, fields: Fields, side: OrderSide, *, reduces: bool) -> PositionSide:
    """One-way orders name no leg: it is the one that they open, or reduce."""
    named = fields.legs.get(told.optional_text(fields.leg)) if fields.leg else None
    if named is not None:
        return named
    opened = PositionSide.LONG if side is OrderSide.BUY else PositionSide.SHORT
    return opened.opposite if reduces else opened


def _type(told: Answer, fields: Fields, trigger: Decimal | None) -> OrderType:
    named = fields.types.get(told.optional_text(*fields.type)) if fields.type else None
    if fields.types and trigger is None:
        return named or OrderType.TRIGGER  # a kind of order that only other hands place, a trailing stop say
    if named is not None and named.conditional:
        return named
    if trigger is not None:
        taking = bool(fields.profit) and told.positive_or_none(*fields.profit) is not None
        return OrderType.TAKE_PROFIT if taking or _upwards(told) else OrderType.STOP_LOSS
    return OrderType.LIMIT if told.positive_or_none(*fields.price) is not None else OrderType.MARKET


def _upwards(told: Answer) -> bool:
    """Bybit says which way the price has to go; a sale above and a purchase below take profit."""
    way, sells = told.optional_text("triggerDirection"), told.optional_text("side") == "Sell"
    return (way == "1" and sells) or (way == "2" and not sells)


def _fee(told: Answer, fields: Fields, filled: Decimal) -> Decimal:
    told_later = fields.fee_with_fills and told.get(fields.fee) is None
    if not fields.fee or not filled or told_later:
        return ZERO
    return told.decimal(fields.fee) * fields.fee_sign


def _reason(told: Answer, fields: Fields, status: OrderStatus) -> str:
    said = told.optional_text(*fields.reason) if fields.reason and status.final else ""
    return "" if said in ("EC_NoError", "0") else said


def funding_payment(
    told: Answer,
    instrument: Instrument,
    *,
    id: str,
    amount: Decimal,
    at: datetime,
    rates: Mapping[datetime, Decimal],
) -> FundingPayment | None:
    """The leg is told by the signs: at a positive rate the long one pays. ``None``: nothing was paid.

    ``rates`` are the settled ones; the nearest within a minute belongs to the payment.
    """
    if amount == 0:
        return None
    rate = next((r for then, r in rates.items() if abs((then - at).total_seconds()) <= 60), None)
    if rate is None or rate == 0:
        raise told.garbled("funding rate", rate)
    paid = amount < 0
    side = PositionSide.LONG if paid == (rate > 0) else PositionSide.SHORT
    return FundingPayment(id, instrument.symbol, side, amount, rate, at)
