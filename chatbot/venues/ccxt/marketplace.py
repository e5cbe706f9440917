"""What all accounts of one venue share: markets, tiers, prices and the pace of requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import localcontext
from typing import Any, Generic, TypeVar

from chatbot.domain.instrument import Instrument, Symbol
from chatbot.domain.market import MarketState, OrderBook
from chatbot.errors import InstrumentUnavailable, VenueError, VenueUnavailable
from chatbot.ports import ROUTINE, Clock, Credentials
from chatbot.venues.ccxt import parse
from chatbot.venues.ccxt.access import STUMBLES, Access, together
from chatbot.venues.ccxt.clones import Client, Connections, make_template
from chatbot.venues.ccxt.dialects.binance import Binance
from chatbot.venues.ccxt.dialects.bybit import Bybit
from chatbot.venues.ccxt.dialects.common import Dialect
from chatbot.venues.ccxt.dialects.okx import Okx
from chatbot.venues.ccxt.limiter import Limiter, Urgency
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.memory import AccountMemory
from chatbot.venues.ccxt.outcomes import read_error
from chatbot.venues.ccxt.quirks import Call, Quirks
from chatbot.venues.ccxt.reading import Garbled
from chatbot.venues.ccxt.streams import Connection, know_markets, stream_template, tells_positions

log = logging.getLogger(__name__)
Value = TypeVar("Value")

DIALECTS: Mapping[str, type[Dialect]] = {"binance": Binance, "bybit": Bybit, "okx": Okx}
LISTING_IS_FRESH_FOR = timedelta(hours=6)
OFFSET_IS_FRESH_FOR = timedelta(minutes=10)
PRICES_ARE_FRESH_FOR = timedelta(seconds=1)
CLOCKS_MAY_DIFFER = timedelta(seconds=5)  # requests bear the venue's time, but streams are signed by ours


class Once(Generic[Value]):
    """A value that is asked for once, however many want it, and again when it is too old."""

    def __init__(self, clock: Clock, fresh_for: timedelta) -> None:
        self._clock = clock
        self._fresh_for = fresh_for
        self._lock = asyncio.Lock()
        self._value: Value | None = None
        self._read_at: datetime | None = None

    async def get(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        """An old value is better than none: it stands in when asking again fails."""
        async with self._lock:
            if self._value is None:
                return await self._ask(ask)
            if self._is_old():
                try:
                    return await self._ask(ask)
                except VenueUnavailable:
                    if self._fresh_for <= PRICES_ARE_FRESH_FOR:
                        raise
            return self._value

    def forget(self) -> None:
        self._value = None

    def _is_old(self) -> bool:
        return self._read_at is None or self._clock.now() - self._read_at >= self._fresh_for

    async def _ask(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        began = self._clock.now()
        self._value = await ask()
        self._read_at = began
        return self._value


class Kept(Once[Value]):
    """As ``Once``, but an old value is given at once and replaced meanwhile: some lists take 15 s to load,
    and an order must not wait for one.
    """

    _replacing: asyncio.Task[None] | None = None

    async def get(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        if self._value is None:
            return await super().get(ask)
        if self._is_old() and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._replace(ask), name="a list is read again")
        return self._value

    async def _replace(self, ask: Callable[[], Awaitable[Value]]) -> None:
        ROUTINE.set(True)
        with contextlib.suppress(VenueError):
            await self._ask(ask)

    def close(self) -> None:
        if self._replacing is not None:
            self._replacing.cancel()


@dataclass(frozen=True, slots=True)
class Listing:
    """A venue's keyless client with its markets, and the symbols by the venue's own names."""

    template: Client
    names: Mapping[str, Symbol]


@dataclass(frozen=True, slots=True)
class Health:
    """``offset``: how far the venue's clock is ahead of ours. ``trouble``: why it cannot be reached."""

    venue_id: str
    reachable: bool
    offset: timedelta | None = None
    markets: int = 0
    trouble: str = ""


class Marketplace:
    def __init__(
        self,
        quirks: Quirks,
        connections: Connections,
        clock: Clock,
        *,
        api_url: str | None = None,
        practice: bool = False,
        prices_fresh_for: timedelta = PRICES_ARE_FRESH_FOR,
    ) -> None:
        self.quirks = quirks
        self.clock = clock
        self.limiter = Limiter(quirks.title, quirks.budget, clock)
        self._connections = connections
        self._api_url = api_url
        self.practice = practice
        self._prices_fresh_for = prices_fresh_for
        self._listing: Kept[Listing] = Kept(clock, LISTING_IS_FRESH_FOR)
        self._offset: Once[float] = Once(clock, OFFSET_IS_FRESH_FOR)
        self._listed: Kept[Mapping[Symbol, Instrument]] = Kept(clock, LISTING_IS_FRESH_FOR)
        self._markets: dict[Symbol, Once[MarketState]] = {}
        self._books: dict[tuple[Symbol, int], Once[OrderBook]] = {}
        self._streams: Client | None = None
        self.clock_ahead: timedelta | None = None

    async def dialect(self, credentials: Credentials | None, memory: AccountMemory | None = None) -> Dialect:
        """The way of one account. Raises VenueUnavailable while the markets cannot be loaded."""
        listing = await self._listing.get(self._load)
        difference = await self._offset.get(lambda: self._measure(listing.template))
        listing.template.options["timeDifference"] = difference
        access = Access(
            quirks=self.quirks,
            template=listing.template,
            limiter=self.limiter,
            clock=self.clock,
            names=listing.names,
            credentials=credentials,
        )
        return DIALECTS.get(self.quirks.id, Dialect)(access, memory or AccountMemory())

    async def connection(self, credentials: Credentials | None) -> Connection | None:
        """A websocket to be. ``None`` where there are none; practice accounts have them elsewhere."""
        if self.practice:
            return None
        listed = (await self.dialect(None)).access.template
        if self._streams is None:
            self._streams = stream_template(self.quirks, self._connections, listed, api_url=self._api_url)
            self._set_clock(self._streams)
        if self._streams is None or (credentials and not tells_positions(self._streams)):
            return None
        know_markets(self._streams, listed)
        self._connections.lend(self._streams)
        await self.limiter.admit(self.quirks.weight(Call.KEY), Urgency.READ)
        return Connection(self.quirks, self._streams, credentials)

    async def instruments(self, dialect: Dialect) -> Mapping[Symbol, Instrument]:
        """Margin tiers come with the first account that asks: some venues show them to keys only."""
        return await self._listed.get(lambda: self._read_instruments(dialect))

    async def market(self, dialect: Dialect, instrument: Instrument) -> MarketState:
        once = self._markets.setdefault(instrument.symbol, Once(self.clock, self._prices_fresh_for))
        return await once.get(lambda: dialect.market(instrument))

    async def book(self, dialect: Dialect, instrument: Instrument, depth: int) -> OrderBook:
        key = (instrument.symbol, depth)
        once = self._books.setdefault(key, Once(self.clock, self._prices_fresh_for))
        return await once.get(lambda: dialect.book(instrument, depth))

    def close(self) -> None:
        self._listing.close()
        self._listed.close()

    async def health(self) -> Health:
        try:
            self._listing.forget()
            self._offset.forget()
            dialect = await self.dialect(None)
        except VenueUnavailable as error:
            return Health(self.quirks.id, reachable=False, trouble=error.message)
        ahead = -float(dialect.access.template.options.get("timeDifference") or 0)
        listed = sum(1 for symbol in dialect.access.markets if dialect.access.tradable(symbol))
        return Health(self.quirks.id, True, timedelta(milliseconds=ahead), listed)

    async def _load(self) -> Listing:
        template = make_template(
            self.quirks, self._connections, api_url=self._api_url, practice=self.practice
        )
        self._set_clock(template)
        await self._ask(template, "load_markets")
        return Listing(template, parse.symbols_by_id(template.markets.values()))

    def _set_clock(self, template: Client | None) -> None:
        """Requests are stamped by the same clock that judges whether an order is still wanted."""
        if template is not None:
            template.milliseconds = lambda: int(self.clock.now().timestamp() * 1000)
            template.seconds = lambda: int(self.clock.now().timestamp())

    async def _measure(self, template: Client) -> float:
        """By how many milliseconds our clock is ahead: requests bear the venue's time."""
        if template.has.get("fetchTime") is not True:
            return 0.0
        difference = float(await self._ask(template, "load_time_difference"))
        self._note_clock(timedelta(milliseconds=-difference))
        return difference

    def _note_clock(self, ahead: timedelta) -> None:
        """The log is told when it begins, not every ten minutes."""
        before, self.clock_ahead = self.clock_ahead, ahead
        if abs(ahead) > CLOCKS_MAY_DIFFER and (before is None or abs(before) <= CLOCKS_MAY_DIFFER):
            log.warning(
                "the exchange's clock differs from ours: streams may be refused",
                extra={"venue": self.quirks.id, "venue_ahead_s": round(ahead.total_seconds(), 1)},
            )

    async def _ask(self, template: Client, method: str) -> Any:
        try:
            await self.limiter.admit(self.quirks.weight(Call.MARKETS), Urgency.READ)
            with localcontext():
                return await getattr(template, method)()
        except ccxt_errors().BaseError as error:
            raise read_error(error, self.quirks) from None
        except STUMBLES as error:
            raise Garbled(
                f"{self.quirks.title}: the answer to {method} cannot be read ({type(error).__name__}).",
                venue=self.quirks.id,
            ) from None

    async def _read_instruments(self, dialect: Dialect) -> Mapping[Symbol, Instrument]:
        tiers, intervals = await together(dialect.tiers(), dialect.intervals())
        found = {}
        for name, market in dialect.access.markets.items():
            symbol = Symbol(name)
            if dialect.access.tradable(symbol) and symbol in tiers:
                found[symbol] = parse.instrument(
                    self.quirks.id, market, tiers[symbol], funding_interval=intervals.get(symbol)
                )
        return found


def instrument_of(known: Mapping[Symbol, Instrument], symbol: Symbol, quirks: Quirks) -> Instrument:
    if symbol not in known:
        raise InstrumentUnavailable(f"{quirks.title} does not trade {symbol}.", venue=quirks.id)
    return known[symbol]
