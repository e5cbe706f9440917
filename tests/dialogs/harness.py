"""What I type, what I read: the whole bot on the paper venue, a scripted price, a clock that stands still.

Only the pacing of a real platform is left out: what is owed is delivered at once.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from chatbot.app import Bot, open_bot
from chatbot.chat import Button, ChatRef, MessageRef, Platform, Reply, Request, RequestKind, Table, UserRef
from chatbot.clock import VirtualClock
from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Symbol
from chatbot.domain.intent import OperationId
from chatbot.domain.quote import QuoteId
from chatbot.platforms.console import render
from chatbot.ports import Delivered, Exchanges, PaperDesk
from chatbot.settings import Settings
from chatbot.venues.feeds import ScriptedFeed
from tests.exchanges import ScriptedExchanges

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BTC, ETH = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
SOL, COIN = Symbol("SOL/USDT:USDT"), Symbol("BTC/USD:BTC")
START = {BTC: Decimal(100_000), ETH: Decimal(2_000), SOL: Decimal(200), COIN: Decimal(100_000)}

ANN = UserRef(Platform.TELEGRAM, "1")
BOB = UserRef(Platform.TELEGRAM, "2")
EVE = UserRef(Platform.TELEGRAM, "666")
GROUP = ChatRef(Platform.TELEGRAM, "-100", private=False)


def home_of(user: UserRef) -> ChatRef:
    return ChatRef(user.platform, user.id)


class CountingIds:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def hedge_id(self) -> HedgeId:
        return HedgeId(f"{next(self._count):010d}")

    def operation_id(self) -> OperationId:
        return OperationId(f"op{next(self._count):020d}")

    def quote_id(self) -> QuoteId:
        return QuoteId(f"{next(self._count):022d}")


@dataclass(slots=True)
class Card:
    chat: ChatRef
    id: str
    reply: Reply
    edits: int = 0

    @property
    def text(self) -> str:
        return render(self.reply)

    @property
    def labels(self) -> list[str]:
        return [button.label for row in self.reply.buttons for button in row]

    def button(self, label: str) -> Button:
        for row in self.reply.buttons:
            for button in row:
                if button.label == label:
                    return button
        raise AssertionError(f"no button {label!r} on:\n{self.text}")

    @property
    def widest(self) -> int:
        tables = [block for block in self.reply.blocks if isinstance(block, Table)]
        return max((len(line) for table in tables for line in table.lines), default=0)


@dataclass(slots=True)
class Screen:
    """A messenger that keeps what every chat shows."""

    platform: Platform = Platform.TELEGRAM
    cards: list[Card] = field(default_factory=list)
    toasts: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    erases: bool = True
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        for card in self.cards:
            if edits is not None and card.chat == chat and card.id == edits:
                card.reply, card.edits = reply, card.edits + 1
                return edits
        self.cards.append(Card(chat, str(next(self._ids)), reply))
        return self.cards[-1].id

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        if toast:
            self.toasts.append(toast)

    async def erase(self, message: MessageRef) -> bool:
        """As chats allow it, unless this one does not."""
        if self.erases:
            self.erased.append(message.id)
        return self.erases


class Dialog:
    """One conversation after another with one bot."""

    def __init__(
        self,
        bot: Bot,
        clock: VirtualClock,
        feed: ScriptedFeed,
        screen: Screen,
        updates: itertools.count[int],
    ) -> None:
        self.bot = bot
        self.clock = clock
        self.feed = feed
        self.screen = screen
        self._updates = updates
        self._messages = 0

    @property
    def paper(self) -> PaperDesk:
        return self.bot.exchange

    # --- talking ----------------------------------------------------------------------------

    async def says(self, text: str, *, by: UserRef = ANN, chat: ChatRef | None = None) -> list[Card]:
        """The cards that are new."""
        known = len(self.screen.cards)
        place = chat or home_of(by)
        self._messages += 1
        await self._request(RequestKind.COMMAND, text, by, place, MessageRef(place, f"m{self._messages}"))
        return self.screen.cards[known:]

    async def reads(self, text: str, *, by: UserRef = ANN, chat: ChatRef | None = None) -> str:
        """What is said back, all of it."""
        return "\n".join(card.text for card in await self.says(text, by=by, chat=chat))

    async def taps(self, card: Card, label: str, *, by: UserRef = ANN) -> str:
        """The toast; the card shows the rest."""
        return await self.clicks(card, card.button(label).data, by=by)

    async def clicks(self, card: Card, data: str, *, by: UserRef = ANN) -> str:
        known = len(self.screen.toasts)
        await self._request(RequestKind.CLICK, data, by, card.chat, MessageRef(card.chat, card.id))
        return "\n".join(self.screen.toasts[known:])

    async def does(self, text: str, *, by: UserRef = ANN, button: str = "Confirm") -> Card:
        """Asks, confirms, and gives the card as it stands at the end."""
        (card,) = await self.says(text, by=by)
        await self.taps(card, button, by=by)
        return card

    @property
    def latest(self) -> Card:
        return self.screen.cards[-1]

    async def _request(
        self, kind: RequestKind, text: str, by: UserRef, chat: ChatRef, message: MessageRef | None
    ) -> None:
        number = f"t:{next(self._updates)}"
        request = Request(number, kind, by, chat, text, self.clock.now(), message, user_name="Ann")
        await self.bot.inbox.receive([request])
        await self.settle()

    async def settle(self) -> None:
        await self.bot.inbox.idle()
        await self.bot.supervisor.idle()
        await self._deliver()

    async def _deliver(self) -> None:
        while owed := await self.bot.mailbox.due(self.clock.now(), limit=50):
            for row in owed:
                message = row.message
                shown = await self.screen.deliver(message.chat, message.reply, edits=row.edits)
                await self.bot.mailbox.delivered([Delivered(row.row_id, shown)], self.clock.now())

    # --- the market -------------------------------------------------------------------------

    async def price(self, symbol: Symbol, price: Decimal | int | str) -> None:
        self.feed.set(symbol, Decimal(price))
        await self.passes(1)

    async def passes(self, seconds: float) -> None:
        """Time goes by, and the watch looks once."""
        await self.clock.advance(seconds)
        self.bot.exchange.advance()
        await self.bot.watching.look_at_all()
        await self.settle()


@dataclass(slots=True)
class Life:
    """The world around the bot. ``pause``: how long it takes until a bot that was opened is started."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON))
    feed: ScriptedFeed = field(default_factory=lambda: ScriptedFeed(START))
    screen: Screen = field(default_factory=Screen)
    ids: CountingIds = field(default_factory=CountingIds)
    updates: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    pause: float = 0.0


@asynccontextmanager
async def a_dialog(
    *, exchanges: Exchanges | None = None, life: Life | None = None, **settings: object
) -> AsyncIterator[Dialog]:
    """``settings`` are of ``chatbot.settings.Settings``; Ann and Bob may speak, nobody else.

    ``life``: what goes on when another bot takes over.
    """
    chosen = Settings.model_validate(
        {"database_url": "sqlite+aiosqlite://", "allowed_users": frozenset({ANN, BOB}), **settings}
    )
    life = life or Life()
    clock, feed, screen = life.clock, life.feed, life.screen
    async with open_bot(
        chosen, clock=clock, ids=life.ids, feed=feed, exchanges=exchanges, alone=True, messengers=(screen,)
    ) as bot:
        if isinstance(exchanges, ScriptedExchanges):
            exchanges.floor = bot.exchange
        await clock.advance(life.pause)
        await bot.start()
        try:
            yield Dialog(bot, clock, feed, screen, life.updates)
        finally:
            await bot.stop()
