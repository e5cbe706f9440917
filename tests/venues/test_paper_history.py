"""The exchange remembers its prices: over restarts and kills, at every speed, and not for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.instrument import Symbol
from chatbot.domain.market import PricePoint
from chatbot.venues.feeds import BTC, ETH, ScriptedFeed, SimulatedFeed
from chatbot.venues.paper.memory import MOST_AT_ONCE, full_minutes
from chatbot.venues.paper.statefile import MARKS_KEPT
from tests.venues.paper_trader import EVER, LONG, START, Trader

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def simulated(clock: VirtualClock, speed: int, state: Path | None = None) -> Trader:
    feed = SimulatedFeed.at_speed(7, Decimal(speed))
    return Trader(feed=feed, clock=clock, speed=Decimal(speed), state=state)


async def runs(trader: Trader, seconds: int) -> None:
    for _ in range(seconds):
        await trader.clock.advance(1)
        trader.exchange.advance()


async def history(trader: Trader, symbol: Symbol = BTC, *, points: int = 100_000) -> Sequence[PricePoint]:
    return await trader.venue.price_history(symbol, EVER, points=points)


def rows_of(state: Path) -> int:
    connection = sqlite3.connect(state)
    (count,) = connection.execute("SELECT count(*) FROM marks").fetchone()
    connection.close()
    return int(count)


def test_the_minutes_in_between_are_whole_and_not_told_twice() -> None:
    first, second = START + timedelta(seconds=30), START + timedelta(minutes=3)

    assert list(full_minutes(first, second)) == [START + n * MINUTE for n in (1, 2, 3)]
    assert list(full_minutes(second, second + timedelta(seconds=59))) == []


def test_days_in_one_step_are_remembered_in_few_marks() -> None:
    minutes = list(full_minutes(START, START + 3 * DAY))

    assert MOST_AT_ONCE / 2 <= len(minutes) <= MOST_AT_ONCE
    assert len({b - a for a, b in pairwise(minutes)}) == 1


async def test_every_minute_of_a_market_nobody_looked_at_has_its_price() -> None:
    trader = simulated(VirtualClock(START), 1)
    await runs(trader, 181)

    points = await history(trader)

    kept = {p.at: p.price for p in points if p.at > START}
    assert set(kept) == {START + n * MINUTE for n in (1, 2, 3)} | {START + timedelta(seconds=181)}
    assert all(trader.feed.prices(BTC, at).mark == price for at, price in kept.items())  # type: ignore[union-attr]
    trader.exchange.close()


async def test_a_price_set_by_hand_holds_until_the_next_one() -> None:
    trader = Trader()
    await trader.price("2000")
    await trader.clock.advance(150)
    await trader.price("2100")
    await trader.clock.advance(60)

    points = await history(trader, ETH)

    assert [(p.at - START) // timedelta(seconds=1) for p in points] == [60, 120, 180, 210]
    assert [p.price for p in points] == [2000, 2000, 2100, 2100]
    trader.exchange.close()


@pytest.mark.parametrize("speed", [60, 3_600, 86_400])
async def test_a_fast_market_is_remembered_truly_and_within_bounds(speed: int, tmp_path: Path) -> None:
    state = tmp_path / "paper.db"
    trader = simulated(VirtualClock(START), speed, state)
    await runs(trader, 300)

    points = await history(trader)

    marks = [p for p in points if p.at > START]
    assert all(trader.feed.prices(BTC, p.at).mark == p.price for p in marks[:-1])  # type: ignore[union-attr]
    assert marks[-1].at == trader.exchange.market_now()
    assert marks[-1].at - marks[0].at <= MARKS_KEPT + DAY
    symbols = len(trader.feed.symbols)
    trader.exchange.close()
    assert rows_of(state) <= symbols * (MARKS_KEPT // MINUTE)


async def test_a_restart_remembers_and_goes_on(tmp_path: Path) -> None:
    state, clock = tmp_path / "paper.db", VirtualClock(START)
    first = simulated(clock, 60, state)
    await runs(first, 10)
    before = await history(first)
    first.exchange.close()
    await clock.advance(1_000)

    again = simulated(clock, 60, state)
    await runs(again, 10)

    after = await history(again)
    assert set(before[:-1]) <= set(after)
    assert [p.at for p in after if p.at > START] == [START + n * MINUTE for n in range(1, 21)]
    again.exchange.close()


async def test_a_kill_loses_no_minute_that_the_market_has_passed(tmp_path: Path) -> None:
    state, clock = tmp_path / "paper.db", VirtualClock(START)
    killed = simulated(clock, 60, state)
    await runs(killed, 10)
    killed.exchange._engine._state.close()  # as a kill does it: nothing more is saved

    again = simulated(clock, 60, state)
    await runs(again, 1)

    minutes = [p.at for p in await history(again) if p.at > START]
    assert minutes == [START + n * MINUTE for n in range(1, len(minutes) + 1)]
    again.exchange.close()


async def test_marks_alone_do_not_make_the_exchange_write(tmp_path: Path) -> None:
    trader = Trader(state=tmp_path / "paper.db")
    trader.exchange.advance()
    await trader.clock.advance(60)

    trader.exchange._engine._floor.unsaved.marks.append((ETH, PricePoint(START, Decimal(1))))

    assert not trader.exchange._engine._floor.unsaved
    trader.exchange.close()


async def test_a_simulated_market_is_founded_with_a_past() -> None:
    trader = simulated(VirtualClock(START), 1)

    points = await history(trader)

    assert START - points[0].at == DAY
    assert all(abs(b.price / a.price - 1) < Decimal("0.03") for a, b in pairwise(points))
    trader.exchange.close()


async def test_a_market_without_a_price_has_no_history_to_show() -> None:
    feed = ScriptedFeed({ETH: Decimal(2_000)})
    trader = Trader(feed=feed)

    assert [p.price for p in await history(trader, ETH)] == [2_000]
    trader.exchange.close()


async def test_a_state_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    state = tmp_path / "paper.db"
    trader = Trader(state=state)
    await trader.open(LONG, "1")
    trader.exchange.close()
    with sqlite3.connect(state) as connection:
        connection.execute("DROP TABLE marks")
        connection.execute("PRAGMA user_version = 1")
    connection.close()

    again = Trader(state=state, clock=trader.clock)
    await again.clock.advance(120)

    assert (await again.position(LONG)) is not None
    assert len(await history(again, ETH)) == 2
    again.exchange.close()
