"""One reading of a venue account: positions, money, modes, and the markets that matter to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.market import MarketState, OrderBook
from chatbot.domain.order import OrderReport


@dataclass(frozen=True, slots=True)
class Position:
    """A leg as the venue sees it.

    ``margin`` is the margin balance of an isolated position (initial margin plus what was added, without
    unrealized PnL), ``None`` in cross mode. ``liquidation_price`` is the venue's own, ``None``
    where it reports none; then the computed one is shown and labelled.
    """

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    leverage: Decimal
    margin_mode: MarginMode
    margin: Decimal | None = None
    liquidation_price: Decimal | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """Money of the account in its settlement currency.

    ``wallet`` without unrealized PnL; ``equity`` with it; ``free`` can back new orders;
    ``maintenance_margin`` is that of the cross positions.
    """

    currency: str
    wallet: Decimal
    equity: Decimal
    free: Decimal
    maintenance_margin: Decimal
    margin_ratio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LegSetting:
    """Leverage and margin mode that the next order of this side would use."""

    leverage: Decimal
    margin_mode: MarginMode


STALE_READ = timedelta(seconds=10)  # how old what an exchange says of positions and resting orders may be


@dataclass(frozen=True, slots=True)
class AccountView:
    """Everything read of one account in one round trip.

    ``at`` is the venue's clock, ``read_at`` ours; they differ on a replayed market. Durations of the
    market (funding, age of a hedge) are taken from ``at``, the freshness of figures from ``read_at``.
    ``open_orders`` are the resting and conditional ones. ``other_balances`` hold what settles in another
    currency than ``balance`` (the coin behind inverse contracts), each currency apart. ``one_way``: markets
    with a position that is the only one they can hold, where the mode may differ from market to market.
    """

    at: datetime
    read_at: datetime
    balance: Balance
    position_mode: PositionMode
    positions: tuple[Position, ...]
    leg_settings: Mapping[tuple[Symbol, PositionSide], LegSetting]
    markets: Mapping[Symbol, MarketState]
    books: Mapping[Symbol, OrderBook]
    open_orders: tuple[OrderReport, ...]
    other_balances: tuple[Balance, ...] = ()
    one_way: frozenset[Symbol] = frozenset()

    def balance_in(self, currency: str) -> Balance | None:
        for balance in (self.balance, *self.other_balances):
            if balance.currency == currency:
                return balance
        return None

    def position(self, symbol: Symbol, side: PositionSide) -> Position | None:
        for position in self.positions:
            if position.symbol == symbol and position.side is side:
                return position
        return None
