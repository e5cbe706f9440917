"""What the command line does beside the running bot: invites, and the keys at rest."""

from __future__ import annotations

import asyncio
from typing import TextIO

from chatbot.clock import SystemClock
from chatbot.errors import HedgerowError
from chatbot.keyroom import open_master_keys
from chatbot.services.admission import LASTS, new_code
from chatbot.settings import Settings
from chatbot.storage.database import Database, open_database


def invite(settings: Settings, out: TextIO) -> int:
    """Works while the bot runs, too."""
    code, name = asyncio.run(_invite(settings))
    print(
        f"Good for one person, for {LASTS.days} days. They write to the bot:\n\n    /start {code}\n", file=out
    )
    if name:
        print(f"or open:\n\n    https://t.me/{name}?start={code}\n", file=out)
    return 0


async def _invite(settings: Settings) -> tuple[str, str | None]:
    database = await Database.open_beside(settings.database_url)
    try:
        code = await new_code(database.invites, SystemClock())
    finally:
        await database.close()
    return code, await _bot_name(settings)


async def _bot_name(settings: Settings) -> str | None:
    """``None`` without a token, or while Telegram does not answer: the code is good all the same."""
    if settings.telegram.token is None:
        return None
    from chatbot.platforms.telegram import TelegramClient, own_name  # noqa: PLC0415 (large)

    client = TelegramClient(settings.telegram.token.get_secret_value(), settings.telegram.api_url)
    return await own_name(client)


def rotate_key(settings: Settings, out: TextIO) -> int:
    count = asyncio.run(_rotate(settings))
    print(f"A new master key is in place; {_keys(count)} wrapped with it.", file=out)
    return 0


async def _rotate(settings: Settings) -> int:
    async with open_database(settings.database_url) as database:
        return await database.vault(open_master_keys(settings)).rotate()


def forget_keys(settings: Settings, out: TextIO, *, sure: bool) -> int:
    """Of all users, at once: for the day that something is wrong."""
    if not sure:
        raise HedgerowError("this deletes the keys of all exchange accounts; add --yes if you mean it")
    count = asyncio.run(_forget(settings))
    print(f"{_keys(count)} deleted here. Revoke them at the exchanges, too.", file=out)
    return 0


async def _forget(settings: Settings) -> int:
    """Needs no master key: what is lost can be forgotten as well."""
    now = SystemClock().now()
    async with open_database(settings.database_url) as database:
        return await database.forget_all_keys(now)


def _keys(count: int) -> str:
    return "1 key is" if count == 1 else f"{count} keys are"
