"""The contract of a venue, against the real ccxt and loopback exchanges that speak as the real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.clock import SystemClock, VirtualClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.ports import Account, Clock, Credentials
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.feeds import ETH
from tests.contract.venue_contract import VenueContract, VenueUnderTest
from tests.wire.venues.binance import BinanceServer
from tests.wire.venues.bybit import BybitServer
from tests.wire.venues.core import START
from tests.wire.venues.faults import Endpoint, LostReply, LostRequest
from tests.wire.venues.okx import OkxServer
from tests.wire.venues.server import VenueServer

SERVERS: dict[str, type[VenueServer]] = {"binance": BinanceServer, "bybit": BybitServer, "okx": OkxServer}


class CcxtUnderTest(VenueUnderTest):
    def __init__(self, venue_id: str, server: VenueServer) -> None:
        self.server = server
        key = server.create_account("key-of-the-account").key
        self.clock: Clock = SystemClock()
        self.symbol = ETH
        self.exchanges = CcxtExchanges(
            self.clock, api_urls={venue_id: server.url}, prices_fresh_for=timedelta(0)
        )
        account = Account(AccountId("a1"), UserId("u1"), venue_id, "mine", START)
        self.venue = self.exchanges.venue(account, Credentials(key.key, key.secret, key.passphrase))

    async def lose_next_request(self) -> None:
        self.server.faults.on(Endpoint.PLACE, LostRequest())

    async def lose_next_reply(self) -> None:
        self.server.faults.on(Endpoint.PLACE, LostReply())


class TestCcxtVenue(VenueContract):
    @pytest.fixture(params=sorted(SERVERS))
    async def subject(self, request: pytest.FixtureRequest) -> AsyncIterator[VenueUnderTest]:
        async with SERVERS[request.param](VirtualClock(datetime.now(UTC))) as server:
            subject = CcxtUnderTest(request.param, server)
            yield subject
            await subject.exchanges.close()
            assert server.unknown == []
