"""The whole bot on real public prices: ccxt asks a loopback server, fills are simulated."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide
from chatbot.domain.quote import OpenRequest, Size, SizeUnit
from chatbot.errors import VenueUnavailable
from chatbot.settings import load_settings
from chatbot.venues.feeds import BTC
from tests.wire.binance_public import BinancePublic

USER, CHAT = UserRef(Platform.CONSOLE, "me"), ChatRef(Platform.CONSOLE, "me")


async def test_a_position_is_opened_at_the_venues_price() -> None:
    async with BinancePublic() as server:
        settings = load_settings(
            None,
            {
                "HEDGEROW_DATABASE_URL": "sqlite+aiosqlite://",
                "HEDGEROW_PAPER__MARKET": "live:binance",
                "HEDGEROW_VENUES__BINANCE__API_URL": server.url,
            },
        )
        async with open_bot(settings) as bot:
            await bot.start()
            running = asyncio.create_task(bot.run())
            try:
                await asyncio.wait_for(_prices_arrive(bot), 30)
                await _open_and_settle(bot)
            finally:
                await bot.stop()
                # The polling ends with the other loops: nothing keeps the program alive.
                await asyncio.wait_for(running, 10)


async def _open_and_settle(bot: Bot) -> None:
    user = await bot.people.meet(USER, CHAT, "me")
    venue = bot.venues.of(await bot.people.trading_account(user))
    mark = (await venue.view({BTC})).markets[BTC].mark_price
    request = OpenRequest(BTC, PositionSide.LONG, Size(SizeUnit.BASE, Decimal("0.01")))
    quote = await bot.hedging.offer_open(user, CHAT, request)
    await bot.hedging.confirm(user, CHAT, quote.id, "confirm", request_id="1")
    await bot.supervisor.idle()
    (position,) = (await venue.view()).positions
    assert abs(position.entry_price / mark - 1) < Decimal("0.001")


async def _prices_arrive(bot: Bot) -> None:
    venue = bot.exchange.venue(AccountId("onlooker"))
    while True:
        try:
            await venue.view({BTC})
        except VenueUnavailable:
            await asyncio.sleep(0.02)
        else:
            return
