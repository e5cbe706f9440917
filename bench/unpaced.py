"""The whole bot without Telegram's pacing, which would hold every measurement at 30 messages a second.

Everything else is as ``hedgerow run`` has it: ingress, journal on disk, paper venue, scheduler, outbox.
"""

from __future__ import annotations

import asyncio

from chatbot.app import open_bot, telegram_platform
from chatbot.log import configure_logging
from chatbot.settings import Settings, load_settings


def run() -> None:
    settings = load_settings(None)
    configure_logging(settings.log.format, settings.log.level, settings.secrets)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with open_bot(settings, limits={}) as bot:
        platform = telegram_platform(bot)
        bot.speak_through(platform.messenger)
        await platform.start()
        await bot.start()
        await asyncio.gather(bot.run(), platform.run())
