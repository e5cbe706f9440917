"""A critical alert to everybody while a digest is going out, and an alert when nothing queues.

The crowd is told through a strict Telegram on the loopback, some 20 to 70 ms away: it counts as the Bots FAQ
says and answers 429 to what is too fast. Sockets and clients are real, time jumps (``tests/jumping.py``).
From tick to message the clock is real, and the database is on the disk.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from unittest.mock import patch

from bench.figures import figure, quantile, times
from bench.tables import Aim, Table
from bench.users import chat_of, hedge, open_long, settings_of
from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, OutboxMessage, Platform, Priority, Reply, Request, Text, UserRef
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import MarginMode, Symbol
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.triggers import Way
from chatbot.platforms.telegram.client import FloodControl as Flooded
from chatbot.platforms.telegram.client import TelegramClient
from chatbot.platforms.telegram.messenger import TelegramMessenger
from chatbot.ports import Account, Changes
from chatbot.pushing.outbox import Outbox
from chatbot.routing import RoutedStreams
from chatbot.settings import load_settings
from chatbot.storage.database import open_database
from chatbot.venues.feeds import ScriptedFeed
from tests import jumping
from tests.wire.bot_api import LoopbackBotApi
from tests.wire.flood import FloodControl

PER_SECOND = 30
NEAREST, FARTHEST, ANSWER = 0.02, 0.07, 0.03  # seconds to Telegram, and of its own
DIGEST_BEFORE = 3.0  # seconds for which the digest has been going out
AT_ONCE = 64
NEAR_THE_FLOOR, TICK_MS = 1.1, 100.0
VENUE, ETH = "paper", Symbol("ETH/USDT:USDT")
CALM, SPACE, CENT = Decimal(2_000), Decimal("0.2"), Decimal("0.01")
DISTANCES = AlertPreferences().liquidation_distances
# At a level it is told; a tenth further away it begins to count, and ends.
POINTS = tuple(point for distance in DISTANCES for point in (distance * Decimal("1.1"), distance))
BETWEEN_LOOKS = 1.05  # seconds
PATIENCE = 10.0  # seconds
CRITICAL = "🛑 #1 ETH: short leg 4.0 % from liquidation"
DIGEST = "Today: #1 ETH locked +99.88 USDT"
OURS, IN_TURN, TOGETHER = "Hedgerow", "PTB, one after the other", f"PTB, {AT_ONCE} at a time"
LIMITER = "PTB, AIORateLimiter"
COLUMNS = (
    "one message to each",
    "alert: last one s",
    "to the floor",
    "median s",
    "429s",
    "lost",
    "twice",
    "digest: last one s",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """``ticks`` that lead to a message, at most seven on each of ``accounts`` that hold a pair."""

    users: int = 10_000
    ticks: int = 280
    accounts: int = 40


QUICK = Plan(users=300, ticks=60, accounts=30)


# --- a crowd --------------------------------------------------------------------------------------

Tell = Callable[[str, Priority], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Crowd:
    users: int
    api: LoopbackBotApi
    flood: FloodControl

    @property
    def chats(self) -> range:
        return range(1, self.users + 1)

    def arrivals(self, text: str) -> dict[int, float]:
        """By chat, the instant of the first."""
        messages = (message for chat in self.chats for message in reversed(self.api.bot_messages(chat)))
        return {message.chat: message.at for message in messages if message.text == text}

    @property
    def messages(self) -> int:
        return sum(len(self.api.bot_messages(chat)) for chat in self.chats)


@asynccontextmanager
async def client_of(crowd: Crowd) -> AsyncIterator[TelegramClient]:
    client = TelegramClient(crowd.api.token, crowd.api.url)
    await client.open()
    try:
        yield client
    finally:
        await client.close_session()


@asynccontextmanager
async def hedgerow(crowd: Crowd) -> AsyncIterator[Tell]:
    clock = jumping.LoopClock()
    async with client_of(crowd) as client, open_database("sqlite+aiosqlite://") as database:
        outbox = Outbox(database.mailbox, [TelegramMessenger(client)], clock)

        async def tell(text: str, priority: Priority) -> None:
            now, card = clock.now(), Reply((Text(text),))
            owed = (OutboxMessage(f"{text}:{n}", chat_of(n), card, priority, now) for n in crowd.chats)
            await database.store.commit(Changes(outbox=tuple(owed)))
            outbox.notify()

        running = asyncio.create_task(outbox.run())
        yield tell
        await outbox.idle()
        await outbox.stop()
        await running


def queueing(workers: int) -> Callable[[Crowd], AbstractAsyncContextManager[Tell]]:
    """What is usually written: a list, and as many senders; who is told to wait waits and tries again."""

    @asynccontextmanager
    async def contender(crowd: Crowd) -> AsyncIterator[Tell]:
        async with client_of(crowd) as client:

            async def send(chat: int, text: str) -> None:
                while True:
                    try:
                        await client.send_message(chat, text)
                    except Flooded as flooded:
                        await asyncio.sleep(flooded.retry_after)
                    else:
                        return

            async with _senders(crowd, workers, send) as tell:
                yield tell

    return contender


@asynccontextmanager
async def limited(crowd: Crowd) -> AsyncIterator[Tell]:
    """With the library's own limiter, as its documentation sets it up."""
    from telegram.ext import AIORateLimiter, ApplicationBuilder  # noqa: PLC0415 (an extra of the library)

    builder = ApplicationBuilder().token(crowd.api.token).base_url(f"{crowd.api.url}/bot")
    limiter = AIORateLimiter(max_retries=100)
    bot = builder.rate_limiter(limiter).connection_pool_size(AT_ONCE).pool_timeout(3600).build().bot
    async with bot:

        async def send(chat: int, text: str) -> None:
            await bot.send_message(chat, text)

        async with _senders(crowd, AT_ONCE, send) as tell:
            yield tell


@asynccontextmanager
async def _senders(
    crowd: Crowd, workers: int, send: Callable[[int, str], Awaitable[None]]
) -> AsyncIterator[Tell]:
    queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def work() -> None:
        while True:
            await send(*await queue.get())
            queue.task_done()

    async def tell(text: str, _: Priority) -> None:
        for chat in crowd.chats:
            queue.put_nowait((chat, text))

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    yield tell
    await queue.join()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def contenders() -> dict[str, Callable[[Crowd], AbstractAsyncContextManager[Tell]]]:
    found = {OURS: hedgerow, IN_TURN: queueing(1), TOGETHER: queueing(AT_ONCE)}
    return found | ({LIMITER: limited} if importlib.util.find_spec("aiolimiter") else {})


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds from the alert; ``lost`` and ``twice`` of both messages."""

    alert: Sequence[float]
    digest: float
    refused: int
    lost: int
    twice: int


async def _tell_all(plan: Plan, contender: Callable[[Crowd], AbstractAsyncContextManager[Tell]]) -> Told:
    random, flood = Random(plan.users), FloodControl(PER_SECOND)
    loop = asyncio.get_running_loop()
    async with LoopbackBotApi(
        way=lambda: random.uniform(NEAREST, FARTHEST), delay=ANSWER, flood_control=flood
    ) as api:
        crowd = Crowd(plan.users, api, flood)
        async with contender(crowd) as tell:
            await tell(DIGEST, Priority.INFO)
            await asyncio.sleep(DIGEST_BEFORE)
            began = loop.time()
            await tell(CRITICAL, Priority.CRITICAL)
        return _told(crowd, began)


def _told(crowd: Crowd, began: float) -> Told:
    alert, digest = crowd.arrivals(CRITICAL), crowd.arrivals(DIGEST)
    once = len(alert) + len(digest)
    return Told(
        alert=[at - began for at in alert.values()],
        digest=max(digest.values()) - began,
        refused=len(crowd.flood.refused),
        lost=2 * crowd.users - once,
        twice=crowd.messages - once,
    )


# --- one alert ------------------------------------------------------------------------------------


@dataclass
class Handed:
    """A platform that takes everything; ``at``: when it was handed the first since the last tick."""

    platform: Platform = Platform.TELEGRAM
    at: float = 0.0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        del chat, reply
        if not self.came.is_set():
            self.at = time.perf_counter()
            self.came.set()
        return edits or "1"

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nobody taps."""
        del request, toast


@dataclass(frozen=True, slots=True)
class Crossing:
    """A price that concerns one account. ``told``: it is to be told something, not only looked at."""

    price: Decimal
    account: AccountId
    told: bool


def _crossings(bot: Bot, accounts: Sequence[Account]) -> Iterator[Crossing]:
    """Up through the levels of the short legs, down to their ends, and through the levels of the long."""
    near = [
        (each, account.id)
        for account in accounts
        if (sight := bot.watching.sight(account.id)) is not None
        for each in sight.liquidations
    ]
    above = [(each.price, name) for each, name in near if each.way is Way.UP]
    below = [(each.price, name) for each, name in reversed(near) if each.way is Way.DOWN]
    for distance in POINTS:
        told = distance in DISTANCES
        yield from (Crossing(price / (1 + distance) + CENT, name, told) for price, name in above)
    for distance in reversed(POINTS):
        told = distance == POINTS[0]
        yield from (Crossing(price / (1 + distance) - CENT, name, told) for price, name in reversed(above))
    for distance in POINTS:
        told = distance in DISTANCES
        yield from (Crossing(price / (1 - distance) - CENT, name, told) for price, name in below)


async def _ticked(bot: Bot, feed: ScriptedFeed, handed: Handed, crossing: Crossing) -> float | None:
    """As a stream of prices would tell it. Raises ``TimeoutError`` where nothing comes of it."""
    await asyncio.sleep(_rest(bot, crossing.account))
    price = crossing.price.quantize(CENT)
    feed.set(ETH, price)
    handed.came.clear()
    began = time.perf_counter()
    bot.watch.streaming.moved(VENUE, {ETH: price})
    async with asyncio.timeout(PATIENCE):
        if crossing.told:
            await handed.came.wait()
        await asyncio.gather(*(each for each in asyncio.all_tasks() if each.get_name().startswith("look:")))
    await bot.outbox.idle()
    return (handed.at - began) * 1000 if crossing.told else None


def _rest(bot: Bot, account: AccountId) -> float:
    """An account that a price has just led to waits before the next: not what is measured here."""
    sight = bot.watching.sight(account)
    since = 0.0 if sight is None else (bot.clock.now() - sight.at).total_seconds()
    return max(0.0, BETWEEN_LOOKS - since)


@asynccontextmanager
async def _told_prices() -> AsyncIterator[None]:
    """Paper has no stream of prices; here it is taken for an exchange that has one."""
    with patch.object(RoutedStreams, "tells_prices", lambda *_: True):
        yield


async def _ticks(plan: Plan) -> list[float]:
    feed, handed = ScriptedFeed({ETH: CALM}), Handed()
    found: list[float] = []
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        settings = load_settings(None, settings_of(Path(folder), range(1, plan.accounts + 1)))
        async with _told_prices(), open_bot(settings, feed=feed, messengers=[handed], limits={}) as bot:
            await bot.start()
            outbox = asyncio.create_task(bot.outbox.run())
            accounts = [await _a_pair(bot, feed, number) for number in range(plan.accounts)]
            for crossing in _crossings(bot, accounts):
                if (took := await _ticked(bot, feed, handed, crossing)) is not None:
                    found.append(took)
                if len(found) == plan.ticks:
                    break
            await bot.stop()
            await outbox
    return found


async def _a_pair(bot: Bot, feed: ScriptedFeed, number: int) -> Account:
    """Each from a price of its own: no price concerns two, and all pass one level before any the next."""
    feed.set(ETH, CALM + number * SPACE)
    bot.exchange.advance()
    user = await bot.people.meet(UserRef(Platform.TELEGRAM, str(number)), chat_of(number), f"User {number}")
    await open_long(bot, user, ETH, MarginMode.ISOLATED, leverage=3)
    await bot.settled()
    await hedge(bot, user, ETH)
    await bot.settled()
    account = await bot.people.trading_account(user)
    await bot.watching.look_at(account)
    return account


# --- the table ------------------------------------------------------------------------------------


async def measure(plan: Plan) -> Table:
    told = {
        name: await asyncio.to_thread(jumping.run, _tell_all(plan, contender))
        for name, contender in contenders().items()
    }
    return table(plan, told, await _ticks(plan))


def table(plan: Plan, told: Mapping[str, Told], ticks: Sequence[float]) -> Table:
    floor, ours = plan.users / PER_SECOND, told[OURS]
    slower, p99 = max(ours.alert) / floor, quantile(ticks, 0.99)
    return Table(
        f"Delivery: {plan.users:,} users get an alert while a digest is going out to them; "
        f"Telegram takes {PER_SECOND} a second",
        COLUMNS,
        (*(_row(name, each, floor) for name, each in told.items()), _floor_row(plan, floor)),
        (
            Aim(
                f"last alert within {NEAR_THE_FLOOR:g}x of the floor: {times(slower)}",
                slower <= NEAR_THE_FLOOR,
            ),
            Aim("never too fast, none lost, none twice", (ours.refused, ours.lost, ours.twice) == (0, 0, 0)),
            Aim(
                f"price to message, nothing queues: p50 {figure(quantile(ticks, 0.5))} ms, "
                f"p99 {figure(p99)} ms of {len(ticks)}, under {TICK_MS:g} ms",
                p99 < TICK_MS,
            ),
        ),
        (
            f"Telegram is {NEAREST * 1000:g} to {FARTHEST * 1000:g} ms away, counts strictly; time jumps.",
            "Peers send in the order of their list; who gets a 429 waits as long as it says.",
            "Price to message: index, look, rules, commit on the disk, outbox; a look at the paper exchange.",
        ),
    )


def _row(name: str, told: Told, floor: float) -> tuple[str, ...]:
    return (
        name,
        figure(max(told.alert)),
        times(max(told.alert) / floor),
        figure(quantile(told.alert, 0.5)),
        f"{told.refused:,}",
        str(told.lost),
        str(told.twice),
        figure(told.digest),
    )


def _floor_row(plan: Plan, floor: float) -> tuple[str, ...]:
    rest = 2 * plan.users / PER_SECOND - DIGEST_BEFORE
    return (
        "floor: Telegram's limit",
        figure(floor),
        times(1.0),
        figure(floor / 2),
        "0",
        "0",
        "0",
        figure(rest),
    )
