"""What an account looks like after a leg has changed: the view that a quote shows as "after"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import initial_margin, leg_liquidation, maintenance_margin, margin_held, nearer
from chatbot.domain.pnl import unrealized_pnl
from chatbot.domain.quote import LegLiquidation


@dataclass(frozen=True, slots=True)
class Liquidations:
    """Of the legs on one market; ``None``: no such leg."""

    long: LegLiquidation | None
    short: LegLiquidation | None

    @property
    def pair(self) -> LegLiquidation:
        return nearer(self.long, self.short)

    def of(self, side: PositionSide) -> LegLiquidation | None:
        return self.long if side is PositionSide.LONG else self.short


def liquidations(instrument: Instrument, view: AccountView) -> Liquidations:
    legs = {
        p.side: leg_liquidation(instrument, p, view) for p in view.positions if p.symbol == instrument.symbol
    }
    return Liquidations(legs.get(PositionSide.LONG), legs.get(PositionSide.SHORT))


def liquidations_after(
    view: AccountView, instrument: Instrument, leg: Position, *, received: Decimal = ZERO
) -> Liquidations:
    return liquidations(instrument, view_after(view, instrument, leg, received=received))


def view_after(
    view: AccountView, instrument: Instrument, leg: Position, *, received: Decimal = ZERO
) -> AccountView:
    """The account once ``leg`` has replaced the position of its side (quantity 0: has closed it).

    ``received`` is what the wallet gains by it: realized PnL less fees. What the venue reported for the
    cross legs of the market no longer holds and is dropped.
    """
    before = view.position(leg.symbol, leg.side)
    kept = tuple(_unreported(p, leg.symbol) for p in view.positions if p is not before)
    after = (*kept, replace(leg, liquidation_price=None)) if leg.quantity > 0 else kept
    changed = replace(view, positions=after)
    balance = view.balance_in(instrument.settle)
    if balance is None:
        return changed
    mark = view.markets[leg.symbol].mark_price
    return _with_balance(changed, _balance_after(balance, instrument, (before, leg), mark, received))


def view_without(view: AccountView, instrument: Instrument, position: Position) -> AccountView:
    """The account once this position is gone at the mark price, its PnL realized."""
    mark = view.markets[position.symbol].mark_price
    realized = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)
    gone = replace(position, quantity=ZERO, margin=None if position.margin is None else ZERO)
    return view_after(view, instrument, gone, received=realized)


def _unreported(position: Position, symbol: Symbol) -> Position:
    stale = position.symbol == symbol and position.margin_mode is MarginMode.CROSS
    return replace(position, liquidation_price=None) if stale else position


def _balance_after(
    balance: Balance,
    instrument: Instrument,
    change: tuple[Position | None, Position],
    mark: Decimal,
    received: Decimal,
) -> Balance:
    before, after = change
    gained = _gain(instrument, after, mark) - _gain(instrument, before, mark)
    kept = _maintenance(instrument, after, mark) - _maintenance(instrument, before, mark)
    tied = _tied(instrument, after, mark) - _tied(instrument, before, mark)
    return replace(
        balance,
        wallet=balance.wallet + received,
        equity=balance.equity + received + gained,
        free=max(ZERO, balance.free + received - tied),
        maintenance_margin=max(ZERO, balance.maintenance_margin + kept),
        margin_ratio=None,
    )


def _gain(instrument: Instrument, position: Position | None, mark: Decimal) -> Decimal:
    if position is None:
        return ZERO
    return unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)


def _maintenance(instrument: Instrument, position: Position | None, mark: Decimal) -> Decimal:
    if position is None or position.margin_mode is MarginMode.ISOLATED:
        return ZERO
    return maintenance_margin(instrument, position.quantity, mark)


def _tied(instrument: Instrument, position: Position | None, mark: Decimal) -> Decimal:
    """What a position keeps from ``free``: its margin; of a cross one also its loss (or gain)."""
    if position is None:
        return ZERO
    if position.margin_mode is MarginMode.ISOLATED:
        return margin_held(instrument, position)
    margin = initial_margin(instrument, position.quantity, mark, leverage=position.leverage)
    return margin - _gain(instrument, position, mark)


def _with_balance(view: AccountView, balance: Balance) -> AccountView:
    if view.balance.currency == balance.currency:
        return replace(view, balance=balance)
    others = tuple(balance if b.currency == balance.currency else b for b in view.other_balances)
    return replace(view, other_balances=others)
