"""One account's door to the model exchange, with the network and its weather in between.

A request that has left arrives whether or not its sender still lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar

from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide, Symbol
from chatbot.domain.market import PricePoint
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
    Unknown,
)
from chatbot.errors import HedgerowError, OutcomeUnknown, RateLimited, VenueRejected, VenueUnavailable
from chatbot.ports import Clock
from tests.simulation.exchange import Holder, ModelExchange
from tests.simulation.fate import Fate, Life
from tests.simulation.loop import VirtualLoop
from tests.simulation.weather import Kind, Weather

T = TypeVar("T")

TIMED_OUT = "The exchange did not answer in time."
BROKEN = "502 Bad Gateway"
FILLS_LATER = (1.0, 3.0, 20.0, 40.0, 40.0)  # seconds after which the rest of a partly filled order fills


class Inspector(Protocol):
    """Looks at what leaves and at what arrives."""

    def sends(self, holder: Holder, requests: Sequence[OrderRequest], now: datetime) -> None: ...

    def arrives(self, holder: Holder, request: OrderRequest) -> None: ...


@dataclass(frozen=True)
class Network:
    loop: VirtualLoop
    weather: Weather
    inspector: Inspector | None = None

    def later(self, seconds: float, happens: Callable[[], object]) -> None:
        self.loop.at(self.loop.time() + seconds, happens)


class ModelVenue:
    """Implements ``chatbot.ports.Venue`` for one life of the bot."""

    def __init__(
        self, exchange: ModelExchange, holder: Holder, clock: Clock, network: Network, fate: Fate, life: Life
    ) -> None:
        self._exchange = exchange
        self._holder = holder
        self._clock = clock
        self._network = network
        self._weather = network.weather
        self._fate = fate
        self._life = life

    @property
    def venue_id(self) -> str:
        return self._exchange.venue_id

    # --- reads ----------------------------------------------------------------------------------

    async def instruments(self) -> Mapping[Symbol, Instrument]:
        """Known since the first reading, as adapters keep it."""
        return self._exchange.instruments

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        return await self._read(lambda: self._view(symbols))

    def _view(self, symbols: Collection[Symbol]) -> AccountView:
        lag = self._weather.position_lag()
        view, stale = self._exchange.view(self._holder, symbols, lag=lag, read_at=self._clock.now())
        if stale:
            self._weather.hit(Kind.STALE_POSITION)
        return view

    async def order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        return await self._read(lambda: self._order(symbol, client_order_id))

    def _order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        lag = self._weather.climate.order_lag
        report = self._holder.order(client_order_id, lag, self._exchange.now())
        if report != self._holder.orders.get(client_order_id):
            self._weather.hit(Kind.STALE_ORDER)
        return report if report is not None and report.symbol == symbol else None

    async def fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        return await self._read(lambda: self._fills(symbol, since))

    def _fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        fills = tuple(f for f in self._holder.fills if f.symbol == symbol and f.at >= since)
        if not self._weather.climate.hides_history:
            return fills
        return tuple(fill for fill in fills if not self._hidden(fill))

    def _hidden(self, fill: Fill) -> bool:
        """Of an order that the look-up does not show yet."""
        known = fill.client_order_id in self._holder.orders
        lag = self._weather.climate.order_lag
        now = self._exchange.now()
        hidden = known and self._holder.order(str(fill.client_order_id), lag, now) is None
        if hidden:
            self._weather.hit(Kind.STALE_ORDER)
        return hidden

    async def funding_payments(self, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        return await self._read(lambda: ())

    async def price_history(
        self, symbol: Symbol, since: datetime, *, points: int = 300
    ) -> tuple[PricePoint, ...]:
        return await self._read(lambda: self._exchange.price_history(symbol, since, points))

    async def _read(self, question: Callable[[], T]) -> T:
        fault = self._weather.of_read()
        self._fate.step(self._life, "ask")
        if latency := self._weather.latency():
            await asyncio.sleep(latency)
        if fault is not None:
            self._weather.hit(fault)
            self._weather.reads_failed_at = self._network.loop.time()
            raise _unreadable(fault, self.venue_id)
        return question()

    # --- writes ---------------------------------------------------------------------------------

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        if self._network.inspector is not None:
            self._network.inspector.sends(self._holder, orders, self._clock.now())
        faults = [self._weather.of_order() for _ in orders]
        return await self._carry(lambda: tuple(map(self._arrive, orders, faults)))

    async def cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        return await self._write(lambda: self._cancel(symbol, client_order_id))

    def _cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        """Of one that has ended already an exchange only says so: the rest has to be looked up."""
        known = self._holder.orders.get(client_order_id)
        if known is not None and known.status.final:
            return self._order(symbol, client_order_id)
        return self._exchange.cancel(self._holder, symbol, client_order_id)

    async def set_position_mode(self, mode: PositionMode) -> None:
        await self._write(lambda: self._exchange.set_position_mode(self._holder, mode))

    async def set_leg(self, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        await self._write(lambda: self._exchange.set_leg(self._holder, symbol, side, setting))

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        await self._write(lambda: self._exchange.add_margin(self._holder, symbol, side, amount))

    # --- the way there and back -----------------------------------------------------------------

    async def _carry(self, act: Callable[[], T]) -> T:
        self._fate.step(self._life, "send")
        if latency := self._weather.latency():
            answer = await self._travel(act, latency)
        else:
            answer = act()
        self._fate.step(self._life, "answer")
        return answer

    async def _travel(self, act: Callable[[], T], latency: float) -> T:
        done: asyncio.Future[T] = self._network.loop.create_future()

        def arrive() -> None:
            try:
                settle: Callable[[], Any] = partial(done.set_result, act())
            except HedgerowError as error:
                settle = partial(done.set_exception, error)
            self._network.later(latency, lambda: None if self._life.dead or done.done() else settle())

        self._network.later(latency, arrive)
        return await done

    async def _write(self, act: Callable[[], T]) -> T:
        fault = self._weather.of_write()
        if fault is Kind.TOO_MANY:
            self._weather.hit(fault)
            raise RateLimited("Too many requests.", venue=self.venue_id, retry_after=1.0)
        return await self._carry(lambda: self._carry_out(act, fault))

    def _carry_out(self, act: Callable[[], T], fault: Kind | None) -> T:
        if fault is None:
            return act()
        self._weather.hit(fault)
        if fault is Kind.REJECTED:
            raise VenueRejected("Unknown order sent.", venue=self.venue_id, code="-2011")
        if fault is Kind.REPLY_LOST or (fault is Kind.SERVER_ERROR and self._weather.rng.random() < 0.5):
            act()
        raise OutcomeUnknown(BROKEN if fault is Kind.SERVER_ERROR else TIMED_OUT, venue=self.venue_id)

    # --- orders ---------------------------------------------------------------------------------

    def _arrive(self, request: OrderRequest, fault: Kind | None) -> Outcome:
        happens = self._arrivals.get(fault)
        return self._submit(request) if happens is None else happens(self, request)

    def _submit(self, request: OrderRequest, *, share: Decimal = Decimal(1), rests: bool = False) -> Outcome:
        if self._network.inspector is not None:
            self._network.inspector.arrives(self._holder, request)
        return self._exchange.submit(self._holder, request, share=share, rests=rests)

    def _lost(self, request: OrderRequest) -> Outcome:
        self._weather.hit(Kind.REQUEST_LOST)
        return Unknown(TIMED_OUT)

    def _unanswered(self, request: OrderRequest) -> Outcome:
        self._weather.hit(Kind.REPLY_LOST)
        self._submit(request)
        return Unknown(TIMED_OUT)

    def _late(self, request: OrderRequest) -> Outcome:
        def arrive() -> None:
            self._weather.hit(Kind.LATE)
            self._submit(request)

        self._network.later(self._weather.rng.choice(self._weather.climate.late), arrive)
        return Unknown(TIMED_OUT)

    def _duplicated(self, request: OrderRequest) -> Outcome:
        """A gateway sends it twice; what comes back is the answer to the copy."""
        first = self._submit(request)
        if not isinstance(first, Accepted):
            return first
        self._weather.hit(Kind.DUPLICATE)
        return self._exchange.submit(self._holder, request)

    def _rejected(self, request: OrderRequest) -> Outcome:
        self._weather.hit(Kind.REJECTED)
        return self._weather.refusal()

    def _partial(self, request: OrderRequest) -> Outcome:
        outcome = self._submit(request, share=self._weather.share(), rests=self._weather.rests())
        if isinstance(outcome, Accepted) and request.type is OrderType.MARKET:
            self._partly_filled(outcome.report)
        return outcome

    def _partly_filled(self, report: OrderReport) -> None:
        if report.filled_quantity < report.quantity:
            self._weather.hit(Kind.PARTIAL)
        if report.status is OrderStatus.OPEN:
            self._network.later(
                self._weather.rng.choice(FILLS_LATER),
                lambda: self._exchange.finish(self._holder, report.client_order_id),
            )

    def _broken(self, request: OrderRequest) -> Outcome:
        self._weather.hit(Kind.SERVER_ERROR)
        if self._weather.rng.random() < 0.5:
            self._submit(request)
        return Unknown(BROKEN)

    def _too_many(self, request: OrderRequest) -> Outcome:
        self._weather.hit(Kind.TOO_MANY)
        return Rejected("Too many requests.", "429", "RateLimited")

    _arrivals: Mapping[Kind | None, Callable[[ModelVenue, OrderRequest], Outcome]] = {
        Kind.REQUEST_LOST: _lost,
        Kind.REPLY_LOST: _unanswered,
        Kind.LATE: _late,
        Kind.DUPLICATE: _duplicated,
        Kind.REJECTED: _rejected,
        Kind.PARTIAL: _partial,
        Kind.SERVER_ERROR: _broken,
        Kind.TOO_MANY: _too_many,
    }


def _unreadable(fault: Kind, venue_id: str) -> VenueUnavailable:
    if fault is Kind.TOO_MANY:
        return RateLimited("Too many requests.", venue=venue_id, retry_after=2.0)
    return VenueUnavailable(BROKEN, venue=venue_id)
