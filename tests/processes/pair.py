"""Two bots in one process on one database, each with its half of the users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pydantic import SecretStr

from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, MessageRef, Platform, Reply, Request, RequestKind, Text, UserRef
from chatbot.domain.shards import shard_of
from chatbot.settings import HttpSettings, PaperSettings, Settings, TelegramSettings
from tests.exchanges import ScriptedExchanges
from tests.wire.bot_api import TOKEN

PATIENCE = 20.0


@dataclass
class Wall:
    """What is said in any chat, by whichever bot; what users wrote can be torn off."""

    platform: Platform = Platform.TELEGRAM
    said: list[tuple[str, str]] = field(default_factory=list)
    cards: list[tuple[str, str, Reply]] = field(default_factory=list)  # chat, message, what it shows
    erased: list[MessageRef] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        text = "\n".join(block.text for block in reply.blocks if isinstance(block, Text))
        self.said.append((chat.id, text))
        self.cards.append((chat.id, edits or str(len(self.said)), reply))
        self.news.set()
        return edits or str(len(self.said))

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nobody looks."""

    async def erase(self, message: MessageRef) -> bool:
        self.erased.append(message)
        return True

    def button(self, chat: str, label: str) -> tuple[str, str]:
        """Of the newest card that has one called so: the message, and what a tap brings."""
        return next(
            (message, button.data)
            for of, message, reply in reversed(self.cards)
            if of == chat
            for row in reply.buttons
            for button in row
            if button.label == label
        )

    async def reads(self, chat: str, words: str) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := [text for of, text in self.said if of == chat and words in text]):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"never read {words!r}; said was {self.said}") from None
        return found[-1]


@dataclass
class Pair:
    bots: tuple[Bot, Bot]
    wall: Wall
    exchanges: ScriptedExchanges
    _numbers: Callable[[], int]

    def someone_of(self, bot: Bot, *, since: int = 1000) -> UserRef:
        refs = (UserRef(Platform.TELEGRAM, str(number)) for number in count(since))
        return next(ref for ref in refs if holds(bot, ref))

    def request(self, user: UserRef, text: str, chat: ChatRef | None = None) -> Request:
        number = self._numbers()
        where = chat or ChatRef(Platform.TELEGRAM, user.id)
        message = MessageRef(where, str(number))
        return Request(
            f"tg:{number}", RequestKind.COMMAND, user, where, text, datetime.now(UTC), message, "Ann"
        )


def tap(pair: Pair, user: UserRef, label: str) -> Request:
    message, data = pair.wall.button(user.id, label)
    typed = pair.request(user, data)
    return replace(typed, kind=RequestKind.CLICK, message=MessageRef(typed.chat, message))


def holds(bot: Bot, ref: UserRef) -> bool:
    assert bot.keeper is not None
    return bot.keeper.holds(shard_of(str(ref)))


def settings(url: str, folder: Path, **more: object) -> Settings:
    return Settings(
        database_url=url,
        paper=PaperSettings(state_file=folder / "paper.db"),
        master_key_file=folder / "hedgerow.key",
        telegram=TelegramSettings(token=SecretStr(TOKEN)),
        http=HttpSettings(public_url="https://bot.example.com"),
        **more,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def a_pair(url: str, folder: Path) -> AsyncIterator[Pair]:
    allowed = frozenset(UserRef(Platform.TELEGRAM, str(number)) for number in range(1000, 1100))
    chosen = settings(url, folder, allowed_users=allowed)
    wall, exchanges = Wall(), ScriptedExchanges()
    async with AsyncExitStack() as stack:
        bots = [
            await stack.enter_async_context(open_bot(chosen, exchanges=exchanges, messengers=[wall]))
            for _ in range(2)
        ]
        for bot in bots:
            await stack.enter_async_context(running(bot))
        one, other = bots
        exchanges.floor = one.exchange
        async with asyncio.timeout(PATIENCE):
            while {len(bot.keeper.shards) for bot in bots if bot.keeper} != {32}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield Pair((one, other), wall, exchanges, count(1).__next__)


@asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[Bot]:
    await bot.start()
    loops = asyncio.create_task(bot.run())
    try:
        yield bot
    finally:
        await bot.stop()
        await loops
