"""Jobs on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from chatbot.clock import VirtualClock
from chatbot.pushing.scheduler import Scheduler
from tests.pushing.mail import START


class Log:
    """When each job ran, in seconds since the start."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.scheduler = Scheduler(self.clock)
        self.ran: list[tuple[str, float]] = []

    def job(self, name: str, *, takes: float = 0.0) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            self.ran.append((name, (self.clock.now() - START).total_seconds()))
            if takes:
                await self.clock.sleep(takes)

        return run

    def times(self, name: str) -> list[float]:
        return [at for ran, at in self.ran if ran == name]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.scheduler.run())
        await self.clock.advance(0)
        yield
        await self.scheduler.stop(drain_seconds=0)
        await task


async def fail() -> None:
    raise ZeroDivisionError("boom")


async def test_each_end_of_a_job_is_told_with_its_error() -> None:
    told: list[tuple[str, str]] = []
    clock = VirtualClock(START)
    scheduler = Scheduler(clock, ended=lambda job, error: told.append((job, type(error).__name__)))
    log = Log()
    scheduler.every("fine", 5, log.job("fine"))
    scheduler.every("broken", 5, fail)
    await scheduler.run_due()

    assert told == [("fine", "NoneType"), ("broken", "ZeroDivisionError")]


async def test_a_job_runs_at_once_and_at_each_interval() -> None:
    log = Log()
    log.scheduler.every("watch", 5, log.job("watch"))
    async with log.running():
        await log.clock.advance(16)
    assert log.times("watch") == [0, 5, 10, 15]


async def test_a_first_run_can_wait() -> None:
    log = Log()
    log.scheduler.every("digest", 10, log.job("digest"), first_after=3)
    async with log.running():
        await log.clock.advance(24)
    assert log.times("digest") == [3, 13, 23]


async def test_a_job_never_overlaps_itself_and_skips_what_it_missed() -> None:
    log = Log()
    log.scheduler.every("slow", 5, log.job("slow", takes=12))
    async with log.running():
        await log.clock.advance(31)
    assert log.times("slow") == [0, 15, 30]


async def test_a_slow_job_does_not_delay_another() -> None:
    log = Log()
    log.scheduler.every("slow", 100, log.job("slow", takes=50))
    log.scheduler.every("quick", 1, log.job("quick"))
    async with log.running():
        await log.clock.advance(5)
    assert log.times("quick") == [0, 1, 2, 3, 4, 5]


async def test_a_job_that_fails_stops_neither_itself_nor_others(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    log.scheduler.every("broken", 1, fail)
    log.scheduler.every("sound", 1, log.job("sound"))
    async with log.running():
        await log.clock.advance(3)
    assert log.times("sound") == [0, 1, 2, 3]
    assert [record.message for record in caplog.records] == ["job failed"] * 4


async def test_a_job_can_be_added_while_the_others_run() -> None:
    log = Log()
    async with log.running():
        await log.clock.advance(2)
        log.scheduler.every("late", 5, log.job("late"))
        await log.clock.advance(0)
        await log.clock.advance(5)
    assert log.times("late") == [2, 7]


async def test_due_jobs_can_be_run_one_by_one_in_the_order_of_registration() -> None:
    log = Log()
    log.scheduler.every("b", 5, log.job("b"))
    log.scheduler.every("broken", 5, fail)
    log.scheduler.every("a", 10, log.job("a"))
    await log.scheduler.run_due()
    await log.scheduler.run_due()
    await log.clock.advance(5)
    await log.scheduler.run_due()
    assert log.ran == [("b", 0), ("a", 0), ("b", 5)]


async def test_a_stop_lets_a_running_job_end() -> None:
    log = Log()
    ended = []
    gate = asyncio.Event()

    async def job() -> None:
        await gate.wait()
        ended.append(True)

    log.scheduler.every("job", 5, job)
    running = asyncio.create_task(log.scheduler.run())
    await log.clock.advance(0)
    stopping = asyncio.create_task(log.scheduler.stop())
    await log.clock.advance(0)
    gate.set()
    await stopping
    await running
    assert ended == [True]


async def test_a_job_that_hangs_does_not_hang_the_stop() -> None:
    log = Log()
    log.scheduler.every("hangs", 5, log.job("hangs", takes=1_000_000))
    async with log.running():
        await log.clock.advance(1)
    assert log.times("hangs") == [0]


def test_a_name_is_taken_once_and_an_interval_is_positive() -> None:
    log = Log()
    log.scheduler.every("watch", 5, log.job("watch"))
    with pytest.raises(ValueError, match="watch"):
        log.scheduler.every("watch", 6, log.job("watch"))
    with pytest.raises(ValueError, match="positive"):
        log.scheduler.every("other", 0, log.job("other"))
