"""Real public prices of a venue for the paper exchange; no key needed. ccxt is imported on start only."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

from chatbot.domain.instrument import Symbol
from chatbot.domain.market import PricePoint
from chatbot.errors import SettingsError, VenueUnavailable
from chatbot.ports import Clock
from chatbot.venues.feeds import BTC, ETH, SOL, Prices

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# The longest pause between polls while the venue does not answer.
LONGEST_PAUSE = 30.0
MAX_AGE = timedelta(seconds=30)
USUAL_INTERVAL = timedelta(hours=8)
BOOK_DEPTH = 5
# What ccxt and our own reading stumble over when an answer has not the expected shape.
GARBLED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# The venues whose perpetuals live in a class of their own.
PERPETUALS_OF = {"binance": "binanceusdm", "kucoin": "kucoinfutures"}


Reading = tuple[datetime, dict[Symbol, Prices]]


class LiveView:
    """A ``PriceFeed`` of readings that somebody polls, taken in at the steps of one market."""

    real_time = True
    ends_at: datetime | None = None
    max_age: timedelta | None = MAX_AGE

    def __init__(self, name: str) -> None:
        self.name = name
        self.symbols: Sequence[Symbol] = (BTC, ETH, SOL)
        self._waiting: list[Reading] = []
        self._now: Reading | None = None

    def take(self, reading: Reading) -> None:
        self._waiting.append(reading)

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        return resumed or now

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        while self._waiting and self._waiting[0][0] <= until:
            self._now = self._waiting.pop(0)
            yield max(after, self._now[0])

    def latest(self, until: datetime) -> datetime | None:
        return self._now and self._now[0]

    def prices(self, symbol: Symbol, at: datetime) -> Prices | None:
        return self._now[1].get(symbol) if self._now else None

    def past(self, symbol: Symbol, since: datetime) -> Sequence[PricePoint]:
        return ()  # only what was polled


class LivePrices(LiveView):
    """A ``PriceFeed`` that runs beside the exchange: ``run`` polls until canceled, ``close`` disconnects.

    Where a venue tells no mark price with its funding rate, the middle of its book stands in for it.
    """

    def __init__(self, venue: str, clock: Clock, *, api_url: str | None = None) -> None:
        super().__init__(f"live:{venue}")
        self._venue = venue
        self._clock = clock
        self._api_url = api_url
        self._client: Any = None
        self._errors: type[Exception] = VenueUnavailable
        self._intervals: dict[str, timedelta] | None = None
        self._views: WeakSet[LiveView] = WeakSet()

    def view(self) -> LiveView:
        """For one more market on the same prices."""
        made = LiveView(self.name)
        self._views.add(made)
        return made

    # --- the feed -------------------------------------------------------------------------------

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        """Raises ``SettingsError`` when ccxt knows no such venue."""
        self._connect()
        return resumed or now

    # --- polling --------------------------------------------------------------------------------

    async def run(self) -> None:
        pause = POLL_SECONDS
        while True:
            try:
                await self.poll()
                pause = POLL_SECONDS
            except VenueUnavailable as error:
                pause = min(pause * 2, LONGEST_PAUSE)
                log.warning("no live prices", extra={"venue": self._venue, "reason": error.message})
            await self._clock.sleep(pause)

    async def poll(self) -> None:
        """One reading of every symbol; those that fail keep their old price and grow stale."""
        client = self._connect()
        try:
            await client.load_markets()
            if self._intervals is None:
                self._intervals = await self._read_intervals(client)
            listed = [symbol for symbol in self.symbols if symbol in client.markets]
            answers = await asyncio.gather(*(self._read(client, symbol) for symbol in listed))
        except (self._errors, *GARBLED) as error:
            raise VenueUnavailable(f"{type(error).__name__} from {self._venue}", venue=self._venue) from error
        found = {symbol: prices for symbol, prices in zip(listed, answers, strict=True) if prices}
        if not found:
            raise VenueUnavailable("The venue told no usable price.", venue=self._venue)
        for market in (self, *self._views):
            market.take((self._clock.now(), found))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _connect(self) -> Any:
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _make_client(self) -> Any:
        # Half a second and eighty megabytes that only a live market should cost.
        import ccxt.async_support as ccxt  # noqa: PLC0415

        name = PERPETUALS_OF.get(self._venue, self._venue)
        if name not in ccxt.exchanges:
            raise SettingsError(
                f"HEDGEROW_PAPER__MARKET: there is no venue {self._venue!r}. "
                "Expected live:VENUE, for example live:binance."
            )
        client = getattr(ccxt, name)(
            {"enableRateLimit": True, "number": str, "options": {"defaultType": "swap"}}
        )
        client.number = str
        if self._api_url:
            client.urls["api"] = redirected(client.urls["api"], self._api_url)
        self._errors = ccxt.BaseError
        return client

    async def _read_intervals(self, client: Any) -> dict[str, timedelta]:
        if not client.has.get("fetchFundingIntervals"):
            return {}
        answers = await client.fetch_funding_intervals()
        read = {symbol: interval(answer.get("interval")) for symbol, answer in answers.items()}
        return {symbol: length for symbol, length in read.items() if length}

    async def _read(self, client: Any, symbol: Symbol) -> Prices | None:
        rate, book = await asyncio.gather(
            client.fetch_funding_rate(symbol), client.fetch_order_book(symbol, BOOK_DEPTH)
        )
        usual = (self._intervals or {}).get(symbol, USUAL_INTERVAL)
        try:
            return parse(rate, book, usual)
        except GARBLED:
            log.warning("unusable live price", extra={"venue": self._venue, "symbol": symbol})
            return None


def parse(rate: Mapping[str, Any], book: Mapping[str, Any], usual: timedelta) -> Prices:
    """One symbol's answers as prices. Raises what ``Decimal`` and lookups raise on an unusable answer."""
    bid, ask = _positive(book["bids"][0][0]), _positive(book["asks"][0][0])
    mid = (bid + ask) / 2
    told_at = rate.get("fundingTimestamp") or rate.get("nextFundingTimestamp")
    return Prices(
        mark=_positive(rate["markPrice"]) if rate.get("markPrice") else mid,
        mid=mid,
        index=_positive(rate["indexPrice"]) if rate.get("indexPrice") else mid,
        funding_rate=_finite(rate["fundingRate"]),
        next_funding_at=datetime.fromtimestamp(int(told_at) / 1000, UTC) if told_at else None,
        funding_interval=interval(rate.get("interval")) or usual,
    )


def interval(text: str | None) -> timedelta | None:
    """ "8h" as ccxt writes it."""
    match = re.fullmatch(r"(\d{1,2})h", text or "")
    return timedelta(hours=int(match[1])) if match and int(match[1]) else None


def redirected(urls: Any, base: str) -> Any:
    """The same addresses on another scheme and host; ccxt nests them."""
    if isinstance(urls, dict):
        return {name: redirected(url, base) for name, url in urls.items()}
    target = urlsplit(base)
    return urlunsplit(urlsplit(urls)._replace(scheme=target.scheme, netloc=target.netloc))


def _finite(value: object) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number


def _positive(value: object) -> Decimal:
    number = _finite(value)
    if number <= 0:
        raise ValueError("not a price")
    return number
