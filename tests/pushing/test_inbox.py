"""The inbox: each update once, in order per chat, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from chatbot.chat import ChatRef, Picture, Priority, Reply, Request, Text
from chatbot.clock import VirtualClock
from chatbot.errors import Conflict, LeaseLost, StorageError
from chatbot.pushing.inbox import (
    APOLOGY,
    FINISH_TRIES,
    LANE_LIMIT,
    OUTAGE_TRIES,
    InboxProcessor,
    replies_to_outbox,
)
from chatbot.pushing.memory import MemoryMailbox
from chatbot.pushing.outbox import LONGEST_PAUSE, pause_after
from tests.pushing.mail import START, asleep, private, request, says, tap, until


@dataclass
class Desk:
    """Writes down what is handled, finished and acknowledged. ``gates`` hold up the handling of a chat."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    mailbox: MemoryMailbox = field(default_factory=MemoryMailbox)
    handled: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    acknowledged: list[tuple[str, str | None]] = field(default_factory=list)
    gates: dict[ChatRef, asyncio.Event] = field(default_factory=dict)
    answer: Reply = field(default_factory=lambda: says("done"))
    failing_finishes: list[Exception] = field(default_factory=list)
    failing_handles: list[Exception] = field(default_factory=list)
    inbox: InboxProcessor = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = self.processor()

    def processor(self) -> InboxProcessor:
        return InboxProcessor(self.mailbox, self.handle, self.finish, self.acknowledge, clock=self.clock)

    async def handle(self, request: Request) -> Sequence[Reply]:
        self.begun.append(request.id)
        if request.chat in self.gates:
            await self.gates[request.chat].wait()
        self.handled.append(request.id)
        if self.failing_handles:
            raise self.failing_handles.pop(0)
        if request.text == "/boom":
            raise ZeroDivisionError("boom")
        return (self.answer,)

    async def finish(self, request: Request, replies: Sequence[Reply]) -> None:
        if self.failing_finishes:
            raise self.failing_finishes.pop(0)
        outbox = replies_to_outbox(request, replies, self.clock.now())
        await self.mailbox.settle(handled=[request.id], outbox=outbox)

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        self.acknowledged.append((request.ack, toast))

    def hold(self, chat: ChatRef) -> asyncio.Event:
        return self.gates.setdefault(chat, asyncio.Event())

    async def settle(self) -> None:
        for _ in range(20):
            await self.clock.advance(0)

    @property
    def owed(self) -> list[Reply]:
        return [row.message.reply for row in self.mailbox.rows.values()]


async def test_an_update_is_handled_answered_and_done() -> None:
    desk = Desk()
    await desk.inbox.receive([request(1)])
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1"]
    assert desk.owed == [says("done")]
    assert await desk.mailbox.unhandled() == ()


async def test_the_order_within_a_chat_is_kept() -> None:
    desk = Desk()
    await desk.inbox.receive([request(number) for number in range(20)])
    await desk.inbox.idle()
    assert desk.handled == [f"telegram:{number}" for number in range(20)]


async def test_one_chat_never_blocks_another() -> None:
    desk = Desk()
    gate = desk.hold(private(1))
    await desk.inbox.receive([request(1), request(2), request(3, chat=private(2))])
    await desk.settle()
    assert desk.handled == ["telegram:3"]
    gate.set()
    await desk.inbox.idle()
    assert desk.handled == ["telegram:3", "telegram:1", "telegram:2"]


async def test_an_update_that_comes_twice_is_handled_once() -> None:
    desk = Desk()
    await desk.inbox.receive([request(1)])
    await desk.inbox.receive([request(1)], repeated=True)
    await desk.inbox.idle()
    await desk.inbox.receive([request(1)], repeated=True)
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1"]


async def test_what_is_finished_while_the_inbox_is_read_is_not_handled_again() -> None:
    desk = Desk()
    gate = desk.hold(private(1))
    read = asyncio.Event()

    class SlowMailbox(MemoryMailbox):
        async def unhandled(self) -> tuple[Request, ...]:
            rows = await MemoryMailbox.unhandled(self)
            await read.wait()
            return rows

    desk.mailbox = SlowMailbox()
    desk.inbox = desk.processor()
    await desk.inbox.receive([request(1)])
    await desk.settle()
    refreshing = asyncio.create_task(desk.inbox.refresh())
    await desk.settle()
    gate.set()
    await desk.inbox.idle()
    read.set()
    await refreshing
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1"]


async def test_what_an_earlier_run_left_is_handled_first() -> None:
    desk = Desk()
    await desk.mailbox.receive([request(1), request(2)])
    await desk.inbox.start()
    await desk.inbox.receive([request(3)])
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1", "telegram:2", "telegram:3"]


async def test_a_flooding_chat_is_kept_in_the_mailbox_and_still_served_in_order() -> None:
    desk = Desk()
    gate = desk.hold(private(1))
    flood = [request(number) for number in range(3 * LANE_LIMIT)]
    await desk.inbox.receive(flood)
    assert sum(len(lane.waiting) for lane in desk.inbox._lanes.values()) == LANE_LIMIT
    await desk.settle()
    await desk.inbox.receive([request(9999)])
    gate.set()
    await desk.inbox.idle()
    assert desk.handled == [*(one.id for one in flood), "telegram:9999"]


async def test_what_comes_while_a_lane_catches_up_is_not_forgotten() -> None:
    desk = Desk()
    reads = 0

    class InterruptedMailbox(MemoryMailbox):
        async def unhandled(self) -> tuple[Request, ...]:
            nonlocal reads
            rows = await MemoryMailbox.unhandled(self)
            reads += 1
            if reads == 1:
                await desk.inbox.receive([request(9999)])
            return rows

    desk.mailbox = InterruptedMailbox()
    desk.inbox = desk.processor()
    flood = [request(number) for number in range(LANE_LIMIT + 5)]
    await desk.inbox.receive(flood)
    await desk.inbox.idle()
    assert desk.handled == [*(one.id for one in flood), "telegram:9999"]


async def test_a_request_that_cannot_be_handled_is_apologized_for_once() -> None:
    desk = Desk()
    await desk.inbox.receive([request(1, text="/boom"), request(2)])
    await desk.inbox.idle()
    assert desk.owed == [APOLOGY, says("done")]
    assert desk.handled == ["telegram:1", "telegram:2"]
    assert await desk.mailbox.unhandled() == ()


async def test_a_busy_database_is_tried_again_with_the_same_replies() -> None:
    desk = Desk(failing_finishes=[StorageError("locked")])
    await desk.inbox.receive([request(1)])
    await until(lambda: asleep(desk.clock))
    assert desk.owed == []
    await desk.clock.advance(1)
    await desk.inbox.idle()
    assert desk.owed == [says("done")]
    assert desk.handled == ["telegram:1"]


async def test_replies_that_cannot_be_stored_end_in_an_apology() -> None:
    desk = Desk(failing_finishes=[ValueError("not storable")] * 2)
    await desk.inbox.receive([request(1)])
    await tries(desk, FINISH_TRIES - 1)
    await desk.inbox.idle()
    assert desk.owed == [APOLOGY]


async def test_what_cannot_be_finished_at_all_waits_for_the_next_start_and_blocks_nobody() -> None:
    desk = Desk(failing_finishes=[ValueError("not storable")] * 3)
    await desk.inbox.receive([request(1), request(2)])
    await tries(desk, FINISH_TRIES - 1)
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1", "telegram:2"]
    await desk.inbox.refresh()
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1", "telegram:2"]
    restarted = desk.processor()
    await restarted.start()
    await restarted.idle()
    assert desk.handled == ["telegram:1", "telegram:2", "telegram:1"]
    assert await desk.mailbox.unhandled() == ()


async def test_an_answer_waits_until_the_database_is_back() -> None:
    """However long that takes; the request is not handled a second time."""
    desk = Desk(failing_finishes=[StorageError("gone")] * (OUTAGE_TRIES - 2))
    await desk.inbox.receive([request(1), request(2)])
    await tries(desk, OUTAGE_TRIES - 2)
    await desk.inbox.idle()
    assert desk.owed == [says("done"), says("done")]
    assert desk.handled == ["telegram:1", "telegram:2"]


async def test_an_answer_that_may_itself_be_what_the_database_refuses_becomes_an_apology() -> None:
    desk = Desk(failing_finishes=[StorageError("gone")] * (OUTAGE_TRIES + 2))
    await desk.inbox.receive([request(1)])
    await tries(desk, OUTAGE_TRIES + 2)
    await desk.inbox.idle()
    assert desk.owed == [APOLOGY]


async def test_a_request_that_met_no_database_is_handled_when_it_is_back() -> None:
    desk = Desk(failing_handles=[StorageError("gone")] * 3)
    await desk.inbox.receive([request(1)])
    await tries(desk, 3)
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1"] * 4
    assert desk.owed == [says("done")]


@pytest.mark.parametrize("refusal", [Conflict("spent"), LeaseLost("another process")])
async def test_what_a_database_is_there_to_refuse_is_not_waited_for(refusal: StorageError) -> None:
    desk = Desk(failing_handles=[refusal])
    await desk.inbox.receive([request(1)])
    await desk.inbox.idle()
    assert desk.handled == ["telegram:1"]
    assert desk.owed == [APOLOGY]


async def tries(desk: Desk, count: int) -> None:
    for number in range(count):
        await until(lambda: asleep(desk.clock))
        await desk.clock.advance(pause_after(number))


def test_pauses_grow_to_what_a_user_will_still_wait_for() -> None:
    assert [pause_after(number) for number in range(6)] == [1, 2, 4, 8, LONGEST_PAUSE, LONGEST_PAUSE]


async def test_a_tap_is_answered_with_the_toast_of_the_reply() -> None:
    desk = Desk(answer=Reply(toast="Already done"))
    await desk.inbox.receive([tap(1)])
    await desk.inbox.idle()
    assert desk.acknowledged == [("query-1", "Already done")]
    assert desk.owed == [], "a reply without blocks is only a toast"


def test_a_picture_without_words_is_owed_too() -> None:
    shown = Reply(picture=Picture(b"png", "a chart"))

    assert [message.reply for message in replies_to_outbox(tap(1), [shown], START)] == [shown]


async def test_a_tap_whose_handling_takes_long_is_answered_blank_after_two_seconds() -> None:
    desk = Desk(answer=says("done", toast="too late"))
    gate = desk.hold(private(1))
    await desk.inbox.receive([tap(1)])
    await desk.settle()
    await desk.clock.advance(1.9)
    assert desk.acknowledged == []
    await desk.clock.advance(0.2)
    assert desk.acknowledged == [("query-1", None)]
    gate.set()
    await desk.inbox.idle()
    assert desk.acknowledged == [("query-1", None)]


async def test_a_command_is_not_acknowledged() -> None:
    desk = Desk(answer=says("done", toast="never seen"))
    await desk.inbox.receive([request(1)])
    await desk.inbox.idle()
    assert desk.acknowledged == []


async def test_a_stop_lets_the_running_request_end() -> None:
    desk = Desk()
    gate = desk.hold(private(1))
    await desk.inbox.receive([request(1)])
    await desk.settle()
    stopping = asyncio.create_task(desk.inbox.stop(drain_seconds=5))
    await desk.settle()
    gate.set()
    await stopping
    assert await desk.mailbox.unhandled() == ()


async def test_what_is_not_done_by_the_deadline_is_handled_after_the_next_start() -> None:
    desk = Desk()
    desk.hold(private(1))
    await desk.inbox.receive([request(1), request(2)])
    await desk.settle()
    await desk.inbox.stop(drain_seconds=0)
    assert [one.id for one in await desk.mailbox.unhandled()] == ["telegram:1", "telegram:2"]
    desk.gates.clear()
    restarted = desk.processor()
    await restarted.start()
    await restarted.idle()
    assert desk.handled == ["telegram:1", "telegram:2"]


async def test_what_comes_after_the_stop_is_stored_for_the_next_start() -> None:
    desk = Desk()
    await desk.inbox.stop()
    await desk.inbox.receive([request(1)])
    await desk.inbox.idle()
    assert desk.handled == []
    assert [one.id for one in await desk.mailbox.unhandled()] == ["telegram:1"]


async def test_an_inbox_that_cannot_be_read_is_read_again() -> None:
    desk = Desk()
    failures = [StorageError("locked")]

    class ShakyMailbox(MemoryMailbox):
        async def unhandled(self) -> tuple[Request, ...]:
            if failures:
                raise failures.pop()
            return await MemoryMailbox.unhandled(self)

    desk.mailbox = ShakyMailbox()
    desk.inbox = desk.processor()
    flood = [request(number) for number in range(LANE_LIMIT + 1)]
    await desk.inbox.receive(flood)
    await until(lambda: asleep(desk.clock))
    await desk.clock.advance(1)
    await desk.inbox.idle()
    assert len(desk.handled) == LANE_LIMIT + 1


async def test_finished_requests_leave_nothing_in_memory() -> None:
    desk = Desk()
    await desk.inbox.receive([request(number, chat=private(number)) for number in range(50)])
    await desk.inbox.idle()
    assert not desk.inbox._lanes
    assert not desk.inbox._taken


def test_replies_become_messages_with_keys_of_their_own() -> None:
    first, second = replies_to_outbox(
        tap(7, card="50"), [says("a"), Reply(toast="t"), says("b", edit=True)], START
    )
    assert (first.dedupe_key, first.replaces) == ("reply:telegram:7:0", None)
    assert (second.dedupe_key, second.replaces) == ("reply:telegram:7:2", "50")
    assert first.priority is Priority.REPLY
    assert second.reply.blocks == (Text("b"),)


def test_an_edit_without_a_tapped_card_is_a_new_message() -> None:
    (message,) = replies_to_outbox(request(1), [says("a", edit=True)], START)
    assert message.replaces is None
