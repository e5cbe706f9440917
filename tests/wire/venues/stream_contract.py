"""What the real ccxt.pro must see of every loopback venue's streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from chatbot.venues.feeds import ETH
from tests.wire.venues.clients import ccxt_client
from tests.wire.venues.streams import StreamingServer
from tests.wire.venues.suite import LONG, SHORT, Desk, VenueSuite

# Without a snapshot by REST first: with numbers as strings Binance's would hang.
SNAPSHOTLESS = {"watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}}


class StreamContract(VenueSuite):
    @pytest.fixture
    async def listener(self, desk: Desk) -> AsyncIterator[Any]:
        async with ccxt_client(desk.server, desk.account, streaming=True) as client:
            client.options.update(SNAPSHOTLESS)
            yield client

    async def next_legs(self, listening: asyncio.Task[Any]) -> dict[str, Decimal]:
        async with asyncio.timeout(5):
            rows = await listening
        return {row["side"]: Decimal(row["contracts"]) for row in rows}

    async def connected(self, server: StreamingServer) -> None:
        """Until the stream is known at the other end."""
        async with asyncio.timeout(5):
            await server.heard_until(lambda: self.listening(server))

    def listening(self, server: StreamingServer) -> bool:
        return any(stream.account and stream.topics for stream in server.streams)

    async def test_each_leg_is_told_as_it_changes(self, desk: Desk, listener: Any) -> None:
        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.connected(desk.server)
        await self.trade(desk, LONG, "1", "streamed1")
        assert await self.next_legs(listening) == {"long": Decimal(desk.contracts("1"))}

        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.trade(desk, SHORT, "2", "streamed2")
        assert await self.next_legs(listening) == {"short": Decimal(desk.contracts("2"))}

        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.trade(desk, LONG, "1", "streamed3", opens=False)
        assert await self.next_legs(listening) == {"long": Decimal(0)}

    async def test_a_liquidation_is_told(self, desk: Desk, listener: Any) -> None:
        await self.trade(desk, LONG, "40", "doomed1")
        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.connected(desk.server)
        legs = await self.next_legs(listening) if self.tells_at_once else None
        assert legs in (None, {"long": Decimal(desk.contracts("40"))})
        if self.tells_at_once:
            listening = asyncio.create_task(listener.watch_positions([ETH]))
        await desk.server.market.price(ETH, "1750")
        assert await self.next_legs(listening) == {"long": Decimal(0)}

    tells_at_once = False

    async def test_the_mark_price_is_told_as_it_moves(self, desk: Desk, listener: Any) -> None:
        assert await self.next_mark(listener) == Decimal(2000)
        await desk.server.market.price(ETH, "2100")
        assert await self.next_mark(listener) == Decimal(2100)

    async def next_mark(self, listener: Any) -> Decimal:
        async with asyncio.timeout(5):
            ticker = await listener.watch_mark_price(ETH)
        return Decimal(ticker["markPrice"])

    async def test_a_dropped_stream_is_noticed_and_can_be_opened_anew(
        self, desk: Desk, listener: Any
    ) -> None:
        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.connected(desk.server)
        await desk.server.drop_streams()
        async with asyncio.timeout(5):
            with pytest.raises(ccxt.NetworkError):
                await listening

        listening = asyncio.create_task(listener.watch_positions([ETH]))
        await self.connected(desk.server)
        await self.trade(desk, LONG, "1", "again1")
        assert await self.next_legs(listening) == {"long": Decimal(desk.contracts("1"))}
