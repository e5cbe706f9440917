from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chatbot import ports
from chatbot.clock import VirtualClock
from chatbot.errors import RateLimited
from chatbot.venues.ccxt.limiter import Budget, Limiter, Urgency

START = datetime(2026, 3, 2, tzinfo=UTC)
ORDER, EVIDENCE, READ, ROUTINE = Urgency


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def limiter(clock: VirtualClock) -> Limiter:
    return Limiter("Binance", Budget(weight=400, seconds=10), clock)


class Line:
    """Requests that wait, and the order in which they were let in."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.entered: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def join(self, name: str, weight: float, urgency: Urgency) -> None:
        async def wait() -> None:
            await self.limiter.admit(weight, urgency)
            self.entered.append(name)

        self.tasks.append(asyncio.create_task(wait()))
        for _ in range(5):
            await asyncio.sleep(0)

    def leave(self) -> None:
        for task in self.tasks:
            task.cancel()


@pytest.fixture
def line(limiter: Limiter) -> Iterator[Line]:
    line = Line(limiter)
    yield line
    line.leave()


async def test_waits_are_counted_and_what_goes_at_once_is_none(line: Line, clock: VirtualClock) -> None:
    for n in range(10):
        await line.join(f"r{n}", 10, READ)
    assert line.limiter.waits == 0
    await clock.advance(10)

    assert len(line.entered) == 10
    assert line.limiter.waits == 2
    assert 0 < line.limiter.waited < 2


async def test_what_fits_the_budget_goes_at_once(line: Line) -> None:
    for n in range(8):
        await line.join(f"r{n}", 10, READ)

    assert len(line.entered) == 8


async def test_reads_leave_a_part_for_orders(line: Line) -> None:
    for n in range(20):
        await line.join(f"r{n}", 10, READ)
    assert len(line.entered) == 8  # 80 of the 100 that may go at once

    await line.join("order", 20, ORDER)

    assert line.entered[-1] == "order"


async def test_an_order_overtakes_all_reads_that_wait(line: Line, clock: VirtualClock) -> None:
    await line.join("first", 80, READ)
    await line.join("order 1", 20, ORDER)
    await line.join("read", 10, READ)
    await line.join("evidence", 10, EVIDENCE)
    await line.join("order 2", 5, ORDER)
    assert line.entered == ["first", "order 1"]

    await clock.advance(60)

    assert line.entered == ["first", "order 1", "order 2", "evidence", "read"]


async def test_no_window_sees_more_than_the_budget(line: Line, clock: VirtualClock) -> None:
    for n in range(200):
        await line.join(f"r{n}", 10, READ)

    await clock.advance(10)

    assert 10 * len(line.entered) <= 400
    assert len(line.entered) >= 30  # and it is used


async def test_a_request_heavier_than_what_can_be_saved_up_goes_when_all_is_saved(
    line: Line, clock: VirtualClock
) -> None:
    await line.join("light", 10, READ)
    await line.join("heavy", 1000, READ)
    await clock.advance(10)

    assert line.entered == ["light", "heavy"]


async def test_while_paused_reads_are_refused_and_orders_go(
    limiter: Limiter, line: Line, clock: VirtualClock
) -> None:
    limiter.pause(30)

    with pytest.raises(RateLimited) as caught:
        await limiter.admit(1, READ)
    await line.join("order", 1, ORDER)

    assert caught.value.retry_after == 30
    assert line.entered == ["order"]
    await clock.advance(31)
    await limiter.admit(1, READ)


async def test_reads_that_wait_already_learn_of_the_pause(
    limiter: Limiter, line: Line, clock: VirtualClock
) -> None:
    await line.join("first", 80, READ)
    await line.join("waits", 80, READ)
    limiter.pause(60)

    await clock.advance(5)

    assert isinstance(line.tasks[1].exception(), RateLimited)


async def test_a_longer_pause_is_not_cut_short_by_a_shorter_one(limiter: Limiter) -> None:
    limiter.pause(60)
    limiter.pause(5)

    assert limiter.pause_left == 60


async def test_who_gives_up_waiting_holds_up_nobody(line: Line, clock: VirtualClock) -> None:
    await line.join("first", 80, READ)
    await line.join("gives up", 80, READ)
    await line.join("stays", 10, READ)
    line.tasks[1].cancel()
    await clock.advance(3)

    assert line.entered == ["first", "stays"]


async def test_what_nobody_waits_for_lets_all_others_pass(line: Line, clock: VirtualClock) -> None:
    await line.join("first", 80, READ)
    before = ports.ROUTINE.set(True)
    await line.join("routine", 10, READ)
    ports.ROUTINE.reset(before)
    await line.join("user", 10, READ)
    await line.join("evidence", 10, EVIDENCE)
    await clock.advance(10)

    assert line.entered == ["first", "evidence", "user", "routine"]


async def test_an_order_that_is_part_of_something_routine_is_an_order(line: Line) -> None:
    before = ports.ROUTINE.set(True)
    await line.join("look", 80, READ)
    await line.join("order", 20, ORDER)
    ports.ROUTINE.reset(before)

    assert line.entered == ["look", "order"]


def room(limiter: Limiter) -> bool:
    return limiter.roomy


async def test_there_is_room_while_half_of_what_reads_may_use_is_there(
    limiter: Limiter, clock: VirtualClock
) -> None:
    assert room(limiter)
    await limiter.admit(50, READ)
    assert not room(limiter)  # 50 of 100 are left, 20 of them for orders, and 40 have to be there
    await clock.advance(1)
    assert room(limiter)


async def test_there_is_no_room_while_somebody_waits_or_the_exchange_asked_to_slow_down(
    line: Line, limiter: Limiter, clock: VirtualClock
) -> None:
    await line.join("first", 80, READ)
    await line.join("waits", 10, READ)
    assert not room(limiter)
    await clock.advance(10)
    assert room(limiter)

    limiter.pause(5)
    assert not room(limiter)
    await clock.advance(5)
    assert room(limiter)
