"""What the operator is told of faults that come, stay, grow worse, tremble and go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import ChatRef, Platform, Priority, Reply, Text
from chatbot.clock import VirtualClock
from chatbot.errors import DeliverLater, StorageError
from chatbot.observing.desk import AGAIN_AFTER, COOL_DOWN, SETTLED_AFTER, Cases, News, OperatorDesk
from chatbot.observing.faults import Fault
from chatbot.ports import Changes, Store
from chatbot.storage.database import open_database

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHAT = ChatRef(Platform.TELEGRAM, "4242")
OKX = Fault("venue:okx", "okx has not answered for 5 min.")
STUCK = Fault("deliveries", "3 messages not delivered.", direct=True)


def words(news: News) -> str:
    (block,) = news.reply.blocks
    assert isinstance(block, Text)
    return block.text


def story(*faults: Sequence[Fault], every: timedelta = timedelta(seconds=5)) -> list[tuple[float, str]]:
    """Seconds, and the first line of what is told then."""
    cases, told = Cases(), []
    for number, found in enumerate(faults):
        news = cases.step(found, NOON + number * every)
        told += [((number * every).total_seconds(), words(each).partition("\n")[0]) for each in news]
    return told


VENUE, OVER = "**Hedgerow: venue**", "**Hedgerow: venue is over**"


def test_a_fault_is_told_at_once_and_not_again_while_it_lasts() -> None:
    assert story(*[[OKX]] * 100) == [(0, VENUE)]


def test_what_lasts_for_hours_is_told_again() -> None:
    hours = int(AGAIN_AFTER / timedelta(hours=1))

    assert story(*[[OKX]] * (hours + 2), every=timedelta(hours=1)) == [(0, VENUE), (hours * 3600, VENUE)]


def test_it_is_over_when_it_has_stayed_away_for_a_while() -> None:
    settled = SETTLED_AFTER.total_seconds()

    assert story([OKX], *[[]] * 30) == [(0, VENUE), (5 + settled, OVER)]


def test_what_comes_and_goes_is_one_fault() -> None:
    trembling = [[OKX], []] * 50

    assert story(*trembling) == [(0, VENUE)]


def test_what_comes_back_soon_after_it_was_over_waits_for_its_cool_down() -> None:
    told = story([OKX], *[[]] * 20, *[[OKX]] * 200)

    assert told == [(0, VENUE), (65, OVER), (COOL_DOWN.total_seconds(), VENUE)]


def test_what_came_and_went_unseen_by_the_operator_is_not_said_to_be_over() -> None:
    told = story([OKX], *[[]] * 20, [OKX], *[[]] * 20)

    assert told == [(0, VENUE), (65, OVER)]


def test_what_gets_worse_is_told_again_but_no_faster_than_it_cools_down() -> None:
    growing = [[Fault("frozen", f"{count} hedges", count)] for count in range(1, 200)]

    assert [at for at, _ in story(*growing)] == [0, 600]


def test_faults_do_not_wait_for_each_other() -> None:
    other = Fault("venue:bybit", "bybit has not answered for 5 min.")

    assert story([OKX], [OKX, other]) == [(0, VENUE), (5, VENUE)]


def test_two_ends_soon_after_each_other_are_two_messages() -> None:
    """A fault that lasted long is over, comes back at once and is over again."""
    seen = [*[[OKX]] * 122, *[[]] * 14, [OKX], *[[]] * 20]
    cases, keys = Cases(), list[str]()
    for number, found in enumerate(seen):
        keys += [news.key for news in cases.step(found, NOON + number * timedelta(seconds=5))]

    assert [key.endswith(":over") for key in keys] == [False, True, False, True]
    assert len(set(keys)) == 4


@given(st.lists(st.booleans(), max_size=400))
def test_no_two_messages_share_a_key_and_every_end_had_a_beginning(seen: list[bool]) -> None:
    """The same key would be swallowed by the outbox: the operator would believe the other state."""
    cases, keys, open_ = Cases(), list[str](), False
    for number, there in enumerate(seen):
        for news in cases.step([OKX] if there else [], NOON + number * timedelta(seconds=30)):
            keys.append(news.key)
            assert news.key.endswith(":over") == ("is over" in words(news))
            assert open_ or not news.key.endswith(":over")
            open_ = not news.key.endswith(":over")

    assert len(keys) == len(set(keys))


def test_two_processes_that_find_the_same_say_it_with_one_key() -> None:
    (one,), (other,) = Cases().step([OKX], NOON), Cases().step([OKX], NOON + timedelta(seconds=20))

    assert one.key == other.key


# --- getting it out -----------------------------------------------------------------------------


class Voice:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.hoarse = False

    async def speak(self, chat: ChatRef, reply: Reply) -> None:
        if self.hoarse:
            raise DeliverLater
        assert chat == CHAT
        self.said += [block.text for block in reply.blocks if isinstance(block, Text)]


class BrokenStore:
    async def commit(self, changes: Changes) -> None:
        raise StorageError("the disk is full")


def desk_of(store: object, voice: Voice, clock: VirtualClock) -> OperatorDesk:
    assert hasattr(store, "commit")
    kept: Store = store  # type: ignore[assignment]
    return OperatorDesk(CHAT, store=kept, clock=clock, notify=lambda: None, speak=voice.speak)


async def test_news_goes_through_the_outbox_as_the_most_urgent() -> None:
    async with open_database("sqlite+aiosqlite://") as database:
        voice, clock = Voice(), VirtualClock(NOON)
        await desk_of(database.store, voice, clock).hear([OKX])

        (owed,) = await database.mailbox.due(NOON, limit=5)

    assert owed.message.chat == CHAT
    assert owed.message.priority is Priority.CRITICAL
    assert voice.said == []


async def test_what_is_wrong_with_the_outbox_goes_past_it() -> None:
    async with open_database("sqlite+aiosqlite://") as database:
        voice, clock = Voice(), VirtualClock(NOON)
        await desk_of(database.store, voice, clock).hear([STUCK])

        assert await database.mailbox.due(NOON, limit=5) == ()
    assert len(voice.said) == 1


async def test_where_the_database_is_broken_all_news_goes_past_it() -> None:
    voice = Voice()
    await desk_of(BrokenStore(), voice, VirtualClock(NOON)).hear([OKX])

    assert len(voice.said) == 1


async def test_what_cannot_be_told_at_all_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    voice, clock = Voice(), VirtualClock(NOON)
    voice.hoarse = True
    desk = desk_of(BrokenStore(), voice, clock)
    await desk.hear([OKX])
    assert voice.said == []
    assert "the operator cannot be told" in caplog.text

    voice.hoarse = False
    await clock.advance(5)
    await desk.hear([OKX])
    await clock.advance(5)
    await desk.hear([OKX])

    assert len(voice.said) == 1
