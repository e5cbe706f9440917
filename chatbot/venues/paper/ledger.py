"""Turning executions into positions and money. Wallets change here, by deposits, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chatbot.domain.instrument import ZERO, Instrument, OrderSide, PositionSide
from chatbot.domain.order import Fill, FillCause, FundingPayment
from chatbot.venues.paper.book import Piece
from chatbot.venues.paper.margin import isolated_liquidation, sigma
from chatbot.venues.paper.state import AccountState, LegState, money


@dataclass(frozen=True, slots=True)
class Execution:
    """Who trades what, and at which fee rate; the pieces say at which prices."""

    instrument: Instrument
    side: OrderSide
    position_side: PositionSide
    fee_rate: Decimal
    at: datetime
    client_order_id: str | None
    cause: FillCause = FillCause.TRADE

    @property
    def opens(self) -> bool:
        return self.side is self.position_side.opening


def execute(account: AccountState, execution: Execution, piece: Piece, *, fill_id: str) -> Fill:
    price, quantity = piece
    notional = execution.instrument.notional(quantity, price)
    fee = money(notional * execution.fee_rate)
    if execution.opens:
        _grow(account, execution, quantity, money(notional))
        realized = ZERO
    else:
        realized = _shrink(account, execution, quantity, money(notional))
    account.pay(execution.instrument.settle, realized - fee)
    return Fill(
        venue_fill_id=fill_id,
        symbol=execution.instrument.symbol,
        side=execution.side,
        position_side=execution.position_side,
        quantity=quantity,
        price=price,
        fee=fee,
        realized_pnl=realized,
        at=execution.at,
        client_order_id=execution.client_order_id,
        cause=execution.cause,
    )


def _grow(account: AccountState, execution: Execution, quantity: Decimal, notional: Decimal) -> None:
    key = (execution.instrument.symbol, execution.position_side)
    leg = account.legs.get(key)
    if leg is None:
        setting = account.setting(key)
        leg = LegState(*key, setting.leverage, setting.margin_mode, execution.at)
        account.legs[key] = leg
    leg.quantity += quantity
    leg.cost += notional
    if leg.isolated:
        leg.margin += money(notional / leg.leverage)


def _shrink(account: AccountState, execution: Execution, quantity: Decimal, notional: Decimal) -> Decimal:
    """Realized PnL. The cost leaves in proportion, so what is realized over a leg's whole life is exact."""
    key = (execution.instrument.symbol, execution.position_side)
    leg = account.legs[key]
    whole = quantity == leg.quantity
    cost = leg.cost if whole else money(leg.cost * quantity / leg.quantity)
    leg.margin -= leg.margin if whole else money(leg.margin * quantity / leg.quantity)
    leg.cost -= cost
    leg.quantity -= quantity
    if whole:
        del account.legs[key]
    return sigma(execution.instrument, leg.side) * (notional - cost)


def settle_funding(
    account: AccountState,
    leg: LegState,
    instrument: Instrument,
    *,
    mark: Decimal,
    rate: Decimal,
    at: datetime,
) -> FundingPayment:
    """Longs pay a positive rate; an isolated leg pays out of its own margin."""
    amount = money(-leg.side.sign * instrument.notional(leg.quantity, mark) * rate)
    account.pay(instrument.settle, amount)
    if leg.isolated:
        leg.margin += amount
        refresh(leg, instrument, mark)
    payment_id = f"{leg.symbol}:{leg.side}:{int(at.timestamp())}"
    return FundingPayment(payment_id, leg.symbol, leg.side, amount, rate, at)


def refresh(leg: LegState, instrument: Instrument, mark: Decimal) -> None:
    leg.liquidation_price = isolated_liquidation(leg, instrument, mark) if leg.isolated else None
