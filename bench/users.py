"""People with two hedges each, made through the bot's own services, on disk for every run to copy."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, Platform, Reply, Request, UserRef
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.quote import HedgeRequest, OpenRequest, Quote, Size, SizeUnit
from chatbot.ports import User
from chatbot.services.hedging import Started
from chatbot.settings import load_settings
from tests.wire.bot_api import TOKEN

# One hedge of each margin mode: they are worked out differently.
HEDGES = (
    (Symbol("BTC/USDT:USDT"), MarginMode.ISOLATED),
    (Symbol("ETH/USDT:USDT"), MarginMode.CROSS),
)
NOTIONAL = Size(SizeUnit.NOTIONAL, Decimal(1_000))


class Silent:
    """A messenger that nobody reads."""

    platform = Platform.TELEGRAM

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        del chat, reply
        return edits or "1"

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        del request, toast


def settings_of(folder: Path, users: Sequence[int], api_url: str = "http://127.0.0.1:1") -> dict[str, str]:
    return {
        "HEDGEROW_TELEGRAM__TOKEN": TOKEN,
        "HEDGEROW_TELEGRAM__API_URL": api_url,
        "HEDGEROW_ALLOWED_USERS": ",".join(f"telegram:{user}" for user in users),
        "HEDGEROW_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'hedgerow.db'}",
        "HEDGEROW_QUOTE__BAND": "0.5",  # a jump of the made-up price must not spoil a measurement
    }


async def prepare(folder: Path, users: Sequence[int]) -> None:
    """Databases in ``folder``: every user holds two hedges, everything is settled and told."""
    settings = load_settings(None, settings_of(folder, users))
    async with open_bot(settings, messengers=[Silent()], limits={}) as bot:
        await bot.start()
        loops = asyncio.create_task(bot.run())
        people = await asyncio.gather(*(_meet(bot, user) for user in users))
        for symbol, margin_mode in HEDGES:
            await asyncio.gather(*(open_long(bot, user, symbol, margin_mode) for user in people))
            await bot.settled()
            await asyncio.gather(*(hedge(bot, user, symbol) for user in people))
            await bot.settled()
        await bot.watching.look_at_all()
        await bot.settled()
        await bot.stop()
        await loops


def copied(prepared: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in prepared.glob("hedgerow*"):
        shutil.copy(file, folder / file.name)
    return folder


async def _meet(bot: Bot, user: int) -> User:
    return await bot.people.meet(UserRef(Platform.TELEGRAM, str(user)), chat_of(user), f"User {user}")


def chat_of(user: int) -> ChatRef:
    return ChatRef(Platform.TELEGRAM, str(user))


async def open_long(
    bot: Bot, user: User, symbol: Symbol, margin_mode: MarginMode, *, leverage: int = 10
) -> None:
    wanted = OpenRequest(symbol, PositionSide.LONG, NOTIONAL, Decimal(leverage), margin_mode)
    quote = await bot.hedging.offer_open(user, user.home, wanted)
    await confirm(bot, user, quote)


async def hedge(bot: Bot, user: User, symbol: Symbol) -> None:
    quote = await bot.hedging.offer_hedge(user, user.home, HedgeRequest(symbol))
    await confirm(bot, user, quote)


async def confirm(bot: Bot, user: User, quote: Quote, choice: str = "confirm") -> None:
    outcome = await bot.hedging.confirm(user, user.home, quote.id, choice, request_id=f"tap:{quote.id}")
    if not isinstance(outcome, Started):
        raise RuntimeError(f"the offer was not carried out: {outcome.why}")
