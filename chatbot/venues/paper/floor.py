"""The trading floor: accounts, markets and numbers, with every change noted for saving."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import ZERO, Instrument, Symbol
from chatbot.domain.order import Fill, OrderReport, OrderStatus
from chatbot.venues.paper.book import Market, Piece
from chatbot.venues.paper.ledger import Execution, execute, refresh
from chatbot.venues.paper.state import AccountState, LegKey, Unsaved, WorkingOrder, money, tidy


@dataclass(slots=True)
class Floor:
    """``now`` is market time; ``busy`` are the accounts that a tick has to look at.

    Prices of a ``real_time`` market bear the instant at which their source told them.
    """

    now: datetime
    instruments: dict[Symbol, Instrument]
    markets: dict[Symbol, Market]
    real_time: bool = False
    accounts: dict[AccountId, AccountState] = field(default_factory=dict)
    busy: dict[AccountId, AccountState] = field(default_factory=dict)
    unsaved: Unsaved = field(default_factory=Unsaved)
    order_number: int = 0
    fill_number: int = 0
    _active: frozenset[Symbol] | None = field(default=None, repr=False)

    def mark(self, symbol: Symbol) -> Decimal:
        return self.markets[symbol].prices.mark

    def touch(self, account: AccountState) -> None:
        self._active = None
        self.unsaved.accounts[account.id] = account
        if account.busy:
            self.busy[account.id] = account
        else:
            self.busy.pop(account.id, None)

    def active_symbols(self) -> frozenset[Symbol]:
        """Asked for at every call of every account, hence kept until an account changes."""
        if self._active is None:
            self._active = frozenset[Symbol]().union(*(each.symbols() for each in self.busy.values()))
        return self._active

    def keep_order(self, account: AccountState, order: WorkingOrder) -> None:
        """Open orders stay with the account; final ones live on in the history only."""
        client_order_id = order.report.client_order_id
        if order.report.status.final:
            account.orders.pop(client_order_id, None)
        else:
            account.orders[client_order_id] = order
        self.unsaved.orders[account.id, client_order_id] = order
        self.touch(account)

    def end_order(self, account: AccountState, order: WorkingOrder, status: OrderStatus, reason: str) -> None:
        order.report = replace(order.report, status=status, reason=reason, updated_at=self.now)
        self.keep_order(account, order)

    def trade(self, account: AccountState, execution: Execution, pieces: list[Piece]) -> list[Fill]:
        fills = []
        for piece in pieces:
            self.fill_number += 1
            fills.append(execute(account, execution, piece, fill_id=str(self.fill_number)))
        self.unsaved.fills.extend((account.id, fill) for fill in fills)
        self.refresh_leg(account, (execution.instrument.symbol, execution.position_side))
        self.touch(account)
        return fills

    def refresh_leg(self, account: AccountState, key: LegKey) -> None:
        if leg := account.legs.get(key):
            refresh(leg, self.instruments[leg.symbol], self.mark(leg.symbol))

    def next_order_id(self) -> str:
        self.order_number += 1
        return str(self.order_number)


def with_fills(report: OrderReport, fills: list[Fill], now: datetime) -> OrderReport:
    """The report after these fills; the average is over quantity, which both kinds of contract quote."""
    if not fills:
        return replace(report, updated_at=now)
    quantity = sum((fill.quantity for fill in fills), report.filled_quantity)
    before = report.filled_quantity * (report.average_price or ZERO)
    paid = sum((fill.quantity * fill.price for fill in fills), before)
    return replace(
        report,
        filled_quantity=quantity,
        average_price=tidy(paid / quantity),
        fee=money(sum((fill.fee for fill in fills), report.fee)),
        status=OrderStatus.FILLED if quantity == report.quantity else report.status,
        updated_at=now,
    )
