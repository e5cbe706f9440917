"""The order book around a price: the same price always shows the same book, minus what was just taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from chatbot.domain.instrument import ZERO, Instrument, OrderSide
from chatbot.domain.market import BookLevel, OrderBook
from chatbot.venues.feeds import Prices
from chatbot.venues.paper.catalog import BookShape

LEVELS = 50
# What a taker took is offered again after this long, or with the next price.
RECOVERS_AFTER = timedelta(seconds=1)
BPS = Decimal(10_000)

Piece = tuple[Decimal, Decimal]  # price, quantity
Sides = tuple[tuple[BookLevel, ...], tuple[BookLevel, ...]]  # bids, asks


class Market:
    """One symbol: its prices, the book around them, the last trade and the next settlement."""

    def __init__(self, instrument: Instrument, shape: BookShape, *, next_funding_at: datetime) -> None:
        self.instrument = instrument
        self.next_funding_at = next_funding_at
        self._shape = shape
        self._prices: Prices | None = None
        self._at: datetime | None = None
        self._last = ZERO
        self._taken: dict[tuple[OrderSide, Decimal], Decimal] = {}
        self._taken_at: datetime | None = None
        self._sides: Sides | None = None

    @property
    def priced(self) -> bool:
        return self._prices is not None

    @property
    def prices(self) -> Prices:
        assert self._prices is not None, "asked for a price before the first tick"  # noqa: S101
        return self._prices

    @property
    def at(self) -> datetime:
        assert self._at is not None, "asked for a time before the first tick"  # noqa: S101
        return self._at

    @property
    def last_price(self) -> Decimal:
        return self._last

    @property
    def funding_interval(self) -> timedelta:
        return self.prices.funding_interval or self.instrument.funding_interval

    def move(self, prices: Prices, at: datetime) -> None:
        self._at = at
        if prices == self._prices:
            return
        self._prices = prices
        self._last = self.instrument.round_price(prices.mid)
        self._taken.clear()
        self._sides = None

    def recover(self, now: datetime) -> None:
        if self._taken and self._taken_at is not None and now - self._taken_at >= RECOVERS_AFTER:
            self._taken.clear()
            self._sides = None

    def book(self, depth: int) -> OrderBook:
        if self._sides is None:
            self._sides = tuple(self._offered(OrderSide.SELL)), tuple(self._offered(OrderSide.BUY))
        bids, asks = self._sides
        return OrderBook(self.instrument.symbol, bids[:depth], asks[:depth], self.at)

    def best(self, side: OrderSide) -> Decimal:
        """What a taker of this side pays first, taken or not."""
        middle, half, _ = self._ticks()
        return (middle + half if side is OrderSide.BUY else middle - half) * self.instrument.tick_size

    def reaches(self, side: OrderSide, limit: Decimal) -> bool:
        best = self.best(side)
        return best <= limit if side is OrderSide.BUY else best >= limit

    def offer(self, side: OrderSide, quantity: Decimal, *, limit: Decimal | None = None) -> list[Piece]:
        """What a taker of this side would get now, best price first; less on a thin book."""
        pieces: list[Piece] = []
        left = quantity
        for level in self._offered(side):
            if left <= 0 or (limit is not None and not _within(side, level.price, limit)):
                break
            taken = min(left, level.quantity)
            pieces.append((level.price, taken))
            left -= taken
        return pieces

    def take(self, side: OrderSide, pieces: list[Piece], now: datetime) -> None:
        for price, quantity in pieces:
            self._taken[side, price] = self._taken.get((side, price), ZERO) + quantity
        if pieces:
            self._last = pieces[-1][0]
            self._taken_at = now
            self._sides = None

    def _ticks(self) -> tuple[int, int, int]:
        """Middle, half spread and distance of levels, in ticks."""
        tick = self.instrument.tick_size
        middle = int((self.prices.mid / tick).to_integral_value(ROUND_HALF_EVEN))
        half = max(1, int(middle * self._shape.half_spread_bps / BPS))
        return max(middle, half + 1), half, max(1, int(middle * self._shape.step_bps / BPS))

    def _offered(self, side: OrderSide) -> Iterator[BookLevel]:
        middle, half, step = self._ticks()
        sign = 1 if side is OrderSide.BUY else -1
        tick, lot = self.instrument.tick_size, self.instrument.lot_size
        lots = int(self._shape.depth / lot)
        for number in range(LEVELS):
            ticks = middle + sign * (half + number * step)
            if ticks <= 0:
                return
            price = ticks * tick
            left = _lots(lots, number, ticks) * lot - self._taken.get((side, price), ZERO)
            if left > 0:
                yield BookLevel(price, left)


def _lots(near: int, number: int, ticks: int) -> int:
    """More rests farther away; between half and one and a half of the mean, by a hash of the price."""
    mean = near * (4 + number) // 4
    share = 500 + (ticks * 2_654_435_761 >> 7) % 1000
    return max(1, mean * share // 1000)


def _within(side: OrderSide, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if side is OrderSide.BUY else price >= limit
