"""The rules of a mailbox, held against both: the one in memory and the one in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from chatbot.chat import OutboxMessage, Priority
from chatbot.ports import Changes, Delivered, Mailbox
from chatbot.pushing.memory import MemoryMailbox
from chatbot.storage.database import open_database
from tests.pushing.mail import START, owed, private, request, tap

Settle = Callable[[Sequence[str], Sequence[OutboxMessage]], Awaitable[None]]


@dataclass
class Post:
    mailbox: Mailbox
    settle: Settle

    async def owe(self, *messages: OutboxMessage) -> None:
        await self.settle((), messages)

    async def keys(self, now: datetime = START, *, limit: int = 10, skip: Sequence[str] = ()) -> list[str]:
        due = await self.mailbox.due(now, limit=limit, skip_chats=skip)
        return [each.message.dedupe_key for each in due]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Post]:
    mailbox = MemoryMailbox()

    async def settle(handled: Sequence[str], outbox: Sequence[OutboxMessage]) -> None:
        await mailbox.settle(handled=handled, outbox=outbox)

    yield Post(mailbox, settle)


@asynccontextmanager
async def in_a_database() -> AsyncIterator[Post]:
    async with open_database("sqlite+aiosqlite://") as database:

        async def settle(handled: Sequence[str], outbox: Sequence[OutboxMessage]) -> None:
            await database.store.commit(Changes(handled=tuple(handled), outbox=tuple(outbox)))

        yield Post(database.mailbox, settle)


@pytest.fixture(params=[in_memory, in_a_database], ids=["memory", "sqlite"])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    async with request.param() as post:
        yield post


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_each_request_is_kept_once_in_the_order_received(post: Post) -> None:
    first, second = request(2), tap(1)
    await post.mailbox.receive([first])
    await post.mailbox.receive([first, second], cursor=("telegram", 3))
    assert await post.mailbox.unhandled() == (first, second)
    assert await post.mailbox.cursor("telegram") == 3
    assert await post.mailbox.cursor("discord") is None


async def test_a_handled_request_stays_handled_when_it_comes_again(post: Post) -> None:
    await post.mailbox.receive([request(1)])
    await post.settle(["telegram:1"], [])
    await post.mailbox.receive([request(1)])
    assert await post.mailbox.unhandled() == ()


async def test_what_is_due_comes_by_priority_then_age(post: Post) -> None:
    await post.owe(
        owed("info", private(1), priority=Priority.INFO),
        owed("reply", private(2)),
        owed("older critical", private(3), priority=Priority.CRITICAL),
        owed("newer critical", private(4), priority=Priority.CRITICAL),
        owed("later", private(5), after=9),
    )
    assert await post.keys() == ["older critical", "newer critical", "reply", "info"]
    assert await post.keys(limit=2) == ["older critical", "newer critical"]
    assert await post.keys(skip=["telegram:3"]) == ["newer critical", "reply", "info"]
    assert await post.keys(at(9)) == ["older critical", "newer critical", "reply", "later", "info"]


async def test_the_same_message_is_owed_once(post: Post) -> None:
    await post.owe(owed("a", private(1)))
    (row,) = await post.mailbox.due(START, limit=5)
    await post.mailbox.delivered([Delivered(row.row_id, "7")], START)
    await post.owe(owed("a", private(1)))
    assert await post.keys() == []


async def test_only_the_newest_state_of_a_card_is_due(post: Post) -> None:
    await post.owe(owed("old", private(1), slot="op:1"), owed("other chat", private(2), slot="op:1"))
    await post.owe(owed("new", private(1), slot="op:1"))
    assert await post.keys() == ["other chat", "new"]


async def test_a_slot_remembers_its_message(post: Post) -> None:
    await post.owe(owed("first", private(1), slot="op:1"))
    (row,) = await post.mailbox.due(START, limit=5)
    assert row.edits is None
    await post.mailbox.delivered([Delivered(row.row_id, "77")], START)
    await post.owe(owed("second", private(1), slot="op:1"), owed("elsewhere", private(2), slot="op:1"))
    edits = {each.message.dedupe_key: each.edits for each in await post.mailbox.due(START, limit=5)}
    assert edits == {"second": "77", "elsewhere": None}


async def test_a_state_that_was_superseded_on_its_way_still_leaves_its_message(post: Post) -> None:
    await post.owe(owed("on its way", private(1), slot="op:1"))
    (row,) = await post.mailbox.due(START, limit=5)
    await post.owe(owed("newer", private(1), slot="op:1"))
    assert await post.keys(skip=["telegram:1"]) == []
    await post.mailbox.delivered([Delivered(row.row_id, "77")], START)
    assert [each.edits for each in await post.mailbox.due(START, limit=5)] == ["77"]


async def test_the_message_to_replace_goes_before_the_slot_s(post: Post) -> None:
    await post.mailbox.remember_message(private(1), "op:1", "50")
    await post.owe(owed("a", private(1), slot="op:1", replaces="60"))
    (row,) = await post.mailbox.due(START, limit=5)
    assert row.edits == "60"


async def test_what_is_postponed_comes_back_with_one_more_try(post: Post) -> None:
    await post.owe(owed("a", private(1)))
    (row,) = await post.mailbox.due(START, limit=5)
    await post.mailbox.postpone(row.row_id, at(5), reason="429")
    assert await post.keys(at(4)) == []
    assert await post.mailbox.next_due_at() == at(5)
    (row,) = await post.mailbox.due(at(5), limit=5)
    assert row.tries == 1


async def test_what_is_abandoned_or_unreachable_is_not_owed_any_more(post: Post) -> None:
    await post.owe(owed("a", private(1)), owed("b", private(2)), owed("c", private(3)))
    row = (await post.mailbox.due(START, limit=5))[0]
    await post.mailbox.abandon([row.row_id], reason="poison")
    await post.mailbox.chat_unreachable(private(2))
    assert await post.keys() == ["c"]


async def test_nothing_owed_is_due_never(post: Post) -> None:
    assert await post.mailbox.next_due_at() is None
    assert await post.mailbox.due(START, limit=5) == ()


async def test_a_secret_is_made_once_by_name(post: Post) -> None:
    secret = await post.mailbox.secret("buttons")
    assert len(secret) == 32
    assert await post.mailbox.secret("buttons") == secret
    assert await post.mailbox.secret("other") != secret
