"""A small exchange: hedge mode, market and conditional orders, both margin modes, a memory of all states.

It is no market: a price stays until it is set, and everything fills at once at half a basis point from it.
What it is strict about is what the bot relies on: grids, reduce-only, one order per client id, requests that
come too late, margin.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, LegSetting, Position
from chatbot.domain.hedge import AccountId
from chatbot.domain.history import thinned
from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    MarginMode,
    OrderSide,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.margin import initial_margin, isolated_liquidation_price, maintenance_margin, margin_ratio
from chatbot.domain.market import BookLevel, MarketState, OrderBook, PricePoint
from chatbot.domain.order import (
    Accepted,
    Fill,
    FillCause,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Outcome,
    Rejected,
    Unknown,
)
from chatbot.domain.pnl import average_entry, fee, unrealized_pnl
from chatbot.errors import InstrumentUnavailable, InsufficientMargin, InvalidOrder, WrongPositionMode

LegKey = tuple[Symbol, PositionSide]

START = Decimal(10_000)
DEFAULT = LegSetting(Decimal(5), MarginMode.CROSS)
HALF_SPREAD = Decimal("0.00005")
DEPTH = Decimal(1_000_000)
FUNDING_RATE = Decimal("0.0001")
SIDES = tuple(PositionSide)

TOO_LATE = Rejected("Timestamp for this request is outside of the recvWindow.", "-1021", "InvalidOrder")
REDUCE_ONLY = Rejected("ReduceOnly Order is rejected.", "-2022", "InvalidOrder")
NO_MARGIN = Rejected("Margin is insufficient.", "-2019", "InsufficientMargin")
AT_ONCE = Rejected("Order would immediately trigger.", "-2021", "InvalidOrder")
NOT_ON_GRID = Rejected("Quantity is not on the grid.", "-1111", "InvalidOrder")
DROPPED = "Canceled by the exchange."
DUPLICATE = Unknown("ClientOrderId is duplicated.")

Moment = tuple[dict[LegKey, Position], tuple[OrderReport, ...]]


@dataclass(slots=True)
class Holder:
    """One account there. ``past`` and ``order_past`` are all its earlier states, by venue time."""

    id: AccountId
    wallet: Decimal = START
    mode: PositionMode = PositionMode.HEDGE
    positions: dict[LegKey, Position] = field(default_factory=dict)
    settings: dict[LegKey, LegSetting] = field(default_factory=dict)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    resting: dict[str, bool] = field(default_factory=dict)  # client id: fires above its price
    fills: list[Fill] = field(default_factory=list)
    margins: list[Decimal] = field(default_factory=list)
    past: list[tuple[datetime, Moment]] = field(default_factory=list)
    order_past: dict[str, list[tuple[datetime, OrderReport]]] = field(default_factory=dict)

    def copy(self) -> Holder:
        return replace(
            self,
            positions=dict(self.positions),
            settings=dict(self.settings),
            orders=dict(self.orders),
            resting=dict(self.resting),
            fills=list(self.fills),
            margins=list(self.margins),
            past=list(self.past),
            order_past={key: list(states) for key, states in self.order_past.items()},
        )

    def quantity(self, symbol: Symbol, side: PositionSide) -> Decimal:
        position = self.positions.get((symbol, side))
        return ZERO if position is None else position.quantity

    def open_orders(self) -> tuple[OrderReport, ...]:
        return tuple(self.orders[each] for each in self.resting)

    def moment(self, lag: float, now: datetime) -> Moment:
        """As it was ``lag`` seconds ago."""
        if lag and self.past:
            index = bisect.bisect_right(self.past, now - timedelta(seconds=lag), key=_instant)
            if index < len(self.past):
                return self.past[index - 1][1] if index else ({}, ())
        return self.positions, self.open_orders()

    def order(self, client_order_id: str, lag: float, now: datetime) -> OrderReport | None:
        states = self.order_past.get(client_order_id, ())
        index = bisect.bisect_right(states, now - timedelta(seconds=lag), key=_instant)
        return states[index - 1][1] if index else None


def _instant(state: tuple[datetime, object]) -> datetime:
    return state[0]


class ModelExchange:
    """``now`` is its own clock. ``changed`` is called with the holder and the market after each fill."""

    def __init__(
        self, venue_id: str, instruments: Mapping[Symbol, Instrument], prices: Mapping[Symbol, Decimal]
    ) -> None:
        self.venue_id = venue_id
        self.instruments = instruments
        self.prices = dict(prices)
        self.holders: dict[AccountId, Holder] = {}
        self.marks: dict[Symbol, list[PricePoint]] = {}
        self.number = 0
        self.now: Callable[[], datetime]
        self.changed: Callable[[Holder, Fill], None] = lambda holder, fill: None

    def copy(self) -> ModelExchange:
        twin = ModelExchange(self.venue_id, self.instruments, self.prices)
        twin.holders = {key: holder.copy() for key, holder in self.holders.items()}
        twin.number = self.number
        return twin

    def holder(self, account_id: AccountId) -> Holder:
        known = self.holders.get(account_id)
        if known is None:
            known = self.holders[account_id] = Holder(account_id)
        return known

    # --- prices ---------------------------------------------------------------------------------

    def tick(self, symbol: Symbol) -> None:
        """The price of now is remembered."""
        marks = self.marks.setdefault(symbol, [])
        if marks and marks[-1].at == self.now():
            marks.pop()
        marks.append(PricePoint(self.now(), self.prices[symbol]))

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.prices[symbol] = price
        self.tick(symbol)
        for holder in self.holders.values():
            for client_order_id, above in list(holder.resting.items()):
                report = holder.orders[client_order_id]
                waits = report.type is not OrderType.MARKET and report.symbol == symbol
                if waits and self._fires(report, above, price):
                    self.fire(holder, client_order_id)

    def _fires(self, report: OrderReport, above: bool, price: Decimal) -> bool:
        at = report.trigger_price or report.limit_price or ZERO
        return price >= at if above else price <= at

    def fire(self, holder: Holder, client_order_id: str) -> None:
        report = holder.orders[client_order_id]
        del holder.resting[client_order_id]
        held = holder.quantity(report.symbol, report.position_side)
        quantity = min(report.quantity, held) if report.reduce_only else report.quantity
        if quantity <= 0:
            self._put(holder, replace(report, status=OrderStatus.EXPIRED, reason="its leg is gone"))
            return
        self._execute(holder, report, quantity, OrderStatus.FILLED)

    def price_history(self, symbol: Symbol, since: datetime, points: int) -> tuple[PricePoint, ...]:
        self._require(symbol)
        now = PricePoint(self.now(), self.prices[symbol])
        earlier = [mark for mark in self.marks.get(symbol, ()) if since <= mark.at < now.at]
        return thinned((*earlier, now) if now.at >= since else (), points)

    def _require(self, symbol: Symbol) -> None:
        if symbol not in self.instruments:
            raise InstrumentUnavailable("Invalid symbol.", venue=self.venue_id, code="-1121")

    # --- reading --------------------------------------------------------------------------------

    def view(
        self, holder: Holder, symbols: Collection[Symbol], *, lag: float, read_at: datetime
    ) -> tuple[AccountView, bool]:
        """And whether what it shows of the account is out of date."""
        now = self.now()
        positions, orders = holder.moment(lag, now)
        for symbol in symbols:
            self._require(symbol)
        shown = {*symbols, *(symbol for symbol, _ in positions)}
        stale = positions is not holder.positions and (
            positions != holder.positions or orders != holder.open_orders()
        )
        view = AccountView(
            at=now,
            read_at=read_at,
            balance=self._balance(holder, positions),
            position_mode=holder.mode,
            positions=tuple(positions.values()),
            leg_settings={
                (symbol, side): holder.settings.get((symbol, side), DEFAULT)
                for symbol in self.instruments
                for side in SIDES
            },
            markets={symbol: self._market(symbol, now) for symbol in shown},
            books={symbol: self._book(symbol, now) for symbol in shown},
            open_orders=orders,
        )
        return view, stale

    def _market(self, symbol: Symbol, now: datetime) -> MarketState:
        price, interval = self.prices[symbol], self.instruments[symbol].funding_interval
        return MarketState(symbol, price, price, price, FUNDING_RATE, interval, now + interval, now)

    def _book(self, symbol: Symbol, now: datetime) -> OrderBook:
        bid, ask = (self._price(symbol, side) for side in (OrderSide.SELL, OrderSide.BUY))
        return OrderBook(symbol, (BookLevel(bid, DEPTH),), (BookLevel(ask, DEPTH),), now)

    def _price(self, symbol: Symbol, side: OrderSide) -> Decimal:
        away = 1 + HALF_SPREAD if side is OrderSide.BUY else 1 - HALF_SPREAD
        return self.prices[symbol] * away

    def _balance(self, holder: Holder, positions: Mapping[LegKey, Position]) -> Balance:
        equity = free = holder.wallet
        maintenance = ZERO
        cross = False
        for (symbol, _), position in positions.items():
            instrument, mark = self.instruments[symbol], self.prices[symbol]
            gain = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)
            equity += gain
            if position.margin is not None:
                free -= position.margin
                continue
            cross = True
            free += gain - initial_margin(instrument, position.quantity, mark, leverage=position.leverage)
            maintenance += maintenance_margin(instrument, position.quantity, mark)
        ratio = margin_ratio(maintenance=maintenance, equity=equity) if cross else None
        return Balance("USDT", holder.wallet, equity, max(ZERO, free), maintenance, ratio)

    # --- writing --------------------------------------------------------------------------------

    def submit(
        self,
        holder: Holder,
        request: OrderRequest,
        *,
        share: Decimal = Decimal(1),
        rests: bool = False,
    ) -> Outcome:
        """``share`` of a market order fills at once; the rest is canceled, or ``rests`` for a while."""
        if request.client_order_id in holder.orders:
            return DUPLICATE
        refused = self._refusal(holder, request)
        if refused is not None:
            return refused
        report = self._taken(request)
        self._remember(holder)
        holder.orders[request.client_order_id] = report
        if request.type is not OrderType.MARKET:
            holder.resting[request.client_order_id] = self._above(request)
            return Accepted(self._put(holder, report))
        lot = self.instruments[request.symbol].lot_size
        held = holder.quantity(request.symbol, request.position_side)
        whole = min(request.quantity, held) if request.reduce_only else request.quantity
        part = whole if share == 1 else max(lot, whole * share // lot * lot)
        if part >= whole:
            ends = OrderStatus.FILLED if whole == request.quantity else OrderStatus.CANCELED
            return Accepted(self._execute(holder, report, whole, ends))
        if rests:
            holder.resting[request.client_order_id] = True
        return Accepted(
            self._execute(holder, report, part, OrderStatus.OPEN if rests else OrderStatus.CANCELED)
        )

    def _refusal(self, holder: Holder, request: OrderRequest) -> Rejected | None:
        instrument = self.instruments.get(request.symbol)
        if instrument is None or self.now() >= request.valid_until:
            return TOO_LATE
        held = holder.quantity(request.symbol, request.position_side)
        if request.quantity <= 0 or (request.quantity % instrument.lot_size and request.quantity != held):
            return NOT_ON_GRID
        if request.type.conditional:
            fires = self._fires(self._taken(request), self._above(request), self.prices[request.symbol])
            return AT_ONCE if fires else None
        if request.reduce_only:
            return None if held else REDUCE_ONLY
        setting = holder.settings.get((request.symbol, request.position_side), DEFAULT)
        price = self._price(request.symbol, request.side)
        needed = initial_margin(instrument, request.quantity, price, leverage=setting.leverage)
        return NO_MARGIN if needed > self._balance(holder, holder.positions).free else None

    def _above(self, request: OrderRequest) -> bool:
        """Whether it fires when the price is at its own or above."""
        selling = request.side is OrderSide.SELL
        if request.type is OrderType.TRIGGER:
            return (request.trigger_price or ZERO) > self.prices[request.symbol]
        return selling is not (request.type is OrderType.STOP_LOSS)

    def _taken(self, request: OrderRequest) -> OrderReport:
        return OrderReport(
            client_order_id=request.client_order_id,
            venue_order_id=f"o{self.number}",
            symbol=request.symbol,
            side=request.side,
            position_side=request.position_side,
            type=request.type,
            status=OrderStatus.OPEN,
            quantity=request.quantity,
            filled_quantity=ZERO,
            average_price=None,
            fee=ZERO,
            updated_at=self.now(),
            reduce_only=request.reduce_only,
            limit_price=request.limit_price,
            trigger_price=request.trigger_price,
        )

    def finish(self, holder: Holder, client_order_id: str) -> None:
        """What rested of a market order fills after all."""
        report = holder.orders[client_order_id]
        if report.status.final:
            return
        held = holder.quantity(report.symbol, report.position_side)
        left = report.quantity - report.filled_quantity
        quantity = min(left, held) if report.reduce_only else left
        holder.resting.pop(client_order_id, None)
        if quantity <= 0:
            self._put(holder, replace(report, status=OrderStatus.CANCELED, reason="nothing left to reduce"))
            return
        self._execute(holder, report, quantity, OrderStatus.FILLED)

    def drop(self, holder: Holder, client_order_id: str) -> None:
        """A resting order is gone, and nobody asked for it."""
        del holder.resting[client_order_id]
        self._put(
            holder, replace(holder.orders[client_order_id], status=OrderStatus.CANCELED, reason=DROPPED)
        )

    def cancel(self, holder: Holder, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        report = holder.orders.get(client_order_id)
        if report is None or report.symbol != symbol:
            return None
        if report.status.final:
            return report
        holder.resting.pop(client_order_id, None)
        return self._put(holder, replace(report, status=OrderStatus.CANCELED, reason="Canceled by the user."))

    def set_leg(self, holder: Holder, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        self._require(symbol)
        if not 1 <= setting.leverage <= self.instruments[symbol].max_leverage:
            raise InvalidOrder("Leverage is not valid.", venue=self.venue_id, code="-4028")
        position = holder.positions.get((symbol, side))
        if position is not None and position.margin_mode is not setting.margin_mode:
            raise InvalidOrder("Margin type cannot be changed.", venue=self.venue_id, code="-4048")
        holder.settings[symbol, side] = setting

    def set_position_mode(self, holder: Holder, mode: PositionMode) -> None:
        if mode is not holder.mode and (holder.positions or holder.resting):
            raise WrongPositionMode("Position side cannot be changed.", venue=self.venue_id, code="-4068")
        holder.mode = mode

    def add_margin(self, holder: Holder, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        position = holder.positions.get((symbol, side))
        if position is None or position.margin is None:
            raise InvalidOrder("Add margin only support for isolated position.", venue=self.venue_id)
        if amount > self._balance(holder, holder.positions).free:
            raise InsufficientMargin("Isolated balance insufficient.", venue=self.venue_id)
        self._remember(holder)
        self._hold(holder, replace(position, margin=position.margin + amount))
        holder.margins.append(amount)
        self._note(holder)

    def liquidate(self, holder: Holder, symbol: Symbol, side: PositionSide) -> bool:
        """The exchange closes the leg by itself."""
        quantity = holder.quantity(symbol, side)
        if quantity:
            self.close_by_itself(holder, symbol, side, quantity, FillCause.LIQUIDATION)
        return quantity > 0

    def close_by_itself(
        self, holder: Holder, symbol: Symbol, side: PositionSide, quantity: Decimal, cause: FillCause
    ) -> None:
        self._trade(holder, (symbol, side), side.closing, quantity, None, cause)

    def by_hand(
        self, holder: Holder, symbol: Symbol, side: PositionSide, quantity: Decimal, *, opens: bool
    ) -> None:
        order_side = side.opening if opens else side.closing
        self._trade(holder, (symbol, side), order_side, quantity, f"web{self.number}", FillCause.TRADE)

    # --- fills ----------------------------------------------------------------------------------

    def _execute(
        self, holder: Holder, report: OrderReport, quantity: Decimal, ends: OrderStatus
    ) -> OrderReport:
        key = report.symbol, report.position_side
        price = self._price(report.symbol, report.side)
        instrument = self.instruments[report.symbol]
        filled = report.filled_quantity + quantity
        before = report.average_price
        average = (
            price
            if before is None
            else average_entry(
                instrument, held=report.filled_quantity, entry=before, added=quantity, price=price
            )
        )
        done = replace(
            report,
            status=ends,
            filled_quantity=filled,
            average_price=average,
            fee=report.fee + fee(instrument, quantity, price),
            updated_at=self.now(),
        )
        self._remember(holder)
        self._put(holder, done, note=False)
        self._trade(holder, key, report.side, quantity, report.client_order_id, FillCause.TRADE)
        return done

    def _trade(
        self,
        holder: Holder,
        key: LegKey,
        side: OrderSide,
        quantity: Decimal,
        client_order_id: str | None,
        cause: FillCause,
    ) -> None:
        symbol, leg = key
        price, instrument = self._price(symbol, side), self.instruments[symbol]
        paid = fee(instrument, quantity, price)
        self._remember(holder)
        realized = self._move(holder, key, opens=side is leg.opening, quantity=quantity, price=price)
        holder.wallet += realized - paid
        self.number += 1
        fill = Fill(
            f"f{self.number}",
            symbol,
            side,
            leg,
            quantity,
            price,
            paid,
            realized,
            self.now(),
            client_order_id,
            cause,
        )
        holder.fills.append(fill)
        self._note(holder)
        self.changed(holder, fill)

    def _move(
        self, holder: Holder, key: LegKey, *, opens: bool, quantity: Decimal, price: Decimal
    ) -> Decimal:
        """What it realized."""
        symbol, side = key
        instrument, position = self.instruments[symbol], holder.positions.get(key)
        if opens:
            self._grow(holder, key, quantity, price)
            return ZERO
        if position is None or position.quantity < quantity:
            raise AssertionError(f"{quantity} of {position} cannot be closed")
        left = position.quantity - quantity
        if left:
            margin = None if position.margin is None else position.margin * left / position.quantity
            self._hold(holder, replace(position, quantity=left, margin=margin))
        else:
            del holder.positions[key]
        return unrealized_pnl(instrument, side, quantity, position.entry_price, price)

    def _grow(self, holder: Holder, key: LegKey, quantity: Decimal, price: Decimal) -> None:
        symbol, side = key
        instrument, setting = self.instruments[symbol], holder.settings.get(key, DEFAULT)
        before = holder.positions.get(key)
        isolated = setting.margin_mode is MarginMode.ISOLATED
        if before is None:
            before = Position(
                symbol,
                side,
                ZERO,
                price,
                setting.leverage,
                setting.margin_mode,
                ZERO if isolated else None,
                opened_at=self.now(),
            )
        entry = average_entry(
            instrument, held=before.quantity, entry=before.entry_price, added=quantity, price=price
        )
        margin = before.margin
        if margin is not None:
            margin += initial_margin(instrument, quantity, price, leverage=setting.leverage)
        self._hold(
            holder, replace(before, quantity=before.quantity + quantity, entry_price=entry, margin=margin)
        )

    def _hold(self, holder: Holder, position: Position) -> None:
        """With its liquidation price, where it has one of its own."""
        if position.margin is not None:
            price = isolated_liquidation_price(
                self.instruments[position.symbol],
                position,
                margin=position.margin,
                mark_price=self.prices[position.symbol],
            )
            position = replace(position, liquidation_price=price)
        holder.positions[position.symbol, position.side] = position

    def _put(self, holder: Holder, report: OrderReport, *, note: bool = True) -> OrderReport:
        if note:
            self._remember(holder)
        self.number += 1
        report = replace(report, updated_at=self.now())
        holder.orders[report.client_order_id] = report
        holder.order_past.setdefault(report.client_order_id, []).append((self.now(), report))
        if note:
            self._note(holder)
        return report

    def _remember(self, holder: Holder) -> None:
        """Before anything changes: the first state has no other record."""
        if not holder.past:
            holder.past.append((self.now() - timedelta(days=1), self._moment(holder)))

    def _note(self, holder: Holder) -> None:
        holder.past.append((self.now(), self._moment(holder)))

    def _moment(self, holder: Holder) -> Moment:
        return dict(holder.positions), holder.open_orders()
