"""What an account sees of itself and of the markets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.market import MarketState
from chatbot.venues.paper.floor import Floor
from chatbot.venues.paper.margin import cross_liquidation, free_margin, summary
from chatbot.venues.paper.state import AccountState, LegState, tidy

# The balance shown is that of the linear contracts; coin margin of inverse ones is kept apart.
SHOWN_CURRENCY = "USDT"
SIDES = (PositionSide.LONG, PositionSide.SHORT)


def read_account(
    floor: Floor, account: AccountState, symbols: Collection[Symbol], *, depth: int, read_at: datetime
) -> AccountView:
    shown = sorted({*symbols, *(symbol for symbol, _ in account.legs)})
    return AccountView(
        at=floor.now,
        read_at=read_at,
        balance=read_balance(floor, account),
        position_mode=account.mode,
        positions=_positions(floor, account),
        leg_settings={
            (symbol, side): account.setting((symbol, side)) for symbol in floor.instruments for side in SIDES
        },
        markets={symbol: read_market(floor, symbol) for symbol in shown},
        books={symbol: floor.markets[symbol].book(depth) for symbol in shown},
        other_balances=_coin_balances(floor, account),
        open_orders=tuple(order.report for order in account.orders.values()),
    )


def _coin_balances(floor: Floor, account: AccountState) -> tuple[Balance, ...]:
    """Of currencies in which something listed here settles."""
    settled = {instrument.settle for instrument in floor.instruments.values()} - {SHOWN_CURRENCY}
    return tuple(read_balance(floor, account, currency) for currency in sorted(settled))


def read_balance(floor: Floor, account: AccountState, currency: str = SHOWN_CURRENCY) -> Balance:
    figures = summary(account, floor.instruments, floor.mark, currency)
    return Balance(
        currency=currency,
        wallet=figures.wallet,
        equity=figures.equity,
        free=free_margin(account, floor.instruments, floor.mark, currency),
        maintenance_margin=figures.cross_maintenance,
        margin_ratio=figures.ratio,
    )


def read_market(floor: Floor, symbol: Symbol) -> MarketState:
    market = floor.markets[symbol]
    prices = market.prices
    return MarketState(
        symbol=symbol,
        mark_price=prices.mark,
        index_price=prices.index,
        last_price=market.last_price,
        funding_rate=prices.funding_rate,
        funding_interval=market.funding_interval,
        next_funding_at=market.next_funding_at,
        at=market.at if floor.real_time else floor.now,
    )


def _positions(floor: Floor, account: AccountState) -> tuple[Position, ...]:
    pairs = {leg.symbol for leg in account.legs.values() if not leg.isolated}
    cross = {symbol: cross_liquidation(account, floor.instruments, floor.mark, symbol) for symbol in pairs}
    return tuple(_position(floor, leg, cross.get(leg.symbol)) for leg in account.legs.values())


def _position(floor: Floor, leg: LegState, cross: tuple[Decimal, PositionSide] | None) -> Position:
    instrument = floor.instruments[leg.symbol]
    if leg.isolated:
        liquidation_price = leg.liquidation_price
    else:
        liquidation_price = cross[0] if cross and cross[1] is leg.side else None
    return Position(
        symbol=leg.symbol,
        side=leg.side,
        quantity=leg.quantity,
        entry_price=leg.entry_price(instrument.kind),
        leverage=leg.leverage,
        margin_mode=leg.margin_mode,
        margin=leg.margin if leg.isolated else None,
        liquidation_price=None if liquidation_price is None else tidy(liquidation_price),
        opened_at=leg.opened_at,
    )
