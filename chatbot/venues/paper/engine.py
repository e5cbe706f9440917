"""How the paper exchange runs: one market for all, many accounts, its own clock and its own memory.

Market time runs ``speed`` times as fast as the clock while the process lives and stands still while it does
not; a real-time (live) market is the exception. Each call first brings the market up to the clock, tick by
tick, and what it changed is on disk before it answers.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.history import thinned
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import (
    Fill,
    FundingPayment,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Outcome,
    Rejected,
)
from chatbot.errors import SettingsError, VenueUnavailable
from chatbot.ports import Clock
from chatbot.venues.feeds import PriceFeed
from chatbot.venues.paper import desk
from chatbot.venues.paper.book import Market
from chatbot.venues.paper.catalog import SHAPES, listed
from chatbot.venues.paper.checks import DUPLICATE, NO_SYMBOL, no_price
from chatbot.venues.paper.floor import Floor
from chatbot.venues.paper.matching import WHOLE, submit
from chatbot.venues.paper.memory import note_marks
from chatbot.venues.paper.readings import read_account, read_balance
from chatbot.venues.paper.state import AccountState, Reference
from chatbot.venues.paper.statefile import Progress, StateFile
from chatbot.venues.paper.stepping import look_at_accounts, next_settlement, settle_due

MICROSECOND = timedelta(microseconds=1)
PROGRESS_INTERVAL = timedelta(seconds=1)
CANCELED_BY_USER = "Canceled by the user."


@dataclass(order=True, slots=True)
class Straggler:
    """A request still on its way; it is lost when the process ends, as a packet would be."""

    arrives_at: datetime
    number: int
    account_id: AccountId = field(compare=False)
    request: OrderRequest = field(compare=False)


class Engine:
    def __init__(self, state: StateFile, feed: PriceFeed, clock: Clock, speed: Decimal) -> None:
        self.feed = feed
        self._state = state
        self._clock = clock
        self._speed = speed
        resumed = state.progress()
        _same_market(feed, resumed)
        self._started_at = feed.start(clock.now(), resumed.started_at if resumed else None)
        self._anchor_clock = clock.now()
        self._anchor = resumed.at if resumed else self._started_at
        if feed.real_time:
            self._anchor = max(self._anchor, self._anchor_clock)
        self._floor = _open_floor(feed, self._anchor, resumed)
        self._saved_at: datetime | None = None
        self._stragglers: list[Straggler] = []
        self._numbers = itertools.count()
        for account in state.accounts():
            self._floor.accounts[account.id] = account
            if account.busy:
                self._floor.busy[account.id] = account
        self._save()

    def close(self) -> None:
        """The market's last instant is kept; the file is free for another process."""
        try:
            self.advance()
            self._save()
        finally:
            self._state.close()

    # --- time -----------------------------------------------------------------------------------

    def market_now(self) -> datetime:
        return self._market_time(self._clock.now())

    def _market_time(self, clock_now: datetime) -> datetime:
        if self.feed.real_time:
            return max(self._floor.now, clock_now)
        passed = (clock_now - self._anchor_clock) // MICROSECOND
        at = self._anchor + timedelta(microseconds=int(passed * self._speed))
        if self.feed.ends_at is not None:
            at = min(at, self.feed.ends_at)
        return max(self._floor.now, at)

    def advance(self) -> None:
        """Brings the market up to the clock, through every tick and every late request in between."""
        now = self._clock.now()
        while self._stragglers and self._stragglers[0].arrives_at <= now:
            late = heapq.heappop(self._stragglers)
            self._pass_time(self._market_time(late.arrives_at), late.arrives_at)
            self._submit(self._account(late.account_id), late.request, WHOLE, late.arrives_at)
        self._pass_time(self._market_time(now), now)
        self._save_progress(now)

    def _pass_time(self, until: datetime, clock_now: datetime) -> None:
        floor = self._floor
        note_marks(floor, self.feed, until)
        active = floor.active_symbols()
        self._bring(
            [symbol for symbol in active if not floor.markets[symbol].priced], self.feed.latest(floor.now)
        )
        # Nobody holds anything: no need to look at the ticks in between.
        for at in self.feed.ticks(floor.now if active else until, until):
            self._step(active, at, clock_now)
        settle_due(floor, until, inclusive=True)
        floor.now = until
        for market in floor.markets.values():
            market.recover(until)

    def _step(self, active: Collection[Symbol], at: datetime, clock_now: datetime) -> None:
        floor = self._floor
        settle_due(floor, at, inclusive=False)
        before = {symbol: floor.mark(symbol) for symbol in active if floor.markets[symbol].priced}
        floor.now = at
        self._move(active, at)
        look_at_accounts(floor, before, clock_now)
        settle_due(floor, at, inclusive=True)
        self._follow_schedule(active)

    def _bring(self, symbols: Collection[Symbol], at: datetime | None) -> None:
        """These markets show the prices of this instant; the other ones follow when somebody asks."""
        if at is not None:
            self._move(symbols, at)
            self._follow_schedule(symbols)

    def _move(self, symbols: Collection[Symbol], at: datetime) -> None:
        for symbol in symbols:
            if (prices := self.feed.prices(symbol, at)) is not None:
                self._floor.markets[symbol].move(prices, at)

    def _follow_schedule(self, symbols: Collection[Symbol]) -> None:
        """Where the feed knows the next settlement; only after those of the past were made."""
        for symbol in symbols:
            market = self._floor.markets[symbol]
            told = market.prices.next_funding_at if market.priced else None
            if told is not None and told > self._floor.now:
                market.next_funding_at = told

    def _fresh(self, symbols: Collection[Symbol]) -> None:
        self._bring(symbols, self.feed.latest(self._floor.now))
        if missing := sorted(symbol for symbol in symbols if not self._floor.markets[symbol].priced):
            raise VenueUnavailable(f"There is no price of {', '.join(missing)} yet.", venue="paper")

    # --- memory ---------------------------------------------------------------------------------

    def _save(self) -> None:
        floor = self._floor
        self._state.save(
            Progress(self.feed.name, self._started_at, floor.now, floor.order_number, floor.fill_number),
            floor.unsaved,
        )
        self._saved_at = self._clock.now()

    def _save_progress(self, now: datetime) -> None:
        aged = self._saved_at is None or now - self._saved_at >= PROGRESS_INTERVAL
        if self._floor.unsaved or aged:
            self._save()

    def _account(self, account_id: AccountId) -> AccountState:
        known = self._floor.accounts.get(account_id)
        return known or desk.open_account(self._floor, account_id)

    # --- reading --------------------------------------------------------------------------------

    def instruments(self) -> Mapping[Symbol, Instrument]:
        return self._floor.instruments

    def view(
        self, account_id: AccountId, symbols: Collection[Symbol] = (), *, depth: int = 50
    ) -> AccountView:
        self.advance()
        account = self._account(account_id)
        wanted = {*symbols, *account.symbols()}
        for symbol in wanted:
            desk.require_symbol(self._floor, symbol)
        self._fresh(wanted)
        view = read_account(self._floor, account, symbols, depth=depth, read_at=self._clock.now())
        self._save_progress(view.read_at)
        return view

    def balance(self, account_id: AccountId, currency: str = "USDT") -> Balance:
        """Of one settlement currency; ``view`` shows that of the linear contracts."""
        self.advance()
        account = self._account(account_id)
        self._fresh(account.symbols())
        self._save_progress(self._clock.now())
        return read_balance(self._floor, account, currency)

    def order(self, account_id: AccountId, client_order_id: str) -> OrderReport | None:
        self.advance()
        open_order = self._account(account_id).orders.get(client_order_id)
        order = open_order or self._state.order(account_id, client_order_id)
        return order.report if order else None

    def fills(self, account_id: AccountId, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        self.advance()
        return self._state.fills(account_id, symbol, since)

    def funding_payments(
        self, account_id: AccountId, symbol: Symbol, since: datetime
    ) -> tuple[FundingPayment, ...]:
        self.advance()
        return self._state.funding(account_id, symbol, since)

    def price_history(self, symbol: Symbol, since: datetime, *, points: int) -> tuple[PricePoint, ...]:
        self.advance()
        desk.require_symbol(self._floor, symbol)
        self._fresh([symbol])
        past = self.feed.past(symbol, since)
        kept = self._state.marks(symbol, since)
        fresh = [mark for of, mark in self._floor.unsaved.marks if of == symbol and mark.at >= since]
        now = PricePoint(self._floor.now, self._floor.mark(symbol))
        earlier = [mark for mark in (*past, *kept, *fresh) if mark.at < now.at]
        return thinned((*earlier, now) if now.at >= since else (), points)

    def money_from_outside(self, account_id: AccountId) -> tuple[Reference, ...]:
        """Opening balance, deposits and resets: with fills and funding they explain the wallet exactly."""
        return self._state.money_from_outside(account_id)

    # --- writing --------------------------------------------------------------------------------

    def submit(self, account_id: AccountId, request: OrderRequest, *, share: Decimal = WHOLE) -> Outcome:
        self.advance()
        outcome = self._submit(self._account(account_id), request, share, self._clock.now())
        self._save()
        return outcome

    def submit_late(self, account_id: AccountId, request: OrderRequest, arrives_at: datetime) -> None:
        heapq.heappush(self._stragglers, Straggler(arrives_at, next(self._numbers), account_id, request))

    def _submit(
        self, account: AccountState, request: OrderRequest, share: Decimal, clock_now: datetime
    ) -> Outcome:
        floor = self._floor
        if request.symbol not in floor.instruments:
            return NO_SYMBOL
        concerned = {request.symbol, *account.symbols()}
        self._bring(concerned, self.feed.latest(floor.now))
        for symbol in sorted(concerned):
            if self._too_old(floor.markets[symbol], clock_now):
                return no_price(symbol)
        if self._known_order(account, request.client_order_id):
            return DUPLICATE
        return submit(floor, account, request, clock_now=clock_now, share=share)

    def _too_old(self, market: Market, clock_now: datetime) -> bool:
        aged = self.feed.max_age is not None and market.priced and clock_now - market.at > self.feed.max_age
        return aged or not market.priced

    def _known_order(self, account: AccountState, client_order_id: str) -> bool:
        fresh = (account.id, client_order_id) in self._floor.unsaved.orders
        return fresh or self._state.order(account.id, client_order_id) is not None

    def cancel(self, account_id: AccountId, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        self.advance()
        account = self._account(account_id)
        order = account.orders.get(client_order_id)
        if order is None or order.report.symbol != symbol:
            report = self.order(account_id, client_order_id)
            return report if report and report.symbol == symbol else None
        self._floor.end_order(account, order, OrderStatus.CANCELED, CANCELED_BY_USER)
        self._save()
        return order.report

    def set_position_mode(self, account_id: AccountId, mode: PositionMode) -> None:
        self.advance()
        desk.set_position_mode(self._floor, self._account(account_id), mode)
        self._save()

    def set_leg(self, account_id: AccountId, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        self.advance()
        account = self._account(account_id)
        desk.require_symbol(self._floor, symbol)
        self._fresh({symbol, *account.symbols()})
        desk.set_leg(self._floor, account, (symbol, side), setting)
        self._save()

    def add_margin(self, account_id: AccountId, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        self.advance()
        account = self._account(account_id)
        desk.require_symbol(self._floor, symbol)
        self._fresh({symbol, *account.symbols()})
        desk.add_margin(self._floor, account, (symbol, side), amount)
        self._save()

    # --- what only a simulated exchange offers; each reference counts once ----------------------

    def deposit(self, account_id: AccountId, amount: Decimal, reference: str) -> Balance:
        self.advance()
        account = self._account(account_id)
        if not self._state.knows_reference(account_id, reference):
            desk.deposit(self._floor, account, amount, reference=reference)
            self._save()
        return self.balance(account_id)

    def reset(self, account_id: AccountId, reference: str) -> Balance:
        self.advance()
        account = self._account(account_id)
        if not self._state.knows_reference(account_id, reference):
            desk.reset(self._floor, account, reference=reference)
            self._save()
        return self.balance(account_id)

    def trade_elsewhere(self, account_id: AccountId, wish: desk.Wish, reference: str) -> None:
        self.advance()
        if self._state.knows_reference(account_id, reference):
            return
        account = self._account(account_id)
        for request in desk.typed_orders(self._floor, account, wish):
            outcome = self._submit(account, request, WHOLE, wish.at)
            if isinstance(outcome, Rejected):
                self._save()
                raise desk.error_of(outcome)
        desk.note_reference(self._floor, account, reference, {})
        self._save()

    def cancel_elsewhere(
        self, account_id: AccountId, symbol: Symbol, side: PositionSide | None, reference: str
    ) -> tuple[OrderReport, ...]:
        self.advance()
        if self._state.knows_reference(account_id, reference):
            return ()
        account = self._account(account_id)
        here = [each for each in account.orders.values() if each.report.symbol == symbol]
        resting = [each for each in here if side in (None, each.report.position_side)]
        for order in resting:
            self._floor.end_order(account, order, OrderStatus.CANCELED, CANCELED_BY_USER)
        desk.note_reference(self._floor, account, reference, {})
        self._save()
        return tuple(order.report for order in resting)


def _same_market(feed: PriceFeed, resumed: Progress | None) -> None:
    if resumed is not None and resumed.feed != feed.name:
        raise SettingsError(
            f"HEDGEROW_PAPER__MARKET: the paper accounts live on the market {resumed.feed}, not {feed.name}. "
            "Set it back, or start over by setting HEDGEROW_PAPER__STATE_FILE to a new file, "
            "for example paper-2.db."
        )


def _open_floor(feed: PriceFeed, now: datetime, resumed: Progress | None) -> Floor:
    instruments = listed(feed.symbols)
    markets = {
        symbol: Market(instrument, SHAPES[symbol], next_funding_at=next_settlement(now, instrument))
        for symbol, instrument in instruments.items()
    }
    floor = Floor(now, dict(instruments), markets, feed.real_time)
    if resumed:
        floor.order_number, floor.fill_number = resumed.order_number, resumed.fill_number
    return floor
