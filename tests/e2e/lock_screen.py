"""The whole bot, the real Telegram client and one user's phone, on a loop whose time jumps.

Hours of market pass in a second of ours, and the same each time: alerts come at the instant they come at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.app import Bot, open_bot, telegram_platform
from chatbot.chat import Platform, UserRef
from chatbot.domain.account import AccountView
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.ids import SeededIds
from chatbot.ports import Account, Clock, Exchanges
from chatbot.settings import Settings
from chatbot.venues.feeds import PriceFeed, ScriptedFeed
from chatbot.venues.paper.faults import FaultPlan, Unavailable
from chatbot.venues.paper.venue import PaperVenue
from tests.e2e.phone import Phone
from tests.jumping import LoopClock
from tests.wire.bot_api import ChatMessage, LoopbackBotApi

USERS = ANN, BOB, CAT = 7, 8, 9
AFTER_LUNCH = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
BTC, ETH = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
LOOK = 3.0  # seconds: the market moves every second, is looked at every two, and then a message travels
CALM = 4.0  # seconds after which whatever is to be told has been


@dataclass
class LockScreen:
    """``account``: where its positions are."""

    bot: Bot
    phone: Phone
    clock: LoopClock
    feed: PriceFeed
    account: Account = field(init=False)
    _hands: int = 0

    # --- what the market does -----------------------------------------------------------------

    def sets(self, symbol: Symbol, price: str | None = None, *, rate: str | None = None) -> None:
        assert isinstance(self.feed, ScriptedFeed)
        self.feed.set(
            symbol,
            None if price is None else Decimal(price),
            funding_rate=None if rate is None else Decimal(rate),
        )

    async def when(self, price: str, *, of: Symbol = ETH) -> list[ChatMessage]:
        """What is told of it, and that it is told at once."""
        self.sets(of, price)
        return await self.at_once()

    async def at_once(self) -> list[ChatMessage]:
        """What comes within one look, in one message or a second apart as the chat takes them."""
        self.phone.glances()
        known, began = len(self.phone.messages), self.now
        await asyncio.sleep(CALM * 2)
        news = self.phone.messages[known:]
        for place, message in enumerate(news):
            assert message.at - began <= LOOK + place, f"late by {message.at - began} s: {message.text}"
        return news

    async def passes(self, seconds: float) -> list[ChatMessage]:
        """What comes meanwhile."""
        self.phone.glances()
        known = len(self.phone.messages)
        await asyncio.sleep(seconds)
        return self.phone.messages[known:]

    async def elsewhere(
        self, side: PositionSide, quantity: str, *, opens: bool, symbol: Symbol = ETH
    ) -> list[ChatMessage]:
        """What is told of a trade typed into the exchange's own app."""
        await self.trades_elsewhere(side, quantity, opens=opens, symbol=symbol)
        return await self.at_once()

    async def trades_elsewhere(
        self, side: PositionSide, quantity: str, *, opens: bool, symbol: Symbol = ETH
    ) -> None:
        self._hands += 1
        await self.bot.exchange.trade_elsewhere(
            self.account.id, symbol, side, Decimal(quantity), opens=opens, reference=f"hand:{self._hands}"
        )

    async def canceled_elsewhere(self, symbol: Symbol = ETH, side: PositionSide | None = None) -> None:
        self._hands += 1
        assert await self.bot.exchange.cancel_elsewhere(
            self.account.id, symbol, side, reference=f"hand:{self._hands}"
        )

    @property
    def door(self) -> PaperVenue:
        """The bot's way to the exchange."""
        door = self.bot.venues.of(self.account)
        assert isinstance(door, PaperVenue)
        return door

    @property
    def faults(self) -> FaultPlan:
        return self.door.faults

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Nothing that the exchange is asked is answered."""
        before, self.door.faults = self.faults, FaultPlan()
        self.faults.on_reads(*[Unavailable()] * 10_000)
        yield
        self.door.faults = before

    def at(self, message: ChatMessage) -> datetime:
        return self.clock.now() + timedelta(seconds=message.at - self.now)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def joins(self) -> None:
        before = {account.id for account in await self.bot.store.accounts()}
        await self.phone.asks("/start", "Hedgerow")
        (self.account,) = [each for each in await self.bot.store.accounts() if each.id not in before]

    async def another(self, user: int) -> LockScreen:
        """Somebody else's, of the same bot."""
        other = LockScreen(self.bot, Phone(self.phone.api, user), self.clock, self.feed)
        await other.joins()
        return other

    # --- what the user does -------------------------------------------------------------------

    async def does(self, text: str, expecting: str, *, button: str = "Confirm") -> ChatMessage:
        """Asks, confirms, and waits for the card to say how it went."""
        card = await self.phone.asks(text, "")
        return await self.confirms(card, expecting, button=button)

    async def confirms(self, card: ChatMessage, expecting: str, *, button: str = "Confirm") -> ChatMessage:
        return await self.phone.chooses(card, button, expecting)

    async def leads(self, card: ChatMessage, label: str, expecting: str) -> ChatMessage:
        """A button, and the new card that it leads to."""
        return await self.phone.chooses(card, label, expecting)

    async def lock(self, *, at: str = "2100", leverage: str = "10", size: str = "1") -> None:
        """Long ETH from 2,000, short from ``at``, isolated: #1."""
        await self.does(f"/open ETH long {size} {leverage}x isolated", "#1 ETH")
        self.sets(ETH, at)
        await self.passes(CALM)
        await self.does("/hedge ETH", "hedged")
        await self.passes(CALM)

    # --- what is so ---------------------------------------------------------------------------

    async def view(self) -> AccountView:
        return await self.bot.exchange.venue(self.account.id).view()

    async def holds(self) -> dict[str, str]:
        """By market and side: how much."""
        view = await self.view()
        return {f"{p.symbol[:3]} {p.side}": f"{p.quantity.normalize():f}" for p in view.positions}


def heads(messages: Sequence[ChatMessage]) -> list[str]:
    """Of every alert; several may have come in one message."""
    return [part.partition("\n")[0] for message in messages for part in message.text.split("\n\n")]


@asynccontextmanager
async def a_lock_screen(
    feed: PriceFeed | None = None,
    *,
    begin: datetime = AFTER_LUNCH,
    exchanges: Callable[[Clock], Exchanges] | None = None,
    **settings: object,
) -> AsyncIterator[LockScreen]:
    clock = LoopClock(begin)
    connectable = None if exchanges is None else exchanges(clock)
    feed = feed or ScriptedFeed({BTC: Decimal(100_000), ETH: Decimal(2_000)})
    async with LoopbackBotApi() as api:
        chosen = Settings.model_validate(
            {
                "database_url": "sqlite+aiosqlite://",
                "allowed_users": frozenset(UserRef(Platform.TELEGRAM, str(user)) for user in USERS),
                "telegram": {"token": api.token, "api_url": api.url},
                **settings,
            }
        )
        async with open_bot(chosen, clock=clock, ids=SeededIds(7), feed=feed, exchanges=connectable) as bot:
            screen = LockScreen(bot, Phone(api, ANN), clock, feed)
            async with _running(bot):
                await screen.joins()
                yield screen


@asynccontextmanager
async def _running(bot: Bot) -> AsyncIterator[None]:
    """As ``chatbot.running`` does it."""
    platform = telegram_platform(bot)
    bot.speak_through(platform.messenger)
    await platform.start()
    await bot.start()
    tasks = [asyncio.create_task(bot.run()), asyncio.create_task(platform.run())]
    try:
        yield
    finally:
        await platform.stop_intake()
        await bot.stop()
        await platform.stop()
        await asyncio.gather(*tasks)
