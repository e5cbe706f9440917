"""One account on a real exchange. Implements ``chatbot.ports.Venue``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, LegSetting, Position
from chatbot.domain.history import thinned
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.intent import Purpose, purpose_of
from chatbot.domain.margin import maintenance_margin
from chatbot.domain.market import MarketState, OrderBook, PricePoint
from chatbot.domain.order import (
    Accepted,
    Fill,
    FundingPayment,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Outcome,
    Rejected,
)
from chatbot.errors import InvalidOrder, VenueError, VenueRejected, VenueUnavailable
from chatbot.ports import ROUTINE, Credentials
from chatbot.venues.ccxt import parse_account, parse_orders, placing
from chatbot.venues.ccxt.access import together
from chatbot.venues.ccxt.dialects.common import Dialect, Found, Settings
from chatbot.venues.ccxt.marketplace import Marketplace, instrument_of
from chatbot.venues.ccxt.memory import AccountMemory
from chatbot.venues.ccxt.outcomes import NOT_SENT
from chatbot.venues.ccxt.parse import with_fees
from chatbot.venues.ccxt.reading import Answer
from chatbot.venues.ccxt.sending import Sender, margin_modes

CURRENCY = "USDT"
FEES_ARE_FRESH_FOR = timedelta(hours=12)
ALL_ORDERS_ARE_FRESH_FOR = timedelta(seconds=60)
ROUTINE_ORDERS_ARE_FRESH_FOR = timedelta(minutes=10)
LOOKS_AFTER_CANCEL = 5
PAUSE_AFTER_CANCEL = 0.2
Instruments = Mapping[Symbol, Instrument]


class CcxtVenue:
    def __init__(
        self, marketplace: Marketplace, credentials: Credentials, memory: AccountMemory | None = None
    ) -> None:
        self._shared = marketplace
        self._quirks = marketplace.quirks
        self._clock = marketplace.clock
        self._credentials = credentials
        self._memory = memory or AccountMemory()

    @property
    def venue_id(self) -> str:
        return self._quirks.id

    # --- reads ----------------------------------------------------------------------------------

    async def instruments(self) -> Instruments:
        """With the fee rates that this account pays."""
        return await self._instruments(await self._dialect())

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        """One round of questions; a second one only for positions that nobody knew of."""
        dialect = await self._dialect()
        known = await self._shared.instruments(dialect)
        read_at = self._clock.now()
        wanted = frozenset(s for s in {*symbols, *self._memory.symbols} if s in known)
        rows, balances, (mode, settings), orders, shown = await together(
            dialect.positions(),
            dialect.balances(),
            dialect.modes(wanted, self._memory.held or {}),
            self._open_orders(dialect, wanted, asked=bool(symbols)),
            self._shown(dialect, known, wanted, depth),
        )
        held, mode = margin_modes(dialect, rows), await dialect.mode_shown(rows, mode)
        late = self._late(rows, known, wanted, held)
        if late:
            (_, more), (markets, books) = await together(
                dialect.modes(late, held), self._shown(dialect, known, late, depth)
            )
            settings, shown = settings | more, (shown[0] | markets, shown[1] | books)
        positions = _positions(dialect, rows, known, settings)
        reports = [self._report(found, known[s], dialect) for s, found in orders if s in known]
        one_way = _one_way(dialect, rows, mode)
        self._remember(positions, reports, mode, one_way)
        return AccountView(
            at=max((market.at for market in shown[0].values()), default=dialect.access.venue_now()),
            read_at=read_at,
            balance=self._with_maintenance(balances, positions, shown[0], known),
            position_mode=mode,
            positions=positions,
            leg_settings=settings,
            markets=shown[0],
            books=shown[1],
            open_orders=tuple(r for r in reports if not r.status.final),
            other_balances=tuple(b for b in balances if b.currency != CURRENCY and _holds_something(b)),
            one_way=one_way,
        )

    async def order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        dialect, instrument = await self._of(symbol)
        return await self._looked_up(dialect, instrument, client_order_id)

    async def fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        dialect, instrument = await self._of(symbol)
        return await dialect.fills(instrument, since)

    async def funding_payments(self, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        dialect, instrument = await self._of(symbol)
        return await dialect.funding(instrument, since)

    async def price_history(
        self, symbol: Symbol, since: datetime, *, points: int = 300
    ) -> tuple[PricePoint, ...]:
        """Mark prices of candles, their extremes kept, the last one of now; at most ``points``."""
        dialect, instrument = await self._of(symbol)
        told, now = await together(
            dialect.prices(symbol, since, points - 1), self._shared.market(dialect, instrument)
        )
        if now.at < since:
            return ()
        past = [point for point in told if point.at < now.at]
        return thinned((*past, PricePoint(now.at, now.mark_price)), points)

    # --- writes ---------------------------------------------------------------------------------

    async def set_position_mode(self, mode: PositionMode) -> None:
        dialect = await self._dialect()
        if await dialect.position_mode() is not mode:
            await dialect.set_position_mode(mode)

    async def set_leg(self, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        """Only what is not so already is asked for."""
        dialect, instrument = await self._of(symbol)
        self._require_possible(setting, instrument)
        _, settings = await dialect.modes([symbol], self._memory.held or {})
        now, other = settings.get((symbol, side)), settings.get((symbol, side.opposite))
        if now is None or now.margin_mode is not setting.margin_mode:
            await dialect.set_margin_mode(symbol, side, setting)
            _, settings = await dialect.modes([symbol], self._memory.held or {})
            now = settings.get((symbol, side))
        if now is None or now.leverage != setting.leverage:
            await dialect.set_leverage(symbol, side, setting, other)

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        dialect, instrument = await self._of(symbol)
        if not amount.is_finite() or amount <= 0:
            raise InvalidOrder("The margin to add has to be a positive number.", venue=self.venue_id)
        await dialect.add_margin(instrument, side, amount)

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        try:
            dialect = await self._dialect()
            known = await self._shared.instruments(dialect)
        except (VenueUnavailable, VenueRejected) as error:
            return tuple(Rejected(error.message, error.code, NOT_SENT) for _ in orders)
        answers = await Sender(dialect, self._shared, known).send(orders)
        return tuple(await asyncio.gather(*(self._outcome(dialect, known, answer) for answer in answers)))

    async def cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        dialect, instrument = await self._of(symbol)
        found = await dialect.look_up(symbol, client_order_id)
        if found is None:
            return None
        report = await self._told(dialect, instrument, found, client_order_id)
        if report.status.final:
            return report
        try:
            await dialect.cancel(symbol, client_order_id, found)
        except VenueRejected as error:
            if error.code not in self._quirks.absent:
                raise
        return await self._after_cancel(dialect, instrument, report)

    # --- an account's instruments ---------------------------------------------------------------

    async def _dialect(self) -> Dialect:
        return await self._shared.dialect(self._credentials, self._memory)

    async def _of(self, symbol: Symbol) -> tuple[Dialect, Instrument]:
        dialect = await self._dialect()
        return dialect, instrument_of(await self._shared.instruments(dialect), symbol, self._quirks)

    async def _instruments(self, dialect: Dialect) -> Instruments:
        memory, now = self._memory, self._clock.now()
        old = memory.instruments_at is None or now - memory.instruments_at >= FEES_ARE_FRESH_FOR
        if memory.instruments is None or old:
            listed = await self._shared.instruments(dialect)
            fees = await dialect.fees(listed)
            memory.instruments = {
                symbol: with_fees(known, taker=fees[symbol][0], maker=fees[symbol][1])
                if symbol in fees
                else known
                for symbol, known in listed.items()
            }
            memory.instruments_at = now
        return memory.instruments

    # --- parts of a view ------------------------------------------------------------------------

    async def _shown(
        self, dialect: Dialect, known: Instruments, symbols: Iterable[Symbol], depth: int
    ) -> tuple[dict[Symbol, MarketState], dict[Symbol, OrderBook]]:
        asked = sorted(symbols)
        answers = await together(
            *(self._shared.market(dialect, known[s]) for s in asked),
            *(self._shared.book(dialect, known[s], depth) for s in asked),
        )
        return (
            dict(zip(asked, answers[: len(asked)], strict=True)),
            dict(zip(asked, answers[len(asked) :], strict=True)),
        )

    async def _open_orders(
        self, dialect: Dialect, symbols: Collection[Symbol], *, asked: bool
    ) -> list[tuple[Symbol, Found]]:
        """Of all symbols now and then, and whenever nothing special was asked for: some venues weigh it."""
        now, last, routine = self._clock.now(), self._memory.all_orders_at, ROUTINE.get()
        fresh_for = ROUTINE_ORDERS_ARE_FRESH_FOR if routine else ALL_ORDERS_ARE_FRESH_FOR
        every = last is None or now - last >= fresh_for or not (asked or routine)
        found = await dialect.open_orders(symbols, all=every)
        if every:
            self._memory.all_orders_at = now
        return found

    def _with_maintenance(
        self,
        balances: Iterable[Balance],
        positions: Iterable[Position],
        markets: Mapping[Symbol, MarketState],
        known: Instruments,
    ) -> Balance:
        """By the margin tiers where the venue does not tell it."""
        balance = parse_account.balance_of(CURRENCY, balances)
        if self._quirks.balance.tell_maintenance:
            return balance
        cross = [p for p in positions if p.margin_mode is MarginMode.CROSS and p.symbol in markets]
        needed = sum(
            (maintenance_margin(known[p.symbol], p.quantity, markets[p.symbol].mark_price) for p in cross),
            ZERO,
        )
        return replace(
            balance, maintenance_margin=needed, margin_ratio=parse_account.ratio(needed, balance.equity)
        )

    def _late(
        self,
        rows: Iterable[tuple[Symbol, Answer]],
        known: Instruments,
        wanted: frozenset[Symbol],
        held: Mapping[tuple[Symbol, PositionSide], MarginMode],
    ) -> frozenset[Symbol]:
        """Positions that nobody asked for, and those whose margin mode another hand changed."""
        quantity = self._quirks.positions.quantity
        new = {symbol for symbol, row in rows if symbol in known and row.decimal(quantity)}
        before = self._memory.held or {}
        changed = {symbol for (symbol, side), mode in held.items() if before.get((symbol, side)) is not mode}
        return frozenset(new - wanted) | frozenset(changed & known.keys())

    def _report(self, found: Found, instrument: Instrument, dialect: Dialect) -> OrderReport:
        """A closing order comes back as one: the venue knows only stop-losses and take-profits."""
        told = parse_orders.report(found.answer, found.fields, instrument, prefix=self._quirks.id_prefix)
        closes = told.type.conditional and purpose_of(told.client_order_id) is Purpose.CLOSE_AT_PRICE
        return replace(told, type=OrderType.TRIGGER) if closes else told

    def _remember(
        self,
        positions: Iterable[Position],
        orders: Iterable[OrderReport],
        mode: PositionMode,
        one_way: frozenset[Symbol],
    ) -> None:
        self._memory.symbols = frozenset(p.symbol for p in positions) | frozenset(o.symbol for o in orders)
        self._memory.held = {(p.symbol, p.side): p.margin_mode for p in positions}
        self._memory.mode, self._memory.one_way = mode, one_way

    # --- looking an order up --------------------------------------------------------------------

    async def _looked_up(
        self, dialect: Dialect, instrument: Instrument, client_order_id: str
    ) -> OrderReport | None:
        found = await dialect.look_up(instrument.symbol, client_order_id)
        return None if found is None else await self._told(dialect, instrument, found, client_order_id)

    async def _told(
        self, dialect: Dialect, instrument: Instrument, found: Found, client_order_id: str
    ) -> OrderReport:
        """With its fees; of a conditional order that fired, what it became."""
        told = self._report(found, instrument, dialect)
        child = await dialect.child(instrument.symbol, found) if found.conditional else None
        if child is not None:
            fired = self._report(child, instrument, dialect)
            told = replace(fired, type=told.type, trigger_price=told.trigger_price)
        elif told.status is OrderStatus.FILLED and not told.filled_quantity:
            raise found.answer.garbled("order that it became", None)
        if told.filled_quantity:
            fee = await dialect.order_fee(instrument, child or found)
            told = told if fee is None else replace(told, fee=fee)
        return replace(told, client_order_id=client_order_id)

    async def _after_cancel(
        self, dialect: Dialect, instrument: Instrument, before: OrderReport
    ) -> OrderReport:
        """Some venues take the wish and carry it out a moment later."""
        for look in itertools.count(1):
            after = await self._looked_up(dialect, instrument, before.client_order_id)
            if after is None:
                return replace(before, status=OrderStatus.CANCELED)
            if after.status.final or look == LOOKS_AFTER_CANCEL:
                return after
            await self._clock.sleep(PAUSE_AFTER_CANCEL)
        raise AssertionError

    async def _outcome(
        self, dialect: Dialect, known: Instruments, result: Outcome | placing.Taken
    ) -> Outcome:
        """Of what the venue took, how far it got; should that not be told, that it was taken."""
        if not isinstance(result, tuple):
            return result
        request, venue_order_id = result
        try:
            told = await self._looked_up(dialect, known[request.symbol], request.client_order_id)
        except VenueError:
            told = None
        if told is None:
            at = dialect.access.venue_now()
            return Accepted(parse_orders.waiting(request, venue_order_id, at))
        return Accepted(parse_orders.as_asked(told, request))

    def _require_possible(self, setting: LegSetting, instrument: Instrument) -> None:
        if setting.leverage != setting.leverage.to_integral_value() or setting.leverage < 1:
            raise InvalidOrder("The leverage has to be a whole number, for example 10.", venue=self.venue_id)
        if setting.leverage > instrument.max_leverage:
            most = f"{instrument.max_leverage.normalize():f}"
            raise InvalidOrder(
                f"The leverage of {instrument.symbol} is {most} at most on {self._quirks.title}.",
                venue=self.venue_id,
            )


def _holds_something(balance: Balance) -> bool:
    return bool(balance.wallet or balance.equity)


def _one_way(
    dialect: Dialect, rows: Iterable[tuple[Symbol, Answer]], mode: PositionMode
) -> frozenset[Symbol]:
    fields = dialect.quirks.positions
    return frozenset(
        symbol
        for symbol, row in rows
        if row.decimal(fields.quantity) and parse_account.stands_alone(row, fields, mode)
    )


def _positions(
    dialect: Dialect, rows: Iterable[tuple[Symbol, Answer]], known: Instruments, settings: Settings
) -> tuple[Position, ...]:
    fields = dialect.quirks.positions
    read = (
        parse_account.position(row, fields, known[symbol], settings=settings)
        for symbol, row in rows
        if symbol in known
    )
    return tuple(position for position in read if position is not None)
