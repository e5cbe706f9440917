"""What an exchange tells everybody: margin tiers, prices, books."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import Instrument, MarginTier, Symbol
from chatbot.domain.market import MarketState, OrderBook, PricePoint
from chatbot.venues.ccxt import parse
from chatbot.venues.ccxt.access import Access, together
from chatbot.venues.ccxt.memory import AccountMemory
from chatbot.venues.ccxt.quirks import Call
from chatbot.venues.ccxt.reading import Answer

PAGE = 1000
LEAST_PAGE = 100  # candles that every exchange tells at once
CANDLES = (
    ("1m", 60),
    ("5m", 300),
    ("15m", 900),
    ("30m", 1800),
    ("1h", 3600),
    ("2h", 7200),
    ("4h", 14_400),
    ("1d", 86_400),
)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


class PublicDialect:
    def __init__(self, access: Access, memory: AccountMemory) -> None:
        self.access = access
        self.memory = memory
        self.quirks = access.quirks

    @property
    def id(self) -> str:
        return self.quirks.id

    def native(self, symbol: Symbol) -> str:
        """The venue's own name of it."""
        return str(self.access.markets[symbol]["id"])

    def probe(self) -> Symbol:
        """A symbol that stands for all where a question needs one."""
        usual = (Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT"))
        listed = (s for s in (*usual, *self.tradable()) if s in self.access.markets)
        return next(listed, usual[0])

    def tradable(self) -> list[Symbol]:
        return [Symbol(s) for s in self.access.markets if self.access.tradable(s)]

    async def tiers(self) -> dict[Symbol, tuple[MarginTier, ...]]:
        if self.access.template.has.get("fetchLeverageTiers") is True:
            told = await self.access.read(Call.TIERS, "fetch_leverage_tiers")
            return {Symbol(s): self._tiers(rows) for s, rows in told.items() if rows}
        wanted = self.tradable()
        told = await together(*(self._tiers_of(symbol) for symbol in wanted))
        return dict(zip(wanted, told, strict=True))

    async def _tiers_of(self, symbol: Symbol) -> tuple[MarginTier, ...]:
        return self._tiers(await self.access.read(Call.TIERS, "fetch_market_leverage_tiers", symbol))

    def _tiers(self, rows: object, unit: Decimal = Decimal(1)) -> tuple[MarginTier, ...]:
        return parse.margin_tiers(self.id, rows, progressive=self.quirks.progressive_tiers, unit=unit)

    async def intervals(self) -> dict[Symbol, timedelta]:
        if self.access.template.has.get("fetchFundingIntervals") is not True:
            return {}
        told = await self.access.read(Call.MARKETS, "fetch_funding_intervals")
        read = {Symbol(symbol): parse.hours(row.get("interval")) for symbol, row in told.items()}
        return {symbol: length for symbol, length in read.items() if length}

    async def market(self, instrument: Instrument) -> MarketState:
        """Mark and index price from the funding rate or the ticker, whichever tells them."""
        symbol = instrument.symbol
        rate, ticker = await together(
            self.access.read(Call.MARKET, "fetch_funding_rate", symbol),
            self.access.read(Call.MARKET, "fetch_ticker", symbol),
        )
        told = Answer.of(self.id, f"funding rate of {symbol}", rate)
        last = Answer.of(self.id, f"ticker of {symbol}", ticker)
        return self.state(instrument, told, last)

    def state(self, instrument: Instrument, told: Answer, last: Answer | None) -> MarketState:
        interval = parse.hours(told.optional_text("interval")) or instrument.funding_interval
        read_at = self.access.venue_now()
        return parse.market_state(instrument.symbol, told, interval=interval, read_at=read_at, last=last)

    async def book(self, instrument: Instrument, depth: int) -> OrderBook:
        told = await self.access.read(Call.BOOK, "fetch_order_book", instrument.symbol, depth)
        return parse.order_book(
            self.id,
            instrument.symbol,
            told,
            size=instrument.contract_size,
            read_at=self.access.venue_now(),
        )

    async def prices(self, symbol: Symbol, since: datetime, points: int) -> tuple[PricePoint, ...]:
        """A candle makes three points. Of a past that is too long for one page the newer part."""
        now, most = self.access.venue_now(), max(2, min(points // 3, LEAST_PAGE))
        span = max(1.0, (now - since).total_seconds())
        frame, seconds = next((each for each in CANDLES if span / each[1] <= most - 1), CANDLES[-1])
        step = timedelta(seconds=seconds)
        begin = max(since, now - (most - 1) * step)
        rows = await self.access.read(
            Call.CANDLES, "fetch_mark_ohlcv", symbol, frame, milliseconds(begin), most
        )
        return parse.price_points(self.id, symbol, rows, since=since, until=now, step=step)
