"""Where the prices of the paper exchange come from: made up, recorded, or set by a test.

A feed answers two questions: at which instants of market time did prices change, and what were they. The
exchange steps through the instants. Live prices are a feed too; they live in ``live_prices.py``.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from chatbot.domain.instrument import Symbol
from chatbot.domain.market import PricePoint
from chatbot.venues.noise import Jumps, Walk
from chatbot.venues.replay_file import Row, parse_rows, read_text

BTC = Symbol("BTC/USDT:USDT")
ETH = Symbol("ETH/USDT:USDT")
SOL = Symbol("SOL/USDT:USDT")
BTC_INVERSE = Symbol("BTC/USD:BTC")


@dataclass(frozen=True, slots=True)
class Prices:
    """One symbol at one instant. ``mid`` is the middle of the book; the rate is per funding interval.

    ``next_funding_at`` is given where the source knows it; else it follows the instrument's interval.
    """

    mark: Decimal
    mid: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_at: datetime | None = None
    funding_interval: timedelta | None = None


class PriceFeed(Protocol):
    """``name`` identifies the market in the state file; with ``real_time`` market time is the clock's."""

    @property
    def name(self) -> str: ...

    @property
    def symbols(self) -> Sequence[Symbol]: ...

    @property
    def real_time(self) -> bool: ...

    @property
    def ends_at(self) -> datetime | None:
        """The market stands still from here on."""
        ...

    @property
    def max_age(self) -> timedelta | None:
        """Prices older than this are too old to trade at."""
        ...

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        """Market time zero: ``resumed`` from an earlier run, else chosen by the feed at clock ``now``."""
        ...

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Instants at which prices changed, ascending; what is still waiting to take effect does so now."""
        ...

    def latest(self, until: datetime) -> datetime | None:
        """The instant of the prices in force at ``until``; ``None`` when there is none yet."""
        ...

    def prices(self, symbol: Symbol, at: datetime) -> Prices | None:
        """``None``: that instant brought no price of this symbol."""
        ...

    def past(self, symbol: Symbol, since: datetime) -> Sequence[PricePoint]:
        """Marks of before market time zero, ascending; none where the source does not tell them."""
        ...


# --- simulated ----------------------------------------------------------------------------------

INTEREST = 0.0001
DAMPENER = 0.0002
RATE_CAP = 0.0075
PAST = timedelta(days=1)
PAST_STEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Coin:
    """``volatility`` is that of a day; ``beta`` how much of the common movement the coin shares."""

    symbol: Symbol
    start_price: float
    beta: float
    own_volatility: float
    hours: int  # the funding interval


COMMON_VOLATILITY = 0.045
COINS = (
    Coin(BTC, 64_000.0, 1.0, 0.0, 8),
    Coin(ETH, 2_000.0, 1.15, 0.025, 8),
    Coin(SOL, 150.0, 1.35, 0.045, 4),
    Coin(BTC_INVERSE, 64_000.0, 1.0, 0.0, 8),
)


def funding_rate(premium: float, hours: int) -> float:
    """Premium pulled toward the interest rate, capped, for an interval of ``hours``."""
    pull = min(max(INTEREST - premium, -DAMPENER), DAMPENER)
    return min(max(premium + pull, -RATE_CAP), RATE_CAP) * hours / 8


class SimulatedFeed:
    """Made-up prices: a pure function of seed and seconds since the start, so a restart goes on exactly.

    ``step`` sets only how finely the exchange walks; the price at an instant does not depend on it.
    """

    real_time = False
    ends_at: datetime | None = None
    max_age: timedelta | None = None

    def __init__(self, seed: int = 7, *, step: timedelta = timedelta(seconds=1)) -> None:
        self.name = f"simulated:{seed}"
        self.symbols: Sequence[Symbol] = tuple(coin.symbol for coin in COINS)
        self._step = step
        self._started_at = datetime(2026, 1, 1, tzinfo=UTC)
        self._coins = {coin.symbol: coin for coin in COINS}
        self._common = Walk(f"{seed}:common", COMMON_VOLATILITY)
        self._own = {
            coin.symbol: Walk(f"{seed}:{coin.symbol}", coin.own_volatility)
            for coin in COINS
            if coin.own_volatility
        }
        self._jumps = Jumps(f"{seed}:jumps")
        self._premium = Walk(f"{seed}:premium", 0.0012)
        self._cache: dict[Symbol, tuple[datetime, Prices]] = {}
        self._shared: tuple[float, float, float, float] | None = None

    @classmethod
    def at_speed(cls, seed: int, speed: Decimal) -> SimulatedFeed:
        """Fast markets are walked in larger steps, so that a second of ours stays cheap."""
        seconds = 1 if speed <= 60 else 10 if speed <= 600 else 60
        return cls(seed, step=timedelta(seconds=seconds))

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        self._started_at = resumed or now.replace(second=0, microsecond=0)
        self._cache.clear()
        self._shared = None
        return self._started_at

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        number = (after - self._started_at) // self._step + 1
        at = self._started_at + number * self._step
        while at <= until:
            yield at
            at += self._step

    def latest(self, until: datetime) -> datetime | None:
        return self._started_at + (until - self._started_at) // self._step * self._step

    def prices(self, symbol: Symbol, at: datetime) -> Prices:
        known = self._cache.get(symbol)
        if known is None or known[0] != at:
            known = (at, self._make((at - self._started_at).total_seconds(), self._coins[symbol]))
            self._cache[symbol] = known
        return known[1]

    def past(self, symbol: Symbol, since: datetime) -> Sequence[PricePoint]:
        """The walk comes from somewhere, too: a market that has just been founded is not without a past."""
        count = (min(PAST, self._started_at - since)) // PAST_STEP
        instants = [self._started_at - number * PAST_STEP for number in range(count, 0, -1)]
        return [PricePoint(at, self.prices(symbol, at).mark) for at in instants]

    def _make(self, seconds: float, coin: Coin) -> Prices:
        common, jump, leaning = self._moods(seconds)
        movement = coin.beta * (common + jump)
        if own := self._own.get(coin.symbol):
            movement += own.at(seconds)
        index = coin.start_price * math.exp(movement)
        # A crash leaves the perpetual under its index, a squeeze above it: funding follows.
        premium = math.tanh(leaning / 0.002) * 0.002 + 0.03 * jump
        mark = index * (1 + premium)
        rate = funding_rate(premium, coin.hours)
        return Prices(_exact(mark), _exact(mark * 1.000_02), _exact(index), _rate(rate))

    def _moods(self, seconds: float) -> tuple[float, float, float]:
        """What all coins share at this second: movement, jump, and how far perpetuals lean off."""
        if self._shared is None or self._shared[0] != seconds:
            at = (self._common.at(seconds), self._jumps.at(seconds), self._premium.at(seconds))
            self._shared = (seconds, *at)
        return self._shared[1:]


def _exact(price: float) -> Decimal:
    return Decimal(f"{price:.4f}")


def _rate(rate: float) -> Decimal:
    return Decimal(f"{rate:.8f}")


# --- replayed -----------------------------------------------------------------------------------


class ReplayFeed:
    """Recorded prices of one symbol; the others of the catalog are absent.

    After the last row the market stands still, its time included.
    Between settlements the rate shown is that of the next settlement in the file, as an exchange shows
    the running estimate of it.
    """

    real_time = False
    max_age: timedelta | None = None

    def __init__(self, rows: Sequence[Row], *, name: str, symbol: Symbol = BTC) -> None:
        self.name = name
        self.symbols: Sequence[Symbol] = (symbol,)
        self._instants = [row.at for row in rows]
        self._prices = _with_coming_rates(rows)
        self.ends_at: datetime | None = self._instants[-1]

    @classmethod
    def read(cls, path: Path, *, symbol: Symbol = BTC) -> ReplayFeed:
        """Raises ``SettingsError`` naming the line that is wrong and what is expected."""
        text = read_text(path)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return cls(parse_rows(path, text), name=f"replay:{digest}", symbol=symbol)

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        return self._instants[0]

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        yield from self._instants[bisect_right(self._instants, after) : bisect_right(self._instants, until)]

    def latest(self, until: datetime) -> datetime | None:
        return self._instants[max(0, bisect_right(self._instants, until) - 1)]

    def prices(self, symbol: Symbol, at: datetime) -> Prices:
        return self._prices[at]

    def past(self, symbol: Symbol, since: datetime) -> Sequence[PricePoint]:
        return ()  # the market begins with the file


def _with_coming_rates(rows: Sequence[Row]) -> dict[datetime, Prices]:
    settled = [(row.at, row.funding_rate) for row in rows if row.funding_rate is not None]
    interval = min((after[0] - before[0] for before, after in pairwise(settled)), default=None)
    rate = settled[-1][1] if settled else Decimal(0)
    coming: datetime | None = None
    prices: dict[datetime, Prices] = {}
    for row in reversed(rows):
        rate = rate if row.funding_rate is None else row.funding_rate
        prices[row.at] = Prices(row.mark, row.mid, row.index, rate, coming, interval)
        coming = coming if row.funding_rate is None else row.at
    return prices


# --- scripted -----------------------------------------------------------------------------------


class ScriptedFeed:
    """A test or the demo sets the prices; each change takes effect at the exchange's next step, in order."""

    real_time = False
    ends_at: datetime | None = None
    max_age: timedelta | None = None

    def __init__(
        self,
        prices: Mapping[Symbol, Decimal | Prices],
        *,
        started_at: datetime | None = None,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.symbols: Sequence[Symbol] = tuple(prices)
        self._started_at = started_at
        self._waiting: list[dict[Symbol, Prices]] = []
        self._current = {symbol: _as_prices(value) for symbol, value in prices.items()}
        self._last = dict(self._current)
        self._changed_at: datetime | None = None

    def set(
        self,
        symbol: Symbol,
        price: Decimal | None = None,
        *,
        mid: Decimal | None = None,
        index: Decimal | None = None,
        funding_rate: Decimal | None = None,
    ) -> None:
        """``price`` moves mark, mid and index together; the others then change one of them."""
        before = self._last[symbol]
        price = before.mark if price is None else price
        moved = price != before.mark
        prices = replace(
            before,
            mark=price,
            mid=mid if mid is not None else price if moved else before.mid,
            index=index if index is not None else price if moved else before.index,
            funding_rate=before.funding_rate if funding_rate is None else funding_rate,
        )
        self._last[symbol] = prices
        self._waiting.append({symbol: prices})

    def start(self, now: datetime, resumed: datetime | None) -> datetime:
        started_at = resumed or self._started_at or now
        self._changed_at = started_at
        return started_at

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        while self._waiting:
            self._current.update(self._waiting.pop(0))
            self._changed_at = until
            yield until

    def latest(self, until: datetime) -> datetime | None:
        return self._changed_at

    def prices(self, symbol: Symbol, at: datetime) -> Prices:
        return self._current[symbol]

    def past(self, symbol: Symbol, since: datetime) -> Sequence[PricePoint]:
        return ()


def _as_prices(value: Decimal | Prices) -> Prices:
    return value if isinstance(value, Prices) else Prices(value, value, value, Decimal("0.0001"))
