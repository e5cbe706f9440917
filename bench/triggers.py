"""Finding what a tick crosses: the trigger index beside what else could be done, over the same ticks.

Every contender has to name the same positions at the same ticks; that is checked while it runs.
"""

from __future__ import annotations

import gc
import sqlite3
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Protocol

import numpy as np
from sortedcontainers import SortedKeyList

from bench.figures import figure, quantile, times
from bench.tables import Aim, Table
from chatbot.domain.instrument import Symbol
from chatbot.domain.triggers import Trigger, TriggerIndex, Way

CALM, CRASH = 0.00005, 0.001  # of the price, at each tick
CALM_TICKS, CRASH_TICKS = 1_000_000, 50_000  # a second, at least
CALM_P99_US, CHANGE_US, MOST_MB = 5.0, 10.0, 100.0
OURS, FLOOR = "Hedgerow, sorted blocks", "floor: an empty call"

Tick = tuple[int, float]  # market, price


@dataclass(frozen=True, slots=True)
class Plan:
    """``slow``: ticks for the contenders that look at every position of a market at each."""

    positions: int = 1_000_000
    markets: int = 200
    calm: int = 200_000
    crash: int = 20_000
    slow: int = 1_000
    changes: int = 5_000


QUICK = Plan(positions=200_000, calm=50_000, crash=5_000, slow=400, changes=1_000)


@dataclass(frozen=True, slots=True)
class Book:
    """Columns by position: its market, and the prices below and above at which it matters."""

    plan: Plan
    market: Sequence[int]
    below: Sequence[float]
    above: Sequence[float]


class Contender(Protocol):
    def crossed(self, market: int, price: float) -> Sequence[int]: ...


def book_of(plan: Plan, rng: Random) -> Book:
    """A few markets hold most of the positions, as everywhere (Zipf)."""
    shares = [1 / (rank + 1) for rank in range(plan.markets)]
    market = rng.choices(range(plan.markets), shares, k=plan.positions)
    below = [price_of(each) * (1 - rng.uniform(0.002, 0.5)) for each in market]
    above = [price_of(each) * (1 + rng.uniform(0.002, 0.5)) for each in market]
    return Book(plan, market, below, above)


def price_of(market: int) -> float:
    return 100.0 * (market + 1)


def symbol_of(market: int) -> Symbol:
    return Symbol(f"C{market}/USDT:USDT")


def calm_ticks(plan: Plan, rng: Random) -> list[Tick]:
    return _walk(plan, plan.calm, lambda: 1 + rng.gauss(0, CALM))


def crash_ticks(plan: Plan) -> list[Tick]:
    """Every market falls by a tenth of a percent at each of its ticks."""
    return _walk(plan, plan.crash, lambda: 1 - CRASH)


def _walk(plan: Plan, count: int, step: Callable[[], float]) -> list[Tick]:
    factors = {
        market: list(accumulate((step() for _ in range(count // plan.markets + 1)), float.__mul__))
        for market in range(plan.markets)
    }
    return [
        (n % plan.markets, price_of(n % plan.markets) * factors[n % plan.markets][n // plan.markets])
        for n in range(count)
    ]


# --- contenders ---------------------------------------------------------------------------------


class Indexed:
    """Ours."""

    def __init__(self, book: Book) -> None:
        self._index = TriggerIndex()
        self._symbols = [symbol_of(market) for market in range(book.plan.markets)]
        for position, market in enumerate(book.market):
            for trigger in self.triggers(book, position, market):
                self._index.arm(trigger, position)

    def triggers(self, book: Book, position: int, market: int) -> tuple[Trigger, Trigger]:
        symbol, below, above = self._symbols[market], book.below[position], book.above[position]
        return _trigger(symbol, Way.DOWN, below), _trigger(symbol, Way.UP, above)

    def crossed(self, market: int, price: float) -> Sequence[int]:
        return self._index.crossed(self._symbols[market], price)

    def arm(self, trigger: Trigger, position: int) -> None:
        self._index.arm(trigger, position)

    def disarm(self, trigger: Trigger, position: int) -> None:
        self._index.disarm(trigger, position)


def _trigger(symbol: Symbol, way: Way, price: float) -> Trigger:
    """Without the digits of a ``Decimal``, which would be measured as well."""
    return Trigger(symbol, way, price)  # type: ignore[arg-type]


class Looped:
    """Every position of the market, one after the other."""

    def __init__(self, book: Book) -> None:
        self._rows: list[dict[int, tuple[float, float]]] = [{} for _ in range(book.plan.markets)]
        for position, market in enumerate(book.market):
            self._rows[market][position] = (book.below[position], book.above[position])
        self._fired: list[set[tuple[int, bool]]] = [set() for _ in range(book.plan.markets)]

    def crossed(self, market: int, price: float) -> Sequence[int]:
        fired, done = [], self._fired[market]
        for position, (below, above) in self._rows[market].items():
            if price <= below and (position, False) not in done:
                done.add((position, False))
                fired.append(position)
            if price >= above and (position, True) not in done:
                done.add((position, True))
                fired.append(position)
        return fired


class Vectorized:
    """Every position of the market at once."""

    def __init__(self, book: Book) -> None:
        market, below, above = np.array(book.market), np.array(book.below), np.array(book.above)
        self._rows = [
            (np.flatnonzero(market == n), below[market == n], above[market == n])
            for n in range(book.plan.markets)
        ]

    def crossed(self, market: int, price: float) -> Sequence[int]:
        positions, below, above = self._rows[market]
        falls, rises = price <= below, price >= above
        fired = [*positions[falls], *positions[rises]]
        below[falls], above[rises] = -np.inf, np.inf
        return fired


class Listed:
    """sortedcontainers, one list for each market and way."""

    def __init__(self, book: Book) -> None:
        below: list[list[tuple[float, int]]] = [[] for _ in range(book.plan.markets)]
        above: list[list[tuple[float, int]]] = [[] for _ in range(book.plan.markets)]
        for position, market in enumerate(book.market):
            below[market].append((-book.below[position], position))
            above[market].append((book.above[position], position))
        self._lists = [
            (SortedKeyList(b, key=_height), SortedKeyList(a, key=_height))
            for b, a in zip(below, above, strict=True)
        ]

    def crossed(self, market: int, price: float) -> Sequence[int]:
        below, above = self._lists[market]
        return [*_taken(below, -price), *_taken(above, price)]


def _height(entry: tuple[float, int]) -> float:
    return entry[0]


def _taken(entries: SortedKeyList, height: float) -> list[int]:
    if not entries or entries[0][0] > height:
        return []
    count = entries.bisect_key_right(height)
    fired = [position for _, position in entries[:count]]
    del entries[:count]
    return fired


class Stored:
    """An index of SQLite, in memory."""

    def __init__(self, book: Book) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.execute(
            "CREATE TABLE t (market INT, way INT, height REAL, position INT,"
            " PRIMARY KEY (market, way, height, position)) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        for way, sign, prices in ((0, -1, book.below), (1, 1, book.above)):
            rows = (
                (market, way, sign * price, n)
                for n, (market, price) in enumerate(zip(book.market, prices, strict=True))
            )
            self._database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def crossed(self, market: int, price: float) -> Sequence[int]:
        return [*self._taken(market, 0, -price), *self._taken(market, 1, price)]

    def _taken(self, market: int, way: int, height: float) -> list[int]:
        reached = "FROM t WHERE market = ? AND way = ? AND height <= ?"
        given = (market, way, height)
        fired = [n for (n,) in self._database.execute(f"SELECT position {reached}", given)]
        if fired:
            self._database.execute(f"DELETE {reached}", given)
        return fired


class Empty:
    """What a call costs in this language; it crosses nothing."""

    def __init__(self, book: Book) -> None:
        del book

    def crossed(self, market: int, price: float) -> Sequence[int]:
        del market, price
        return ()


CONTENDERS: dict[str, tuple[Callable[[Book], Contender], bool]] = {
    OURS: (Indexed, False),
    "a plain loop": (Looped, True),
    "numpy, all of a market": (Vectorized, True),
    "sorted lists": (Listed, False),
    "SQLite index": (Stored, False),
    FLOOR: (Empty, False),
}


# --- measuring ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """Ticks a second, microseconds, MB."""

    calm: float
    calm_p50: float
    calm_p99: float
    crash: float
    crash_p99: float
    megabytes: float


async def measure(plan: Plan) -> Table:
    rng = Random(20251010)
    book, calm, crash = book_of(plan, rng), calm_ticks(plan, rng), crash_ticks(plan)
    expected = [_named(Indexed(book), ticks) for ticks in (calm, crash)]
    rows: dict[str, Measured] = {}
    for name, (make, slow) in CONTENDERS.items():
        rows[name] = _measured(name, make, book, (calm, crash), expected, plan.slow if slow else None)
    changes = _changes(book, plan, rng)
    return table(plan, rows, changes, hits=sum(map(len, expected[1])))


def _named(contender: Contender, ticks: Sequence[Tick]) -> list[list[int]]:
    return [sorted(contender.crossed(market, price)) for market, price in ticks]


def _measured(
    name: str,
    make: Callable[[Book], Contender],
    book: Book,
    ticks: tuple[Sequence[Tick], Sequence[Tick]],
    expected: Sequence[list[list[int]]],
    slow: int | None,
) -> Measured:
    spans = [
        _timed(name, make(book), each[:slow], known) for each, known in zip(ticks, expected, strict=True)
    ]
    calm, crash = spans
    return Measured(
        calm=len(calm) / sum(calm) * 1e6,
        calm_p50=quantile(calm, 0.5),
        calm_p99=quantile(calm, 0.99),
        crash=len(crash) / sum(crash) * 1e6,
        crash_p99=quantile(crash, 0.99),
        megabytes=_weight(make, book),
    )


def _timed(name: str, contender: Contender, ticks: Sequence[Tick], expected: list[list[int]]) -> list[float]:
    """Microseconds of each tick. Reading the clock is in them, the floor's too."""
    spans, fired, clock = [], [], time.perf_counter_ns
    gc.disable()
    for market, price in ticks:
        began = clock()
        found = contender.crossed(market, price)
        spans.append((clock() - began) / 1000)
        fired.append(found)
    gc.enable()
    if name != FLOOR and [sorted(map(int, found)) for found in fired] != expected[: len(fired)]:
        raise AssertionError(f"{name} names other positions than the index")
    return spans


def _weight(make: Callable[[Book], Contender], book: Book) -> float:
    """Of Python's own objects (SQLite's pages are not among them)."""
    gc.collect()
    tracemalloc.start()
    kept = make(book)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return grown / 1e6


def _changes(book: Book, plan: Plan, rng: Random) -> tuple[list[float], list[float]]:
    """Microseconds of arming and of disarming, anywhere among the others."""
    index, armed, disarmed, clock = Indexed(book), [], [], time.perf_counter_ns
    for _ in range(plan.changes):
        position = rng.randrange(plan.positions)
        market = book.market[position]
        trigger = _trigger(symbol_of(market), Way.UP, price_of(market) * (1 + rng.uniform(0.002, 0.5)))
        began = clock()
        index.arm(trigger, position)
        between = clock()
        index.disarm(trigger, position)
        armed.append((between - began) / 1000)
        disarmed.append((clock() - between) / 1000)
    return armed, disarmed


# --- the table ----------------------------------------------------------------------------------


def table(
    plan: Plan, rows: dict[str, Measured], changes: tuple[list[float], list[float]], *, hits: int
) -> Table:
    ours = rows[OURS]
    return Table(
        f"Triggers: {plan.positions:,} positions on {plan.markets} markets, two triggers each, one core",
        ("what a tick crosses", "calm ticks/s", "p50 µs", "p99 µs", "crash ticks/s", "p99 µs", "MB", "ours"),
        tuple(_row(name, found, ours) for name, found in rows.items()),
        _aims(ours, *changes),
        (
            f"Crash: every market 0.1 % lower at each tick; {hits:,} triggers fire in {plan.crash:,} ticks.",
            "Times are of single calls, the reading of the clock included; 'ours': our calm ticks to theirs.",
            "All name the same positions at the same ticks; those that look at all were given fewer ticks.",
            "MB without what SQLite holds outside of Python.",
        ),
    )


def _row(name: str, found: Measured, ours: Measured) -> tuple[str, ...]:
    return (
        name,
        figure(found.calm),
        figure(found.calm_p50),
        figure(found.calm_p99),
        figure(found.crash),
        figure(found.crash_p99),
        figure(found.megabytes),
        "" if found is ours else times(ours.calm / found.calm),
    )


def _aims(ours: Measured, armed: Sequence[float], disarmed: Sequence[float]) -> tuple[Aim, ...]:
    change = max(quantile(armed, 0.99), quantile(disarmed, 0.99))
    return (
        Aim(f"{figure(ours.calm)} calm ticks/s, {CALM_TICKS:,} asked", ours.calm >= CALM_TICKS),
        Aim(f"{figure(ours.crash)} ticks/s in a crash, {CRASH_TICKS:,} asked", ours.crash >= CRASH_TICKS),
        Aim(
            f"p99 of a calm tick {figure(ours.calm_p99)} µs, under {CALM_P99_US:g}",
            ours.calm_p99 < CALM_P99_US,
        ),
        Aim(
            f"arming {figure(quantile(armed, 0.5))} µs, disarming {figure(quantile(disarmed, 0.5))} µs, "
            f"p99 {figure(change)}, under {CHANGE_US:g}",
            change < CHANGE_US,
        ),
        Aim(f"{figure(ours.megabytes)} MB, under {MOST_MB:g}", ours.megabytes < MOST_MB),
    )
