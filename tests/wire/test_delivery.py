"""Many are told at once: the real client, a Telegram that refuses what is too fast, time that jumps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from chatbot.chat import ChatRef, OutboxMessage, Part, Platform, Priority, Request, UserRef
from chatbot.domain.hedge import UserId
from chatbot.platforms.telegram import TelegramPlatform
from chatbot.ports import Changes, User
from chatbot.pushing.inbox import InboxProcessor, replies_to_outbox
from chatbot.pushing.limits import telegram_limits
from chatbot.pushing.outbox import Outbox
from chatbot.storage.database import Database, open_database
from tests import jumping
from tests.pushing.mail import says
from tests.wire.bot_api import LoopbackBotApi
from tests.wire.flood import FloodControl

USERS = range(1, 301)
ALLOWED = 30  # a second
TEN_MINUTES = 600.0
GROUP = -100200


def private(user: int) -> ChatRef:
    return ChatRef(Platform.TELEGRAM, str(user), private=user > 0)


@dataclass
class Post:
    """A database that outlives the bots on it, and the Telegram they talk to."""

    api: LoopbackBotApi
    database: Database
    clock: jumping.LoopClock = field(default_factory=jumping.LoopClock)
    bots: list[Bot] = field(default_factory=list)

    @property
    def flood(self) -> FloodControl:
        assert self.api.flood_control is not None
        return self.api.flood_control

    async def owe(self, text: str, users: Iterable[int], priority: Priority, **also: Any) -> None:
        """A message each."""
        now = self.clock.now()
        await self.database.store.commit(
            Changes(
                outbox=tuple(
                    replace(
                        OutboxMessage(
                            f"{text}:{user}:{now}", private(user), says(f"{text} {user}"), priority, now
                        ),
                        **also,
                    )
                    for user in users
                )
            )
        )
        for bot in self.bots:
            bot.outbox.notify()

    def arrived(self, text: str) -> list[int]:
        """To whom, in the order of arrival."""
        messages = [message for user in self.chats() for message in self.api.bot_messages(user)]
        return [each.chat for each in sorted(messages, key=lambda m: m.id) if each.text.startswith(text)]

    def chats(self) -> Iterable[int]:
        return (*USERS, GROUP)

    async def all_arrived(self, text: str, users: Iterable[int], *, within: float) -> float:
        """Seconds it took."""
        began = self.clock.now()
        await self.api.wait_for(lambda _: not set(users) - set(self.arrived(text)), timeout=within)
        return (self.clock.now() - began).total_seconds()

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[Bot]:
        bot = Bot(self)
        await bot.start()
        self.bots.append(bot)
        try:
            yield bot
        finally:
            await bot.end()


class Bot:
    """Its two ends; whoever writes is only noted."""

    def __init__(self, post: Post) -> None:
        mailbox, store, clock = post.database.mailbox, post.database.store, post.clock

        async def handle(_: Request) -> tuple[()]:
            return ()

        async def finish(request: Request, replies: Any) -> None:
            owed = replies_to_outbox(request, replies, clock.now())
            await store.commit(Changes(handled=(request.id,), outbox=owed))

        async def acknowledge(_: Request, __: str | None) -> None:
            """Nobody taps."""

        self.inbox = InboxProcessor(mailbox, handle, finish, acknowledge, clock=clock)
        self.platform = TelegramPlatform(
            token=post.api.token, api_url=post.api.url, mailbox=mailbox, intake=self.inbox, clock=clock
        )
        limits = {Platform.TELEGRAM: telegram_limits(ALLOWED)}
        self.outbox = Outbox(mailbox, [self.platform.messenger], clock, limits)
        self._post = post
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.platform.start()
        await self.inbox.start()
        self._tasks = [asyncio.create_task(each) for each in (self.outbox.run(), self.platform.run())]

    async def kill(self) -> None:
        """Nothing more is marked, nothing drained; what is on its way arrives."""
        for task in [*self._tasks, *self.outbox._in_flight.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._post.bots.remove(self)

    async def end(self) -> None:
        if self._tasks:
            await self.platform.stop_intake()
            await self.outbox.stop()
            await asyncio.gather(*self._tasks)
        await self.platform.stop()


def on_a_post(story: Any) -> Any:
    """A test whose time jumps, with a Telegram some 20 to 70 ms away that is slow to answer."""

    async def play() -> None:
        random = Random(story.__name__)
        api = LoopbackBotApi(
            flood_control=FloodControl(ALLOWED), way=lambda: random.uniform(0.02, 0.07), delay=0.03
        )
        async with api, open_database("sqlite+aiosqlite://") as database:
            await story(Post(api, database))

    def test() -> None:
        jumping.run(play())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


@on_a_post
async def test_critical_alerts_to_all_overtake_a_digest_that_is_going_out(post: Post) -> None:
    async with post.bot():
        await post.owe("digest", USERS, Priority.INFO)
        await asyncio.sleep(3)
        before = len(post.arrived("digest"))
        await post.owe("critical", USERS, Priority.CRITICAL)

        took = await post.all_arrived("critical", USERS, within=60)

        assert took <= 1.1 * len(USERS) / ALLOWED
        assert before > 60
        assert len(post.arrived("digest")) - before <= ALLOWED, "what was on its way, and who has room"
        await post.all_arrived("digest", USERS, within=60)
    assert post.flood.refused == []
    assert Counter(post.arrived("critical") + post.arrived("digest")) == dict.fromkeys(USERS, 2)


@on_a_post
async def test_a_chat_and_a_group_that_are_owed_many_get_them_as_fast_as_they_may(post: Post) -> None:
    async with post.bot():
        for number in range(10):
            await post.owe(f"alert {number} to", [7], Priority.CRITICAL)
        for number in range(45):
            await post.owe(f"alert {number} to", [GROUP], Priority.WARNING)
        await asyncio.sleep(12)
        assert len(post.arrived("alert")) == 10 + 18
        assert [m.text for m in post.api.bot_messages(7)] == [f"alert {n} to 7" for n in range(10)]
        await asyncio.sleep(130)
    assert len(post.api.bot_messages(GROUP)) == 45
    assert post.flood.refused == []


@on_a_post
async def test_nothing_is_lost_while_the_bot_api_is_down_for_ten_minutes(post: Post) -> None:
    async with post.bot():
        await post.owe("digest", USERS, Priority.INFO)
        await asyncio.sleep(2)
        post.api.away = True
        await asyncio.sleep(1)
        await post.owe("critical", USERS, Priority.CRITICAL)
        sent = post.api.count("sendMessage")
        await asyncio.sleep(TEN_MINUTES)
        assert post.api.count("sendMessage") - sent < 60, "it is only asked whether it is back"
        assert post.arrived("critical") == []
        post.api.away = False

        took = await post.all_arrived("critical", USERS, within=60)
        await post.all_arrived("digest", USERS, within=60)

    assert took <= 15 + 1.1 * len(USERS) / ALLOWED
    assert Counter(post.arrived("critical")) == Counter(post.arrived("digest")) == dict.fromkeys(USERS, 1)
    assert post.flood.refused == []


@on_a_post
async def test_nothing_is_lost_when_the_process_is_killed_in_the_middle(post: Post) -> None:
    async with post.bot() as first:
        await post.owe("digest", USERS, Priority.INFO)
        for number in range(16):
            await post.owe(f"group {number} to", [GROUP], Priority.CRITICAL)
        await post.owe("critical", [*USERS, GROUP], Priority.CRITICAL)
        await asyncio.sleep(4)
        await first.kill()
    await asyncio.sleep(1)
    async with post.bot():
        for number in range(16, 30):
            await post.owe(f"group {number} to", [GROUP], Priority.CRITICAL)
        await post.all_arrived("critical", [*USERS, GROUP], within=60)
        await post.all_arrived("digest", USERS, within=60)
        await asyncio.sleep(60)
    for text in ("critical", "digest"):
        twice = [user for user, times in Counter(post.arrived(text)).items() if times > 1]
        assert len(twice) <= ALLOWED / 2, "only what was on its way"
    assert len({message.text for message in post.api.bot_messages(GROUP)}) == 31
    assert post.flood.refused == [], "the second run knows what the first has sent"


@on_a_post
async def test_who_has_blocked_the_bot_is_left_alone_until_they_write(post: Post) -> None:
    users = [
        User(
            UserId(str(user)),
            UserRef(Platform.TELEGRAM, str(user)),
            private(user),
            str(user),
            post.clock.now(),
        )
        for user in USERS
    ]
    await post.database.store.commit(Changes(users=tuple(users)))
    gone = {3, 50, 299}
    post.api.blocked |= gone
    async with post.bot():
        await post.owe("critical", USERS, Priority.CRITICAL)
        await post.owe("digest", USERS, Priority.INFO)
        await post.all_arrived("critical", set(USERS) - gone, within=60)
        await post.all_arrived("digest", set(USERS) - gone, within=60)
        tried = Counter(call.chat for call in post.api.calls if call.chat in gone)
        assert tried == dict.fromkeys(gone, 1), "once, and then no more"
        assert {int(u.ref.id) for u in await post.database.store.users() if not u.reachable} == gone
        post.api.blocked.clear()
        post.api.user_says(50, "/start")
        await asyncio.sleep(2)
        assert {int(u.ref.id) for u in await post.database.store.users() if not u.reachable} == {3, 299}
        await post.owe("critical again", [50], Priority.CRITICAL)
        await post.all_arrived("critical again", [50], within=2)
    assert [message.text for message in post.api.bot_messages(50)] == ["critical again 50"]
    assert post.flood.refused == []


@on_a_post
async def test_what_is_over_before_it_leaves_is_not_told_and_its_place_is_anothers(post: Post) -> None:
    near, safe = USERS[:100], USERS[:50]
    async with post.bot():
        post.api.away = True
        await post.owe("near", near, Priority.CRITICAL, topic="liquidation")
        await asyncio.sleep(TEN_MINUTES / 2)
        await post.owe("safe", safe, Priority.WARNING, topic="liquidation", part=Part.ENDS)
        await asyncio.sleep(TEN_MINUTES / 2)
        post.api.away = False
        await post.all_arrived("near", set(near) - set(safe), within=15 + 1.1 * 50 / ALLOWED + 1)
        await asyncio.sleep(10)
    assert sorted(post.arrived("near")) == sorted(set(near) - set(safe))
    assert post.arrived("safe") == []


def test_the_loopback_refuses_what_telegram_would() -> None:
    flood = FloodControl()
    assert [flood.admit(chat, 0.0) for chat in range(1, 32)] == [None] * 30 + [1]
    assert [flood.admit(1, 10.0) for _ in range(4)] == [None, None, None, 1]
    assert [flood.admit(GROUP, 20.0 + number) for number in range(21)] == [None] * 20 + [40]
    assert flood.refused == [31, 1, GROUP]
