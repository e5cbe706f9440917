"""Who works for which shards: taken, kept, divided evenly, handed on, and lost in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.shards import SHARDS
from chatbot.errors import LeaseLost
from chatbot.ports import Lease
from chatbot.pushing.leasing import SAFETY, LeaseKeeper
from chatbot.pushing.memory import MemoryLeases, MemoryLeaseTable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERM = timedelta(seconds=10)
DUTY = "telegram"


@dataclass
class Desk:
    """Remembers what it was told. ``slow``: as long takes what is under way when it has to let go."""

    clock: VirtualClock
    slow: float = 0.0
    begun: set[int] = field(default_factory=set)
    let_gone: list[tuple[set[int], float]] = field(default_factory=list)
    looks: int = 0
    sharers: tuple[int, int] = (0, 0)

    async def begin(self, shards: Collection[int]) -> None:
        self.begun |= set(shards)

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        self.let_gone.append((set(shards), seconds))
        await self.clock.sleep(min(self.slow, seconds))
        self.begun -= set(shards)

    def look(self) -> None:
        self.looks += 1

    def shared_by(self, processes: int, *, here: int) -> None:
        self.sharers = (processes, here)


@dataclass
class Process:
    keeper: LeaseKeeper
    table: MemoryLeaseTable
    desk: Desk
    running: asyncio.Task[None] | None = None

    async def dies(self) -> None:
        """Without a word."""
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@dataclass
class Office:
    clock: VirtualClock
    shared: MemoryLeases
    processes: list[Process] = field(default_factory=list)

    async def hire(self, host: str = "here", *, slow: float = 0.0) -> Process:
        table, desk = MemoryLeaseTable(self.shared, host), Desk(self.clock, slow)
        keeper = LeaseKeeper(
            table, self.clock, term=TERM, duties=[DUTY], seconds=lambda: self.clock.now().timestamp()
        )
        process = Process(keeper, table, desk)
        self.processes.append(process)
        await keeper.start(desk)
        process.running = asyncio.create_task(keeper.run())
        await self.clock.advance(0)  # it begins to wait
        return process

    @property
    def shares(self) -> list[int]:
        return [len(each.keeper.shards) for each in self.processes]


@asynccontextmanager
async def an_office() -> AsyncIterator[Office]:
    clock = VirtualClock(NOON)
    office = Office(clock, MemoryLeases(clock))
    try:
        yield office
    finally:
        for process in office.processes:
            await process.dies()


async def test_the_only_process_works_for_everybody_at_once() -> None:
    async with an_office() as office:
        only = await office.hire()
        assert only.keeper.shards == set(range(SHARDS)) == only.desk.begun
        assert only.desk.sharers == (1, 1)


async def test_who_joins_gets_its_share_and_all_shards_stay_held() -> None:
    async with an_office() as office:
        for _ in range(3):
            await office.hire()
        await office.clock.advance(3)
        assert sorted(office.shares) == [20, 22, 22]
        held = [shard for process in office.processes for shard in process.keeper.shards]
        assert sorted(held) == list(range(SHARDS)), "each by one"


async def test_what_is_handed_on_is_finished_first() -> None:
    async with an_office() as office:
        first = await office.hire(slow=4.0)
        second = await office.hire()
        await office.clock.advance(3)
        (given, patience), *_ = first.desk.let_gone
        assert patience > 0
        assert not given & first.keeper.shards, "nothing new is begun for them"
        assert first.keeper.of_shard(min(given)).epoch == 1, "and what has begun may still be written"
        assert second.keeper.shards == set(), "until then they are not the other's"
        await office.clock.advance(4)
        assert second.keeper.shards == given
        with pytest.raises(LeaseLost):
            first.keeper.of_shard(min(given))


async def test_who_leaves_gives_up_at_once() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        await office.clock.advance(3)
        leaving = asyncio.create_task(first.keeper.stop())
        await office.clock.advance(0.1)
        await leaving
        await office.clock.advance(1)
        assert len(second.keeper.shards) == SHARDS


async def test_the_dead_are_taken_over_when_their_term_ends_with_a_higher_epoch() -> None:
    async with an_office() as office:
        first = await office.hire()
        lease = first.keeper.of_shard(5)
        second = await office.hire()
        await first.dies()
        await office.clock.advance(TERM.total_seconds() - 1)
        assert second.keeper.shards == set()
        await office.clock.advance(2)
        assert len(second.keeper.shards) == SHARDS
        assert second.keeper.of_shard(5) == Lease("shard:05", second.table.id, lease.epoch + 1)


async def test_who_cannot_give_a_sign_of_life_stops_before_the_others_begin() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        await office.clock.advance(3)
        first.table.cut = True
        mine = first.keeper.shards
        await office.clock.advance(TERM.total_seconds() - SAFETY - 0.5)
        assert first.keeper.shards == mine, "a hiccup is no reason"
        await office.clock.advance(0.6)
        assert first.keeper.shards == set()
        assert first.desk.begun == set(), "nothing goes on"
        assert first.desk.let_gone[-1][1] == 0, "there was no time to lose"
        assert len(second.keeper.shards) == SHARDS // 2, "and the others have not begun"
        await office.clock.advance(4)
        assert len(second.keeper.shards) == SHARDS


async def test_who_was_cut_off_comes_back_under_another_name() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        await office.clock.advance(3)
        before = first.table.id
        first.table.cut = True
        await office.clock.advance(TERM.total_seconds() + 2)
        first.table.cut = False
        await office.clock.advance(4)
        assert first.table.id != before
        assert office.shares == [SHARDS // 2, SHARDS // 2]
        assert second.keeper.shards.isdisjoint(first.keeper.shards)


async def test_who_was_paused_holds_nothing_from_its_first_question_on() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        await office.clock.advance(3)
        shard = min(first.keeper.shards)
        await first.dies()  # as far as it does nothing; its objects are asked below
        await office.clock.advance(TERM.total_seconds() + 2)
        assert len(second.keeper.shards) == SHARDS
        assert not first.keeper.holds(shard)
        assert first.keeper.shards == set()
        with pytest.raises(LeaseLost):
            first.keeper.of_shard(shard)


async def test_what_another_took_is_noticed_at_the_next_sign_of_life() -> None:
    async with an_office() as office:
        first = await office.hire()
        office.shared.holders["shard:07"], office.shared.epochs["shard:07"] = "somebody", 9
        office.shared.expires["somebody"] = office.clock.now() + TERM
        office.shared.hosts["somebody"] = "there"
        await office.clock.advance(1.1)
        assert not first.keeper.holds(7)
        assert ({7}, 0.0) in first.desk.let_gone


async def test_one_process_has_the_duty_and_another_takes_its_turn() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        waiting = asyncio.create_task(second.keeper.turn(DUTY))
        await office.clock.advance(3)
        assert not waiting.done()
        assert first.keeper.of_duty(DUTY) == Lease(DUTY, first.table.id, 1)
        await first.dies()
        await office.clock.advance(TERM.total_seconds() + 1)
        assert waiting.done()
        assert second.keeper.of_duty(DUTY) == Lease(DUTY, second.table.id, 2)


async def test_what_any_process_may_do_needs_no_lease() -> None:
    async with an_office() as office:
        only = await office.hire()
        assert only.keeper.of_duty("webhook") is None


async def test_work_is_told_to_whoever_holds_it() -> None:
    async with an_office() as office:
        first, second = await office.hire(), await office.hire()
        await office.clock.advance(3)
        looks = (first.desk.looks, second.desk.looks)
        first.keeper.wake([min(second.keeper.shards)])
        await office.clock.advance(0.01)
        assert (first.desk.looks, second.desk.looks) == (looks[0], looks[1] + 1)


async def test_limits_are_divided_by_all_and_by_those_at_one_address() -> None:
    async with an_office() as office:
        here, _, there = await office.hire("here"), await office.hire("here"), await office.hire("there")
        await office.clock.advance(3)
        assert here.desk.sharers == (3, 2)
        assert there.desk.sharers == (3, 1)
