"""The contract of a venue, against the real ccxt and loopback exchanges that speak as the real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chatbot.venues.feeds import ETH
from tests.contract.venue_contract import VenueContract, VenueUnderTest
from tests.wire.ccxt_rig import MAJORS, Connected, loopback
from tests.wire.venues.faults import Endpoint, LostReply, LostRequest


class CcxtUnderTest(VenueUnderTest):
    def __init__(self, connected: Connected) -> None:
        self.venue = connected.venue
        self.clock = connected.clock
        self.symbol = ETH
        self._faults = connected.server.faults
        self._market = connected.server.market

    async def lose_next_request(self) -> None:
        self._faults.on(Endpoint.PLACE, LostRequest())

    async def lose_next_reply(self) -> None:
        self._faults.on(Endpoint.PLACE, LostReply())

    async def trade_for(self, minutes: int, *, price: Decimal) -> None:
        await self._market.price(self.symbol, price)
        await self._market.pass_time(minutes * 60)


class TestCcxtVenue(VenueContract):
    @pytest.fixture(params=MAJORS)
    async def subject(self, request: pytest.FixtureRequest) -> AsyncIterator[VenueUnderTest]:
        async with loopback(request.param) as server:
            connected = Connected(request.param, server)
            yield CcxtUnderTest(connected)
            await connected.close()
            assert server.unknown == []


class TestACoinMarginedContract(VenueContract):
    """Inverse perpetuals, on the exchanges that hold two legs of one."""

    @pytest.fixture(params=["okx"])
    async def subject(self, request: pytest.FixtureRequest) -> AsyncIterator[VenueUnderTest]:
        async with loopback(request.param) as server:
            connected = Connected(request.param, server)
            subject = CcxtUnderTest(connected)
            subject.trade_in_coin()
            yield subject
            await connected.close()
            assert server.unknown == []


class TestAVenueReadByCcxt(VenueContract):
    """The way of the exchanges that have no dialect of their own, on a loopback exchange that has one."""

    @pytest.fixture
    async def subject(self) -> AsyncIterator[VenueUnderTest]:
        async with loopback("binance") as server:
            connected = Connected("binance", server)
            await connected.read_by_ccxt()
            yield CcxtUnderTest(connected)
            await connected.close()
