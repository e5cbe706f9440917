"""Inbox and outbox of one of several processes: what is another's is left alone, what was ours is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.chat import (
    ChatRef,
    OutboxMessage,
    Platform,
    Priority,
    Reply,
    Request,
    RequestKind,
    Text,
    UserRef,
)
from chatbot.clock import VirtualClock
from chatbot.domain.shards import SHARDS, shard_of
from chatbot.errors import LeaseLost
from chatbot.ports import Lease
from chatbot.pushing.inbox import InboxProcessor
from chatbot.pushing.leasing import name_of
from chatbot.pushing.limits import TELEGRAM_LIMITS, Pacer
from chatbot.pushing.memory import MemoryMailbox
from chatbot.pushing.outbox import Outbox

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, BOB = UserRef(Platform.TELEGRAM, "1"), UserRef(Platform.TELEGRAM, "2")


@dataclass
class Ours:
    """``Leases``: all of them, but what is taken away."""

    shards: frozenset[int] = field(default_factory=lambda: frozenset(range(SHARDS)))
    woken: list[set[int]] = field(default_factory=list)

    def without(self, user: UserRef) -> None:
        self.shards -= {shard_of(str(user))}

    def holds(self, shard: int) -> bool:
        return shard in self.shards

    def of_shard(self, shard: int) -> Lease:
        if shard not in self.shards:
            raise LeaseLost
        return Lease(name_of(shard), "me", 1)

    def of_duty(self, name: str) -> None:
        del name

    def wake(self, shards: Collection[int]) -> None:
        self.woken.append(set(shards))


def request(user: UserRef, number: int) -> Request:
    chat = ChatRef(Platform.TELEGRAM, user.id)
    return Request(f"tg:{number}", RequestKind.COMMAND, user, chat, f"/{number}", NOON)


class Desk:
    """Handles until ``free`` is set."""

    def __init__(self) -> None:
        self.clock, self.mailbox, self.leases = VirtualClock(NOON), MemoryMailbox(), Ours()
        self.begun: list[str] = []
        self.free = asyncio.Event()
        self.refused = False
        self.inbox = InboxProcessor(
            self.mailbox,
            self.handle,
            self.finish,
            self.acknowledge,
            clock=self.clock,
            leases=self.leases,
        )

    async def handle(self, request: Request) -> Sequence[Reply]:
        self.begun.append(request.id)
        await self.free.wait()
        return ()

    async def finish(self, request: Request, replies: Sequence[Reply]) -> None:
        del replies
        if self.refused:
            raise LeaseLost
        await self.mailbox.settle(handled=[request.id])

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nobody taps."""

    async def receives(self, *requests: Request) -> None:
        await self.inbox.receive(requests)
        self.inbox.look()
        await self.clock.advance(0.1)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_what_comes_in_wakes_whoever_is_to_handle_it(desk: Desk) -> None:
    await desk.receives(request(ANN, 1), request(BOB, 2))
    assert desk.leases.woken == [{shard_of(str(ANN)), shard_of(str(BOB))}]


async def test_what_is_anothers_is_left_in_the_mailbox(desk: Desk) -> None:
    desk.leases.without(BOB)
    await desk.receives(request(ANN, 1), request(BOB, 2))
    assert desk.begun == ["tg:1"]


async def test_what_is_begun_may_end_and_what_waits_is_left_to_the_next(desk: Desk) -> None:
    await desk.receives(request(ANN, 1), request(ANN, 2))
    desk.leases.without(ANN)
    leaving = asyncio.create_task(desk.inbox.let_go([shard_of(str(ANN))], seconds=5))
    await asyncio.sleep(0.01)
    desk.free.set()
    await leaving
    assert desk.begun == ["tg:1"]
    assert [left.id for left in await desk.mailbox.unhandled()] == ["tg:2"]


async def test_what_does_not_end_in_time_is_canceled_and_can_come_back(desk: Desk) -> None:
    await desk.receives(request(ANN, 1))
    await desk.inbox.let_go([shard_of(str(ANN))], seconds=0)
    desk.free.set()
    desk.inbox.look()
    await desk.clock.advance(0.1)
    assert desk.begun == ["tg:1", "tg:1"]
    assert await desk.mailbox.unhandled() == ()


async def test_an_answer_that_came_too_late_is_not_tried_again(desk: Desk) -> None:
    desk.free.set()
    desk.refused = True
    await desk.receives(request(ANN, 1))
    await desk.clock.advance(10)
    assert desk.begun == ["tg:1"]
    assert len(await desk.mailbox.unhandled()) == 1, "the other process has it"


# --- what is owed -------------------------------------------------------------------------------


class Slow:
    """A messenger that delivers when ``free`` is set."""

    platform = Platform.TELEGRAM

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.free = asyncio.Event()

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        self.begun.append(chat.id)
        await self.free.wait()
        return edits or "1"

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nobody taps."""


def owed(user: UserRef) -> OutboxMessage:
    chat = ChatRef(Platform.TELEGRAM, user.id)
    return OutboxMessage(f"to {user}", chat, Reply((Text("Hello"),)), Priority.REPLY, NOON)


async def test_what_another_delivers_is_not_sent(desk: Desk) -> None:
    messenger = Slow()
    messenger.free.set()
    desk.leases.without(BOB)
    outbox = Outbox(desk.mailbox, [messenger], desk.clock, {}, leases=desk.leases)
    running = asyncio.create_task(outbox.run())
    await desk.mailbox.settle(outbox=[owed(ANN), owed(BOB)])
    await desk.clock.advance(1)
    assert messenger.begun == ["1"], "without having been told: another process may owe"
    await outbox.stop()
    await running


async def test_what_is_on_its_way_is_marked_before_it_is_let_go(desk: Desk) -> None:
    messenger = Slow()
    outbox = Outbox(desk.mailbox, [messenger], desk.clock, {}, leases=desk.leases)
    running = asyncio.create_task(outbox.run())
    await desk.mailbox.settle(outbox=[owed(ANN)])
    await desk.clock.advance(1)
    leaving = asyncio.create_task(outbox.let_go([shard_of(str(ANN))], seconds=5))
    messenger.free.set()
    await desk.clock.advance(1)
    assert leaving.done()
    assert await desk.mailbox.due(NOON + timedelta(hours=1), limit=9) == ()
    await outbox.stop()
    await running


def test_each_of_three_keeps_to_a_third_of_what_the_platform_takes() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    pacer.shared_by(3)
    chats = [ChatRef(Platform.TELEGRAM, str(number)) for number in range(30)]
    sent = 0
    for chat in chats:
        if pacer.overall_free_at(Priority.CRITICAL, NOON) <= NOON:
            pacer.sent(chat, NOON)
            sent += 1
    assert sent == TELEGRAM_LIMITS.overall // 3
