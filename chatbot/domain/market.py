"""What a market shows at one moment: prices, funding and the order book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import ZERO, OrderSide, Symbol


@dataclass(frozen=True, slots=True)
class MarketState:
    """Prices in quote units; ``funding_rate`` is a fraction per ``funding_interval``, positive: longs pay.

    ``at`` is the venue's own instant of the prices.
    """

    symbol: Symbol
    mark_price: Decimal
    index_price: Decimal
    last_price: Decimal
    funding_rate: Decimal
    funding_interval: timedelta
    next_funding_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class PricePoint:
    """The mark price at an instant of the venue."""

    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class BookLevel:
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class FillEstimate:
    """``average_price`` over ``quantity``; less than was asked for when the book is too thin."""

    quantity: Decimal
    average_price: Decimal
    slippage_bps: Decimal
    complete: bool


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Bids descend, asks ascend."""

    symbol: Symbol
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    at: datetime

    @property
    def mid(self) -> Decimal:
        return (self.bids[0].price + self.asks[0].price) / 2

    def walk(self, side: OrderSide, quantity: Decimal) -> FillEstimate:
        """Volume-weighted price of a market order, and its distance from mid in basis points."""
        left, paid = quantity, ZERO
        for level in self.asks if side is OrderSide.BUY else self.bids:
            taken = min(left, level.quantity)
            paid += taken * level.price
            left -= taken
            if left == 0:
                break
        filled = quantity - left
        average = paid / filled if filled else self.mid
        slippage_bps = abs(average - self.mid) / self.mid * 10_000
        return FillEstimate(filled, average, slippage_bps, complete=left == 0)
