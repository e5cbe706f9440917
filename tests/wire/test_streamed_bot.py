"""The whole bot with an account on a loopback exchange: what the exchange streams is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from chatbot.app import Bot, open_bot
from chatbot.chat import Text
from chatbot.clock import VirtualClock
from chatbot.domain import sight
from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.order import OrderType
from chatbot.domain.quote import CloseRequest, CloseWay, HedgeRequest, OpenRequest, Quote, Size, SizeUnit
from chatbot.ids import SeededIds
from chatbot.ports import Account, Credentials, User
from chatbot.services.connecting import Connected
from chatbot.services.hedging import Started
from chatbot.services.keepers import SILENT_AFTER
from chatbot.settings import PaperSettings, Settings
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.feeds import ETH
from tests.services.world import CHAT, OWNER, Phone
from tests.wire.ccxt_rig import MAJORS, loopback
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.orders import Wish
from tests.wire.venues.streams import StreamingServer

KEY = "kAB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1bC2dE3fG4hJ5kL6mN7pQ8rS9kkkk"
Result = TypeVar("Result")
PATIENCE = 20  # seconds of ours, for what takes no time of the bot's


@dataclass
class Live:
    bot: Bot
    clock: VirtualClock
    server: StreamingServer
    holder: VenueAccount
    phone: Phone
    user: User
    account: Account

    async def until(self, true: Callable[[], bool], *, step: float = 0.0) -> None:
        """The wire takes its time; the bot's clock stands still, or goes on by ``step`` at each turn."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.002)
                if step:
                    await self.clock.advance(step)

    async def until_soon(self, true: Callable[[], bool]) -> None:
        """Within two seconds of the bot's clock, which goes no faster than ours."""
        began_at = self.clock.now()
        await self.until(true, step=0.002)
        assert self.clock.now() - began_at < timedelta(seconds=2)

    async def elsewhere(self, side: PositionSide, quantity: str) -> None:
        """A close typed into the exchange's own app."""
        wish = Wish("", ETH, side.closing, side, OrderType.MARKET, Decimal(quantity))
        await self.holder.trade_elsewhere(wish)

    async def ticking(self, doing: Coroutine[Any, Any, Result]) -> Result:
        """Who waits for the exchange's pace waits for the bot's clock."""
        task = asyncio.create_task(doing)
        await self.until(task.done, step=0.02)
        return task.result()

    async def pass_time(self, seconds: float) -> None:
        """In steps that leave the wire time to answer."""
        passed = 0.0
        while passed < seconds:
            await asyncio.sleep(0.005)
            await self.clock.advance(1)
            passed += 1

    async def carry_out(self, quote: Quote, choice: str = "confirm") -> None:
        confirming = self.bot.hedging.confirm(self.user, CHAT, quote.id, choice, request_id=quote.id)
        started = await self.ticking(confirming)
        assert isinstance(started, Started), started
        await self.until(lambda: not self.bot.supervisor.running, step=0.05)

    async def lock(self, *, later: float = 5) -> None:
        """One ETH long, isolated at tenfold leverage, and its hedge."""
        size = Size(SizeUnit.BASE, Decimal(1))
        request = OpenRequest(ETH, PositionSide.LONG, size, Decimal(10), MarginMode.ISOLATED)
        await self.carry_out(await self.ticking(self.bot.hedging.offer_open(self.user, CHAT, request)))
        hedge = HedgeRequest(ETH, ratio=Decimal(1))
        await self.carry_out(await self.ticking(self.bot.hedging.offer_hedge(self.user, CHAT, hedge)))
        view = await self.holder.view()
        assert {p.side for p in view.positions} == set(PositionSide)
        await self.server.market.pass_time(later)  # what comes is so much later by the exchange's clock, too

    def listens(self) -> bool:
        return any(s.account is self.holder and self._subscribed(s.topics) for s in self.server.streams)

    def _subscribed(self, topics: set[str]) -> bool:
        return bool(topics) or self.account.venue == "binance"

    def followed(self) -> bool:
        return any(stream.marks for stream in self.server.streams)

    async def connected(self) -> None:
        await self.until(lambda: self.listens() and self.followed(), step=0.05)
        await self.pass_time(2)  # what was told at first has been looked at

    def told(self, words: str) -> bool:
        return any(words in line for line in self.lines())

    def lines(self) -> list[str]:
        blocks = [block for reply in self.phone.seen for block in reply.blocks]
        return [block.text for block in blocks if isinstance(block, Text)]


@asynccontextmanager
async def a_live_bot(venue_id: str) -> AsyncIterator[Live]:
    clock = VirtualClock(datetime.now(UTC))
    async with loopback(venue_id, wire_clock=clock.now) as server:
        assert isinstance(server, StreamingServer)
        exchanges = CcxtExchanges(clock, api_urls={venue_id: server.url})
        phone = Phone()
        settings = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
        async with open_bot(
            settings, clock=clock, ids=SeededIds(7), exchanges=exchanges, messengers=(phone,)
        ) as bot:
            await bot.start()
            running = asyncio.create_task(bot.run())
            try:
                yield await _join(bot, clock, server, phone, venue_id)
            finally:
                await bot.stop()
                await running
                await exchanges.close()


async def _join(bot: Bot, clock: VirtualClock, server: StreamingServer, phone: Phone, venue: str) -> Live:
    year = clock.now() + timedelta(days=365)
    holder = server.create_account(KEY, ips=("127.0.0.1",), expires_at=year)
    user = await bot.people.meet(OWNER, CHAT, "owner")
    rights = holder.key
    phrase = rights.passphrase if bot.keys.connecting.needs_passphrase(venue) else ""
    result = await bot.keys.connecting.connect(user, venue, Credentials(rights.key, rights.secret, phrase))
    if not isinstance(result, Connected):
        result = await bot.keys.connecting.confirm_doubts(user)
    user = await bot.people.choose(user, replace(user.preferences, default_account=result.account.id))
    return Live(bot, clock, server, holder, phone, user, result.account)


@pytest.fixture
def unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account's turn comes by itself."""
    for interval in ("ENDANGERED", "ENDANGERED_STREAMED", "HOLDING", "HOLDING_STREAMED", "EMPTY"):
        monkeypatch.setattr(sight, interval, timedelta(days=1))


@pytest.mark.usefixtures("unpolled")
@pytest.mark.parametrize("venue_id", MAJORS)
async def test_a_liquidation_of_one_leg_is_told_before_any_polling(venue_id: str) -> None:
    async with a_live_bot(venue_id) as live:
        await live.lock()
        await live.connected()
        await live.server.market.price(ETH, "1750")
        await live.until_soon(lambda: live.told("liquidated"))


@pytest.mark.usefixtures("unpolled")
@pytest.mark.parametrize("venue_id", MAJORS)
async def test_a_liquidation_stamped_earlier_than_our_last_order_is_told_as_one(venue_id: str) -> None:
    async with a_live_bot(venue_id) as live:
        await live.lock(later=0)
        await live.connected()
        await live.server.market.price(ETH, "1750")
        await live.until_soon(lambda: live.told("liquidated"))
        assert not live.told("lock it?")


@pytest.mark.parametrize("venue_id", MAJORS)
async def test_a_lost_leg_is_not_told_again_once_the_rest_is_closed(venue_id: str) -> None:
    """By the exchange's clock, which stands still, nothing comes after anything."""
    async with a_live_bot(venue_id) as live:
        await live.lock(later=0)
        await live.connected()
        await live.server.market.price(ETH, "1750")
        await live.until(lambda: live.told("liquidated"), step=0.002)
        offer = await live.ticking(live.bot.hedging.offer_close(live.user, CHAT, CloseRequest(ETH)))
        await live.carry_out(offer, CloseWay.SINGLE)
        await live.pass_time(20)

        assert len([line for line in live.lines() if "is gone" in line]) == 1


@pytest.mark.usefixtures("unpolled")
async def test_a_leg_closed_elsewhere_is_told_before_any_polling() -> None:
    async with a_live_bot("okx") as live:
        await live.lock()
        await live.connected()
        await live.elsewhere(PositionSide.SHORT, "1")
        await live.until_soon(lambda: live.told("gone"))


@pytest.mark.usefixtures("unpolled")
async def test_a_price_that_nears_liquidation_is_told_before_any_polling() -> None:
    async with a_live_bot("bybit") as live:
        await live.lock()
        await live.connected()
        await live.server.market.price(ETH, "1850")
        await live.until_soon(lambda: live.told("2.2 % from liquidation"))


async def test_a_stalled_stream_is_replaced_by_polling_told_and_told_when_it_is_back() -> None:
    async with a_live_bot("bybit") as live:
        await live.lock()
        await live.connected()
        await live.until(lambda: live.bot.watch.streaming.streamed(live.account), step=0.5)

        live.server.silence()
        await live.pass_time(SILENT_AFTER.total_seconds() + 3)
        assert not live.bot.watch.streaming.streamed(live.account)

        await live.elsewhere(PositionSide.SHORT, "0.5")
        await live.pass_time(6)
        await live.until(lambda: live.told("shrank"))
        assert not live.told("live stream")

        await live.pass_time(300)
        await live.until(lambda: live.told("no live stream for 5 min"), step=0.5)

        live.server.speak()
        await live.until(lambda: live.told("the live stream is back"), step=0.1)


async def test_after_a_cut_the_stream_comes_back_and_tells() -> None:
    async with a_live_bot("bybit") as live:
        await live.lock()
        await live.connected()
        await live.server.drop_streams()
        await live.until(lambda: not live.server.streams)
        await live.connected()
        await live.elsewhere(PositionSide.SHORT, "1")
        await live.until_soon(lambda: live.told("gone"))


async def test_a_disconnected_account_is_not_listened_to_any_more() -> None:
    async with a_live_bot("bybit") as live:
        await live.lock()
        await live.connected()
        await live.ticking(live.bot.keys.connecting.disconnect(live.user, live.account.label))
        await live.until(lambda: not any(stream.account for stream in live.server.streams))


async def test_a_key_that_is_refused_is_not_tried_again_and_again() -> None:
    async with a_live_bot("bybit") as live:
        await live.lock()
        await live.connected()
        live.server.market.accounts.pop(live.holder.key.key)
        await live.server.drop_streams()
        live.server.connections.clear()
        await live.pass_time(120)

        assert len([path for path in live.server.connections if "private" in path]) == 1
