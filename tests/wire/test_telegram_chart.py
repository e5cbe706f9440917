"""The whole bot over real HTTP: a chart is asked for, shown, and drawn anew in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chatbot.app import open_bot, telegram_platform
from chatbot.settings import Settings
from tests.wire.bot_api import PNG, LoopbackBotApi


async def test_a_chart_is_sent_as_a_photo_and_refreshed_in_place(tmp_path: Path) -> None:
    async with LoopbackBotApi() as api:
        settings = Settings.model_validate(
            {
                "database_url": f"sqlite+aiosqlite:///{tmp_path}/bot.db",
                "allowed_users": "telegram:7",
                "telegram": {"token": api.token, "api_url": api.url},
                "paper": {"speed": "3600"},
            }
        )
        async with open_bot(settings, limits={}) as bot:
            platform = telegram_platform(bot)
            bot.speak_through(platform.messenger)
            await bot.start()
            await platform.start()
            tasks = [asyncio.create_task(bot.run()), asyncio.create_task(platform.run())]
            try:
                await _converse(api)
            finally:
                await platform.stop_intake()
                await bot.stop()
                await platform.stop()
                await asyncio.gather(*tasks)


async def _converse(api: LoopbackBotApi) -> None:
    api.user_says(7, "/chart BTC")
    card = await api.wait_for_message(7, "BTC · ", timeout=20)
    assert card.photo.startswith(PNG)
    assert card.labels == ["Refresh", "Status"]

    query_id = api.user_taps(7, card.id, "Refresh")
    await api.wait_for(lambda api: card.edits == 1 and query_id in api.answers, timeout=20)

    assert api.bot_messages(7) == [card]
    assert card.photo.startswith(PNG)
    assert [call.method for call in api.calls if call.chat == 7] == ["sendPhoto", "editMessageMedia"]
