"""The exchange behind all three servers: the paper engine, with accounts that have API keys.

Everything is in base units and domain words here; field names, contracts and codes are the servers'.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.market import MarketState, OrderBook
from chatbot.domain.order import (
    Accepted,
    Fill,
    FillCause,
    FundingPayment,
    OrderReport,
    OrderStatus,
    OrderType,
    Rejected,
)
from chatbot.venues.feeds import BTC, ETH, SOL, ScriptedFeed
from chatbot.venues.paper import PaperExchange, Partial
from tests.wire.venues.orders import (
    Part,
    Standing,
    WireFill,
    WireOrder,
    Wish,
    engine_request,
    split,
    standing_of,
)

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
PRICES: Mapping[Symbol, Decimal] = {BTC: Decimal(64_000), ETH: Decimal(2_000), SOL: Decimal(150)}
DUPLICATE = Rejected("ClientOrderId is duplicated.", "-4116", "InvalidOrder")
NOT_A_MAKER = "-5022"
NOTHING_TO_CLOSE = Rejected("ReduceOnly Order is rejected.", "-2022", "InvalidOrder")


@dataclass(frozen=True, slots=True)
class Habits:
    """In what venues differ beyond their words."""

    ids_unique_for_ever: bool = False
    trims_closes: bool = False  # closing more than is held: trimmed, else refused
    stops_end_with_their_leg: bool = False
    takes_crossing_post_only: bool = False  # and cancels it; else refuses it


@dataclass(frozen=True, slots=True)
class ApiKey:
    """``ips`` empty: not restricted."""

    key: str
    secret: str
    passphrase: str = ""
    read: bool = True
    trade: bool = True
    withdraw: bool = False
    transfer: bool = False
    ips: tuple[str, ...] = ()
    expires_at: datetime | None = None
    owner: str = "7000001"

    def allows_ip(self, ip: str) -> bool:
        return not self.ips or ip in self.ips


class Market:
    """Prices, time and accounts. ``price`` and ``pass_time`` are a test's hands."""

    def __init__(
        self,
        clock: VirtualClock | None = None,
        habits: Habits | None = None,
        prices: Mapping[Symbol, Decimal] = PRICES,
    ) -> None:
        self.clock = clock or VirtualClock(START)
        self.habits = habits or Habits()
        self.feed = ScriptedFeed(prices)
        self.exchange = PaperExchange.open(None, self.feed, self.clock, Decimal(1))
        self.accounts: dict[str, VenueAccount] = {}
        self.marks: dict[Symbol, list[tuple[datetime, Decimal]]] = {
            symbol: [(self.clock.now(), price)] for symbol, price in prices.items()
        }
        self.rates: dict[Symbol, list[tuple[datetime, Decimal]]] = {symbol: [] for symbol in prices}
        self.numbers = itertools.count(1001)
        self.listeners: list[Callable[[], Awaitable[None]]] = []
        self._public = self.exchange.venue(AccountId("public"))

    def close(self) -> None:
        self.exchange.close()

    def now(self) -> datetime:
        return self.clock.now()

    def create_account(self, key: ApiKey) -> VenueAccount:
        """10,000 USDT and 0.1 BTC, hedge mode, flat."""
        account = VenueAccount(self, key)
        self.accounts[key.key] = account
        return account

    async def price(
        self,
        symbol: Symbol,
        price: Decimal | str | None = None,
        *,
        mid: Decimal | None = None,
        funding_rate: Decimal | None = None,
    ) -> None:
        """Moves mark, index and book; fires stops, liquidates."""
        self.feed.set(symbol, None if price is None else Decimal(price), mid=mid, funding_rate=funding_rate)
        if price is not None:
            self.marks[symbol].append((self.now(), Decimal(price)))
        await self._settle()

    async def pass_time(self, seconds: float) -> None:
        """Settlements on the way are made."""
        await self.clock.advance(seconds)
        await self._settle()

    async def _settle(self) -> None:
        self.exchange.advance()
        for account in self.accounts.values():
            await account.refresh()
        await self.changed()

    async def changed(self) -> None:
        """Streams are told."""
        for listener in self.listeners:
            await listener()

    async def instruments(self) -> Mapping[Symbol, Instrument]:
        return await self._public.instruments()

    async def settled_rates(self, symbol: Symbol) -> list[tuple[datetime, Decimal]]:
        """Ascending; known of the settlements that somebody took part in."""
        paid = [p for account in self.accounts.values() for p in await account.funding(symbol)]
        return sorted({(payment.at, payment.rate) for payment in paid})

    async def state(self, symbol: Symbol) -> MarketState:
        return (await self._public.view([symbol])).markets[symbol]

    async def book(self, symbol: Symbol, depth: int = 50) -> OrderBook:
        return (await self._public.view([symbol], depth=depth)).books[symbol]

    def candles(
        self, symbol: Symbol, *, since: datetime | None, until: datetime | None, step: timedelta, limit: int
    ) -> list[tuple[datetime, Decimal, Decimal, Decimal, Decimal]]:
        """Start, open, high, low, close of the mark price; none from before the first price.

        Those that start at ``since`` or later, from there on; without it the last ones.
        """
        last = _floor(min(until or self.now(), self.now()), step)
        told_from = _floor(self.marks[symbol][0][0], step)
        asked_from = last - (limit - 1) * step if since is None else _ceiling(since, step)
        first = max(told_from, asked_from)
        starts = [first + number * step for number in range((last - first) // step + 1)]
        chosen = starts[:limit] if since else starts[-limit:]
        return [(start, *self._candle(symbol, start, start + step)) for start in chosen]

    def _candle(
        self, symbol: Symbol, start: datetime, end: datetime
    ) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        told = self.marks[symbol]
        before = [price for at, price in told if at <= start] or [told[0][1]]
        inside = [before[-1], *(price for at, price in told if start < at < end)]
        return inside[0], max(inside), min(inside), inside[-1]


def _floor(at: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // step * step


def _ceiling(at: datetime, step: timedelta) -> datetime:
    down = _floor(at, step)
    return down if down == at else down + step


class VenueAccount:
    """One API key's account. ``view_before_last_order`` is what a lagging replica would still show."""

    def __init__(self, market: Market, key: ApiKey) -> None:
        self.market = market
        self.key = key
        self.orders: list[WireOrder] = []
        self.listen_key = ""
        self.view_before_last_order: AccountView | None = None
        self.paper = market.exchange.venue(AccountId(key.key))
        self._by_engine_id: dict[str, WireOrder] = {}
        self._deleveraged: set[str] = set()

    # --- reading --------------------------------------------------------------------------------

    async def view(self, symbols: Collection[Symbol] = ()) -> AccountView:
        return await self.paper.view(symbols)

    async def refresh(self) -> None:
        """Orders as they stand now; where a venue does so, stops of legs that are gone end."""
        for order in self.orders:
            if order.open:
                order.standing = await self._standing(order)
        if self.market.habits.stops_end_with_their_leg:
            await self._end_orphans()

    async def _standing(self, order: WireOrder) -> Standing:
        reports = [await self.paper.order(order.wish.symbol, engine_id) for engine_id in order.engine_ids]
        return standing_of([report for report in reports if report is not None])

    async def _end_orphans(self) -> None:
        held = {(position.symbol, position.side) for position in (await self.view()).positions}
        for order in self.orders:
            side = order.wish.position_side
            closing = side is not None and not order.wish.opens
            if order.waiting and closing and (order.wish.symbol, side) not in held:
                await self.cancel(order)

    async def fills(self, symbol: Symbol, since: datetime = EVER) -> list[WireFill]:
        return [self._wire_fill(fill) for fill in await self.paper.fills(symbol, since)]

    def _wire_fill(self, fill: Fill) -> WireFill:
        engine_id = fill.client_order_id
        if engine_id in self._deleveraged:
            forced = replace(fill, client_order_id=None, cause=FillCause.AUTO_DELEVERAGING)
            return WireFill(forced, None)
        return WireFill(fill, self._by_engine_id[engine_id] if engine_id else None)

    async def funding(self, symbol: Symbol, since: datetime = EVER) -> tuple[FundingPayment, ...]:
        return await self.paper.funding_payments(symbol, since)

    async def held(self, symbol: Symbol) -> dict[PositionSide, Decimal]:
        view = await self.view()
        found = {side: view.position(symbol, side) for side in PositionSide}
        return {side: position.quantity if position else ZERO for side, position in found.items()}

    # --- orders ---------------------------------------------------------------------------------

    async def place(self, wish: Wish, *, share: Decimal | None = None) -> WireOrder | Rejected:
        """``share`` under one: a market order stops half way."""
        self.view_before_last_order = view = await self.view([wish.symbol])
        if self._taken(wish):
            return DUPLICATE
        held = await self.held(wish.symbol)
        trimmed = self._trimmed(wish, held)
        parts = split(trimmed, view.position_mode, held) if trimmed.quantity else []
        if not parts:
            return NOTHING_TO_CLOSE
        setting = view.leg_settings[wish.symbol, parts[0].position_side]
        return await self._submit(trimmed, parts, view.position_mode, setting, share)

    def _taken(self, wish: Wish) -> bool:
        if not wish.client_order_id:
            return False
        same = [order for order in self.orders if order.wish.client_order_id == wish.client_order_id]
        if self.market.habits.ids_unique_for_ever:
            return bool(same)
        return any(order.open and order.conditional is wish.type.conditional for order in same)

    def _trimmed(self, wish: Wish, held: dict[PositionSide, Decimal]) -> Wish:
        side = wish.position_side
        closing = side is not None and not wish.opens and not wish.type.conditional
        if side is None or not closing or not self.market.habits.trims_closes:
            return wish
        return replace(wish, quantity=min(wish.quantity, held[side]))

    async def _submit(
        self,
        wish: Wish,
        parts: list[Part],
        mode: PositionMode,
        setting: LegSetting,
        share: Decimal | None,
    ) -> WireOrder | Rejected:
        number = next(self.market.numbers)
        reports: list[OrderReport] = []
        rejected: Rejected | None = None
        for part in parts:
            outcome = await self._to_engine(wish, part, f"w{number}x{len(reports)}", share)
            if isinstance(outcome, Rejected):
                rejected = outcome
                break
            reports.append(outcome)
        if rejected and not reports and not self._takes_all_the_same(rejected):
            return rejected
        standing = standing_of(reports) if reports else self._canceled_at_once(rejected)
        if rejected and reports:
            standing = replace(standing, status=OrderStatus.CANCELED, reason=rejected.reason)
        order = WireOrder(
            number=number,
            fired_number=next(self.market.numbers) if wish.type.conditional else number,
            wish=wish,
            mode=mode,
            margin_mode=setting.margin_mode,
            leverage=setting.leverage,
            created_at=self.market.now(),
            standing=standing,
            engine_ids=[report.client_order_id for report in reports],
        )
        return await self._keep(order)

    def _takes_all_the_same(self, rejected: Rejected) -> bool:
        return rejected.code == NOT_A_MAKER and self.market.habits.takes_crossing_post_only

    def _canceled_at_once(self, rejected: Rejected | None) -> Standing:
        reason = rejected.reason if rejected else ""
        return Standing(OrderStatus.CANCELED, ZERO, None, ZERO, self.market.now(), reason, fired=False)

    async def _to_engine(
        self, wish: Wish, part: Part, engine_id: str, share: Decimal | None
    ) -> OrderReport | Rejected:
        if share is not None:
            self.paper.faults.on_orders(Partial(share))
        request = engine_request(wish, part, engine_id, self.market.now())
        (outcome,) = await self.paper.place([request])
        if isinstance(outcome, Accepted):
            return outcome.report
        return outcome if isinstance(outcome, Rejected) else Rejected(outcome.reason)

    async def _keep(self, order: WireOrder) -> WireOrder:
        self.orders.append(order)
        self._by_engine_id.update(dict.fromkeys(order.engine_ids, order))
        if order.wish.immediate and order.open:
            await self.cancel(order)
        await self.refresh()
        await self.market.changed()
        return order

    async def cancel(self, order: WireOrder) -> None:
        for engine_id in order.engine_ids:
            await self.paper.cancel(order.wish.symbol, engine_id)
        order.standing = await self._standing(order)

    async def trade_elsewhere(self, wish: Wish) -> WireOrder:
        """Typed into the venue's own app."""
        order = await self.place(wish)
        assert isinstance(order, WireOrder), order
        return order

    async def deleverage(self, symbol: Symbol, side: PositionSide, quantity: Decimal) -> None:
        """The exchange closes a part of a leg against a liquidated counterparty."""
        engine_id = f"adl{next(self.market.numbers)}"
        wish = Wish("", symbol, side.closing, side, OrderType.MARKET, quantity)
        self._deleveraged.add(engine_id)
        await self._to_engine(wish, Part(side, quantity), engine_id, None)
        await self.refresh()
        await self.market.changed()

    # --- settings -------------------------------------------------------------------------------

    async def set_position_mode(self, mode: PositionMode) -> None:
        """Raises ``WrongPositionMode`` with code -4068 (positions) or -4067 (orders)."""
        await self.paper.set_position_mode(mode)

    async def set_leg(
        self,
        symbol: Symbol,
        side: PositionSide,
        *,
        leverage: Decimal | None = None,
        margin_mode: MarginMode | None = None,
    ) -> None:
        """Raises ``VenueRejected`` with the codes of Binance."""
        current = (await self.view([symbol])).leg_settings[symbol, side]
        setting = LegSetting(leverage or current.leverage, margin_mode or current.margin_mode)
        await self.paper.set_leg(symbol, side, setting)

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        """Raises ``VenueRejected``."""
        await self.paper.add_margin(symbol, side, amount)
