"""An order as a real exchange counts it, standing on one or two orders of the paper exchange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import (
    ZERO,
    ContractKind,
    Instrument,
    MarginMode,
    OrderSide,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.order import (
    Fill,
    FillCause,
    FundingPayment,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
)

# The exchange behind the server refuses requests that come too late; the servers check that themselves.
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, in base units. ``position_side`` is ``None`` in one-way mode.

    ``closes`` matters in one-way mode only; in hedge mode the sides say it.
    """

    client_order_id: str
    symbol: Symbol
    side: OrderSide
    position_side: PositionSide | None
    type: OrderType
    quantity: Decimal
    closes: bool = False
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    post_only: bool = False
    immediate: bool = False  # what does not fill at once is canceled

    @property
    def opens(self) -> bool:
        return self.position_side is not None and self.side is self.position_side.opening


@dataclass(frozen=True, slots=True)
class Part:
    """One order of the paper exchange; flipping a one-way position takes two."""

    position_side: PositionSide
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order has come. ``fired``: a conditional order has become a market order."""

    status: OrderStatus
    filled: Decimal
    average: Decimal | None
    fee: Decimal
    updated_at: datetime
    reason: str
    fired: bool


@dataclass(slots=True)
class WireOrder:
    """``number`` is the venue's id; ``fired_number`` that of the order which a conditional one becomes."""

    number: int
    fired_number: int
    wish: Wish
    mode: PositionMode
    margin_mode: MarginMode
    leverage: Decimal
    created_at: datetime
    standing: Standing
    engine_ids: list[str] = field(default_factory=list)
    hidden_until: datetime | None = None
    hidden_reads: int = 0

    @property
    def open(self) -> bool:
        return not self.standing.status.final

    @property
    def conditional(self) -> bool:
        return self.wish.type.conditional

    @property
    def waiting(self) -> bool:
        return self.conditional and self.open


@dataclass(frozen=True, slots=True)
class WireFill:
    """``order`` is ``None`` for what the exchange did by itself."""

    fill: Fill
    order: WireOrder | None

    @property
    def cause(self) -> FillCause:
        return self.fill.cause

    @property
    def order_number(self) -> int:
        if self.order is None:
            return 900_000_000 + int(self.fill.venue_fill_id)
        return self.order.fired_number if self.order.conditional else self.order.number


def split(wish: Wish, mode: PositionMode, held: dict[PositionSide, Decimal]) -> list[Part]:
    """Empty: a one-way order may only close, and there is nothing to close."""
    if mode is PositionMode.HEDGE:
        assert wish.position_side is not None
        return [Part(wish.position_side, wish.quantity)]
    growing = PositionSide.LONG if wish.side is OrderSide.BUY else PositionSide.SHORT
    closed = min(held[growing.opposite], wish.quantity)
    if wish.type.conditional:
        return [Part(growing.opposite if wish.closes else growing, wish.quantity)]
    parts = [Part(growing.opposite, closed)] if closed else []
    if (rest := wish.quantity - closed) and not wish.closes:
        parts.append(Part(growing, rest))
    return parts


def engine_request(wish: Wish, part: Part, engine_id: str, now: datetime) -> OrderRequest:
    return OrderRequest(
        client_order_id=engine_id,
        symbol=wish.symbol,
        side=wish.side,
        position_side=part.position_side,
        type=wish.type,
        quantity=part.quantity,
        reduce_only=wish.side is part.position_side.closing,
        valid_until=now + DAY,
        limit_price=wish.limit_price,
        trigger_price=wish.trigger_price,
        post_only=wish.post_only,
    )


def standing_of(reports: Sequence[OrderReport]) -> Standing:
    filled = sum((report.filled_quantity for report in reports), ZERO)
    paid = sum((report.filled_quantity * (report.average_price or ZERO) for report in reports), ZERO)
    statuses = [report.status for report in reports]
    status = OrderStatus.OPEN if OrderStatus.OPEN in statuses else statuses[-1]
    return Standing(
        status=status,
        filled=filled,
        average=paid / filled if filled else None,
        fee=sum((report.fee for report in reports), ZERO),
        updated_at=max(report.updated_at for report in reports),
        reason=reports[-1].reason,
        fired=reports[0].type.conditional and filled > 0,
    )


def held_at(fills: Iterable[WireFill], payment: FundingPayment) -> Decimal:
    """What the leg held when funding was settled."""
    legs = [f.fill for f in fills if f.fill.position_side is payment.side and f.fill.at <= payment.at]
    return sum((fill.signed_change for fill in legs), ZERO)


def settlement_price(instrument: Instrument, payment: FundingPayment, quantity: Decimal) -> Decimal:
    """The mark price that the payment was reckoned with."""
    if not payment.rate:
        return ZERO
    notional = abs(payment.amount / payment.rate)
    linear = instrument.kind is ContractKind.LINEAR
    return notional / quantity if linear else quantity / notional
