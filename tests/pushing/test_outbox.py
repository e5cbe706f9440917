"""The outbox on a virtual clock, with the real limits and the mailbox in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from chatbot.chat import ChatRef, OutboxMessage, Part, Platform, Priority, Reply, Text
from chatbot.clock import VirtualClock
from chatbot.errors import ChatUnreachable, DeliverLater, DeliveryError, PlatformAway, StorageError
from chatbot.ports import Delivered
from chatbot.pushing.limits import MARGIN
from chatbot.pushing.memory import MemoryMailbox, RowState
from chatbot.pushing.outbox import MAX_TRIES, Outbox
from tests.pushing.mail import START, RecordingMessenger, group, owed, private, says


@dataclass
class Office:
    """Everything around one outbox."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    mailbox: MemoryMailbox = field(default_factory=MemoryMailbox)
    messenger: RecordingMessenger = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.messenger = RecordingMessenger(self.clock)
        self.outbox = Outbox(self.mailbox, [self.messenger], self.clock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.outbox.run())
        try:
            yield
        finally:
            await self.outbox.stop(drain_seconds=0)
            await running

    async def owe(self, *messages: OutboxMessage) -> None:
        await self.mailbox.settle(outbox=messages)
        self.outbox.notify()
        await self.settle()

    async def settle(self) -> None:
        """Lets everything run that can without time passing."""
        for _ in range(20):
            await self.clock.advance(0)

    def use_gate(self) -> asyncio.Event:
        """Deliveries end only after it is set."""
        gate = asyncio.Event()

        class GatedMessenger(RecordingMessenger):
            async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
                await gate.wait()
                return await RecordingMessenger.deliver(self, chat, reply, edits=edits)

        self.messenger = GatedMessenger(self.clock)
        self.outbox = Outbox(self.mailbox, [self.messenger], self.clock)
        return gate

    def states(self) -> Counter[RowState]:
        return Counter(row.state for row in self.mailbox.rows.values())

    async def pass_time(self, seconds: float, *, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            await self.settle()


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    async with office.open():
        yield office


def most_within(seconds: float, instants: Sequence[float]) -> int:
    return max((sum(start <= at < start + seconds for at in instants) for start in instants), default=0)


async def test_what_is_owed_is_delivered_and_marked(office: Office) -> None:
    await office.owe(owed("one", private(1)), owed("two", private(2)))
    await office.outbox.idle()
    assert sorted(office.messenger.texts) == ["one", "two"]
    assert office.states() == {RowState.DELIVERED: 2}


async def test_alerts_that_wait_for_one_chat_go_as_one_message_with_the_gravest_first(office: Office) -> None:
    await office.owe(
        owed("alert:calm", private(1), priority=Priority.INFO),
        owed("alert:grave", private(1), priority=Priority.CRITICAL),
        owed("answer", private(1)),
        owed("alert:another", private(2)),
    )
    await office.pass_time(3)
    assert sorted(office.messenger.texts) == ["alert:another", "alert:grave", "answer"]
    (card,) = [each for each in office.messenger.replies if "alert:grave" in str(each)]
    assert [block.text for block in card.blocks if isinstance(block, Text)] == [
        "alert:grave",
        "",
        "alert:calm",
    ]
    assert office.states() == {RowState.DELIVERED: 4}


async def test_of_alerts_that_failed_together_each_goes_by_itself(office: Office) -> None:
    def only_once(_: ChatRef, __: str) -> None:
        if len(office.messenger.tried) == 1:
            raise DeliveryError("too long")

    office.messenger.trouble = only_once
    await office.owe(owed("alert:one", private(1)), owed("alert:two", private(1)))
    await office.pass_time(10)
    assert sorted(office.messenger.texts) == ["alert:one", "alert:two"]
    assert [len(reply.blocks) for reply in office.messenger.replies] == [1, 1]


async def test_what_was_owed_at_the_start_is_delivered() -> None:
    office = Office()
    await office.mailbox.settle(outbox=[owed("from before", private(1))])
    async with office.open():
        await office.outbox.idle()
    assert office.messenger.texts == ["from before"]


async def test_within_a_chat_the_order_is_kept(office: Office) -> None:
    await office.owe(*(owed(str(number), private(1)) for number in range(8)))
    await office.pass_time(6)
    assert office.messenger.texts == [str(number) for number in range(8)]


async def test_a_private_chat_gets_three_at_once_and_then_one_a_second(office: Office) -> None:
    await office.owe(*(owed(str(number), private(1)) for number in range(9)))
    await office.pass_time(8)
    step = 1 + MARGIN.total_seconds()
    instants = [0, 0, 0, *(step * number for number in range(1, 7))]
    assert [sent.seconds for sent in office.messenger.sent] == pytest.approx(instants, abs=0.051)


async def test_a_group_gets_no_more_than_twenty_a_minute(office: Office) -> None:
    calm = [owed(f"info {number}", group(1), priority=Priority.INFO) for number in range(60)]
    await office.owe(*calm)
    await office.pass_time(30, step=1)
    critical = [owed(f"critical {number}", group(1), priority=Priority.CRITICAL) for number in range(5)]
    await office.owe(*critical)
    await office.pass_time(150, step=1)
    instants = [sent.seconds for sent in office.messenger.sent]
    assert most_within(60, instants) == 20
    assert instants[:18] == [0.0] * 18
    assert instants[18:20] == [30.0, 30.0], "two places are kept for critical messages"
    assert office.messenger.texts[18:23] == [f"critical {number}" for number in range(5)]


async def test_no_more_than_thirty_leave_in_any_second(office: Office) -> None:
    await office.owe(*(owed(str(number), private(number), priority=Priority.INFO) for number in range(200)))
    await office.pass_time(9)
    instants = [sent.seconds for sent in office.messenger.sent]
    assert len(instants) == 200
    assert most_within(1, instants) <= 30
    assert instants[-1] < 200 / 25


async def test_a_critical_message_overtakes_a_burst_of_200(office: Office) -> None:
    await office.owe(
        *(owed(f"digest {number}", private(number % 40), priority=Priority.INFO) for number in range(200))
    )
    await office.pass_time(1.5)
    before = len(office.messenger.sent)
    await office.owe(
        owed("reply", private(7), priority=Priority.REPLY),
        owed("naked leg", private(8), priority=Priority.CRITICAL),
    )
    await office.clock.advance(0)
    assert office.messenger.texts[before] == "naked leg"
    await office.pass_time(1.0)
    after = office.messenger.texts[before:]
    assert after.index("naked leg") < after.index("reply")
    assert all(sent.seconds <= 2.5 for sent in office.messenger.sent if sent.text == "reply")


async def test_a_critical_message_goes_first_in_its_own_chat(office: Office) -> None:
    await office.owe(*(owed(f"info {number}", private(1), priority=Priority.INFO) for number in range(20)))
    await office.pass_time(0.5)
    await office.owe(owed("critical", private(1), priority=Priority.CRITICAL))
    await office.pass_time(1)
    assert office.messenger.texts[3] == "critical"


async def test_of_several_states_of_a_card_only_the_newest_goes(office: Office) -> None:
    await office.owe(*(owed(f"state {number}", private(1), slot="op:1") for number in range(5)))
    await office.outbox.idle()
    assert office.messenger.texts == ["state 4"]
    assert office.states() == {RowState.SUPERSEDED: 4, RowState.DELIVERED: 1}


async def test_the_next_state_of_a_card_edits_its_message(office: Office) -> None:
    for number in range(3):
        await office.owe(owed(f"state {number}", private(1), slot="op:1"))
        await office.outbox.idle()
    assert [sent.edits for sent in office.messenger.sent] == [None, "1001", "1001"]


async def test_a_state_that_comes_while_the_first_is_on_its_way_edits_it_too(office: Office) -> None:
    office.messenger.takes = 0.2
    await office.owe(owed("state 0", private(1), slot="op:1"))
    await office.clock.advance(0.1)
    await office.owe(owed("state 1", private(1), slot="op:1"))
    await office.pass_time(1)
    assert [(sent.text, sent.edits) for sent in office.messenger.sent] == [
        ("state 0", None),
        ("state 1", "1001"),
    ]


async def test_the_clicked_message_is_replaced(office: Office) -> None:
    await office.owe(owed("done", private(1), replaces="77"))
    await office.outbox.idle()
    assert office.messenger.sent[0].edits == "77"


async def test_one_slow_chat_does_not_hold_up_the_others() -> None:
    office = Office()
    office.outbox = Outbox(office.mailbox, [office.messenger], office.clock, limits={})
    office.messenger.takes = 1.0
    async with office.open():
        await office.owe(*(owed(str(number), private(number)) for number in range(50)))
        await office.clock.advance(1.0)
        assert len(office.messenger.sent) == 50


async def test_what_is_not_due_yet_waits_and_is_not_waited_for(office: Office) -> None:
    await office.owe(owed("later", private(1), after=30))
    await office.outbox.idle()
    assert office.messenger.texts == []
    await office.clock.advance(29)
    assert office.messenger.texts == []
    await office.clock.advance(1)
    assert office.messenger.texts == ["later"]


async def test_what_comes_due_is_not_hidden_by_a_chat_that_is_held(office: Office) -> None:
    office.messenger.trouble = once(lambda text: text == "flooded", DeliverLater(retry_after=100))
    await office.owe(
        owed("flooded", private(1)), owed("behind it", private(1)), owed("later", private(2), after=5)
    )
    await office.pass_time(7, step=0.5)
    assert office.messenger.texts == ["later"]


def once(applies: Callable[[str], bool], error: Exception) -> Callable[[ChatRef, str], None]:
    return times(1, applies, error)


def times(count: int, applies: Callable[[str], bool], error: Exception) -> Callable[[ChatRef, str], None]:
    left = [count]

    def trouble(chat: ChatRef, text: str) -> None:
        if applies(text) and left[0]:
            left[0] -= 1
            raise error

    return trouble


async def test_a_429_holds_its_chat_only_and_the_order_in_it_stays(office: Office) -> None:
    office.messenger.trouble = once(lambda text: text == "a1", DeliverLater(retry_after=4))
    await office.owe(
        owed("a1", private(1)), owed("a2", private(1)), owed("b1", private(2)), owed("b2", private(2))
    )
    await office.pass_time(5)
    assert [(sent.text, round(sent.seconds, 3)) for sent in office.messenger.sent] == [
        ("b1", 0),
        ("b2", 0),
        ("a1", 4),
        ("a2", 4),
    ]


async def test_a_dead_network_is_tried_less_and_less_often_and_nothing_is_lost(office: Office) -> None:
    office.messenger.trouble = times(6, lambda text: True, DeliverLater(retry_after=1))
    await office.owe(owed("alert", private(1), priority=Priority.CRITICAL))
    await office.pass_time(44, step=1)
    assert office.messenger.texts == []
    await office.pass_time(2, step=1)
    assert [sent.seconds for sent in office.messenger.sent] == [1 + 2 + 4 + 8 + 15 + 15]


async def test_a_chat_that_blocked_us_is_owed_nothing_more(office: Office) -> None:
    office.messenger.trouble = once(lambda text: True, ChatUnreachable())
    await office.owe(owed("one", private(1)), owed("two", private(1)))
    await office.outbox.idle()
    assert office.messenger.tried == ["one"]
    assert office.mailbox.unreachable == {private(1)}
    assert office.states() == {RowState.ABANDONED: 2}


async def test_a_message_that_cannot_be_sent_does_not_stop_its_chat_and_is_given_up(office: Office) -> None:
    office.messenger.trouble = times(99, lambda text: text == "poison", ZeroDivisionError("boom"))
    await office.owe(owed("poison", private(1)), owed("fine", private(1)))
    await office.outbox.idle()
    assert office.messenger.texts == ["fine"]
    await office.pass_time(200, step=1)
    assert office.messenger.tried.count("poison") == MAX_TRIES
    assert office.states() == {RowState.DELIVERED: 1, RowState.ABANDONED: 1}


async def test_a_refused_message_is_tried_again(office: Office) -> None:
    office.messenger.trouble = once(lambda text: True, DeliveryError())
    await office.owe(owed("refused", private(1)))
    await office.pass_time(2)
    assert office.messenger.texts == ["refused"]


async def test_a_platform_that_does_not_run_waits_without_being_in_the_way(office: Office) -> None:
    elsewhere = ChatRef(Platform.DISCORD, "5")
    await office.owe(owed("to discord", elsewhere), owed("to telegram", private(1)))
    await office.outbox.idle()
    assert office.messenger.texts == ["to telegram"]
    assert office.states() == {RowState.OWED: 1, RowState.DELIVERED: 1}
    joined = RecordingMessenger(office.clock, Platform.DISCORD)
    office.outbox.add(joined)
    await office.outbox.idle()
    assert joined.texts == ["to discord"]


class ForgetfulMailbox(MemoryMailbox):
    """Its disk is full for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.batches: list[int] = []

    async def delivered(self, results: Sequence[Delivered], now: datetime) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageError("disk full")
        self.batches.append(len(results))
        await super().delivered(results, now)


async def test_a_mark_that_could_not_be_written_is_written_later_and_nothing_is_sent_twice() -> None:
    mailbox = ForgetfulMailbox()
    mailbox.failures = 3
    office = Office(mailbox=mailbox)
    async with office.open():
        await office.owe(owed("one", private(1)))
        await office.pass_time(5, step=0.5)
    assert office.messenger.tried == ["one"]
    assert office.states() == {RowState.DELIVERED: 1}


async def test_marks_are_written_together() -> None:
    mailbox = ForgetfulMailbox()
    office = Office(mailbox=mailbox)
    gate = office.use_gate()
    async with office.open():
        await office.owe(*(owed(str(number), private(number)) for number in range(25)))
        gate.set()
        await office.settle()
    assert mailbox.batches == [25]


async def test_at_a_graceful_stop_what_is_on_its_way_is_marked_and_nothing_more_begins() -> None:
    office = Office()
    gate = office.use_gate()
    running = asyncio.create_task(office.outbox.run())
    await office.owe(owed("on its way", private(1)), owed("behind it", private(1)))
    await office.clock.advance(0)
    stopping = asyncio.create_task(office.outbox.stop(drain_seconds=5))
    await office.clock.advance(0)
    gate.set()
    await stopping
    await running
    assert office.messenger.texts == ["on its way"]
    assert office.states() == {RowState.DELIVERED: 1, RowState.OWED: 1}


async def test_a_stop_before_the_start_returns() -> None:
    await Office().outbox.stop()


# --- what is true now -----------------------------------------------------------------------------


def told(key: str, part: Part = Part.BEGINS, *, until: float | None = None) -> OutboxMessage:
    message = replace(owed(key, private(1)), topic="liquidation", part=part)
    return message if until is None else replace(message, expires_at=START + timedelta(seconds=until))


@pytest.fixture
async def cut_off() -> AsyncIterator[Office]:
    """The platform takes nothing for a minute."""
    office = Office()

    def trouble(_: ChatRef, __: str) -> None:
        if office.clock.now() < START + timedelta(minutes=1):
            raise DeliverLater("away")

    office.messenger.trouble = trouble
    async with office.open():
        yield office


async def test_of_what_waited_only_the_newest_is_told(cut_off: Office) -> None:
    await cut_off.owe(told("near"))
    await cut_off.pass_time(20, step=1)
    await cut_off.owe(told("nearer", Part.GOES_ON))
    await cut_off.pass_time(60, step=1)
    assert cut_off.messenger.texts == ["nearer"]


async def test_what_was_over_before_it_could_be_told_is_not_told_at_all(cut_off: Office) -> None:
    await cut_off.owe(told("near"))
    await cut_off.pass_time(20, step=1)
    await cut_off.owe(told("safe again", Part.ENDS))
    await cut_off.pass_time(60, step=1)
    assert cut_off.messenger.texts == []
    assert cut_off.states() == {RowState.SUPERSEDED: 1, RowState.ABANDONED: 1}
    await cut_off.outbox.idle()


async def test_what_was_told_before_the_platform_went_away_is_told_to_be_over() -> None:
    office = Office()
    async with office.open():
        await office.owe(told("near"))
        await office.pass_time(2)
        office.messenger.trouble = once(lambda text: True, DeliverLater("away"))
        await office.owe(told("nearer", Part.GOES_ON))
        await office.owe(told("safe again", Part.ENDS))
        await office.pass_time(5)
    assert office.messenger.texts == ["near", "safe again"]


async def test_an_end_waits_until_its_beginning_that_is_on_its_way_has_arrived() -> None:
    office = Office()
    gate = office.use_gate()
    async with office.open():
        await office.owe(told("near"))
        await office.owe(told("safe again", Part.ENDS))
        gate.set()
        await office.pass_time(2)
    assert office.messenger.texts == ["near", "safe again"]


async def test_what_has_no_meaning_any_more_is_dropped_and_holds_up_nothing(cut_off: Office) -> None:
    await cut_off.owe(told("funding in 15 s", until=15), owed("a leg is lost", private(1)))
    await cut_off.pass_time(80, step=1)
    assert cut_off.messenger.texts == ["a leg is lost"]
    assert cut_off.states() == {RowState.ABANDONED: 1, RowState.DELIVERED: 1}


async def test_a_card_is_told_its_age_when_it_leaves() -> None:
    clock, mailbox = VirtualClock(START), MemoryMailbox()
    messenger = RecordingMessenger(clock)

    def aged(reply: Reply, now: datetime) -> Reply:
        return says(f"{text_of(reply)} at {(now - START).total_seconds():.0f} s")

    office = Office(clock, mailbox)
    office.messenger = messenger
    office.outbox = Outbox(mailbox, [messenger], clock, aged=aged)
    async with office.open():
        messenger.trouble = lambda *_: away_until(clock, 30, DeliverLater())
        await office.owe(owed("near", private(1)))
        await office.pass_time(60, step=1)
    assert messenger.texts == ["near at 30 s"]


def away_until(clock: VirtualClock, seconds: float, trouble: Exception) -> None:
    if clock.now() < START + timedelta(seconds=seconds):
        raise trouble


def text_of(reply: Reply) -> str:
    block = reply.blocks[0]
    assert isinstance(block, Text)
    return block.text


async def test_a_new_run_counts_what_an_earlier_one_has_sent() -> None:
    earlier = Office()
    async with earlier.open():
        await earlier.owe(*(owed(f"{number}", group(1), priority=Priority.INFO) for number in range(18)))
        await earlier.owe(*(owed(f"to {number}", private(number)) for number in range(9)))
    later = Office(earlier.clock, earlier.mailbox)
    await later.clock.advance(0.5)
    async with later.open():
        await later.owe(owed("one more", group(1), priority=Priority.INFO), owed("other", private(50)))
        await later.pass_time(0.5)
        assert later.messenger.texts == [], "the second is used up"
        await later.pass_time(1)
        assert later.messenger.texts == ["other"], "and the minute of the group"
        await later.pass_time(60, step=1)
    assert later.messenger.texts == ["other", "one more"]


# --- a platform that is away ----------------------------------------------------------------------


async def test_a_platform_that_is_away_is_asked_by_one_message_at_a_time_and_ever_more_seldom() -> None:
    office = Office()
    office.messenger.trouble = lambda *_: away_until(office.clock, 600, PlatformAway())
    async with office.open():
        await office.owe(*(owed(f"to {number}", private(number)) for number in range(200)))
        await office.pass_time(590, step=1)
        assert 27 <= len(office.messenger.tried) <= 80, "the first burst, then one in 15 s"
        assert office.messenger.texts == []
        await office.pass_time(25, step=0.5)
    assert sorted(office.messenger.texts) == sorted(f"to {number}" for number in range(200))


async def test_a_platform_that_is_back_gets_the_most_urgent_first() -> None:
    office = Office()
    office.messenger.trouble = lambda *_: away_until(office.clock, 60, PlatformAway())
    async with office.open():
        await office.owe(
            *(owed(f"info {number}", private(number), priority=Priority.INFO) for number in range(100))
        )
        await office.pass_time(50, step=1)
        await office.owe(
            *(owed(f"critical {number}", private(number), priority=Priority.CRITICAL) for number in range(60))
        )
        await office.pass_time(30, step=0.5)
    first = office.messenger.texts[: len(office.messenger.texts) // 2]
    assert {text.split()[0] for text in first[:61]} - {"info"} == {"critical"}
    assert sum(text.startswith("info") for text in first[:61]) <= 1, "the probe may have been an info"
    assert len(office.messenger.texts) == 160


async def test_an_answer_of_any_kind_ends_the_waiting() -> None:
    office = Office()
    troubles = iter([PlatformAway(), ChatUnreachable()])
    office.messenger.trouble = lambda *_: raise_next(troubles)
    async with office.open():
        await office.owe(*(owed(f"to {number}", private(number)) for number in range(3)))
        await office.pass_time(5)
    assert len(office.messenger.texts) == 2


def raise_next(troubles: Iterator[Exception]) -> None:
    for trouble in troubles:
        raise trouble
