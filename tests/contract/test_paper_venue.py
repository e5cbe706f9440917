from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.venues.feeds import BTC_INVERSE, ETH, PriceFeed, ScriptedFeed
from chatbot.venues.paper import LostReply, LostRequest
from tests.contract.venue_contract import VenueContract, VenueUnderTest
from tests.venues.paper_trader import Trader


class PaperUnderTest(VenueUnderTest):
    def __init__(self, state: Path | None, feed: PriceFeed | None = None) -> None:
        self._trader = Trader(state=state, feed=feed)
        self.venue = self._trader.venue
        self.clock = self._trader.clock
        self.symbol = ETH

    async def lose_next_request(self) -> None:
        self._trader.faults.on_orders(LostRequest())

    async def lose_next_reply(self) -> None:
        self._trader.faults.on_orders(LostReply())

    async def trade_for(self, minutes: int, *, price: Decimal) -> None:
        await self._trader.price(f"{price:f}", symbol=self.symbol)
        for _ in range(minutes):
            await self._trader.clock.advance(60)
            self._trader.exchange.advance()

    def close(self) -> None:
        self._trader.exchange.close()


class TestPaperVenue(VenueContract):
    @pytest.fixture(params=["in memory", "on disk"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VenueUnderTest]:
        subject = PaperUnderTest(tmp_path / "paper.db" if request.param == "on disk" else None)
        yield subject
        subject.close()


class TestACoinMarginedContract(VenueContract):
    @pytest.fixture
    def subject(self) -> Iterator[VenueUnderTest]:
        subject = PaperUnderTest(None, ScriptedFeed({BTC_INVERSE: Decimal(64_000)}))
        subject.trade_in_coin()
        yield subject
        subject.close()
