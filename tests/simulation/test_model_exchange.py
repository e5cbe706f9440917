"""The model is an exchange like any other: what every venue has to do, it does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import BTC, ETH
from chatbot.venues.paper.catalog import CATALOG
from tests.contract.venue_contract import VenueContract, VenueUnderTest
from tests.services.world import BEGIN
from tests.simulation.door import ModelVenue, Network
from tests.simulation.exchange import ModelExchange
from tests.simulation.fate import Fate, Life
from tests.simulation.loop import new_loop
from tests.simulation.weather import CALM, Kind, Weather


class _Scripted(Weather):
    """Fair weather but for what is scripted."""

    script: list[Kind]

    def of_order(self) -> Kind | None:
        return self.script.pop(0) if self.script else None


class ModelUnderTest(VenueUnderTest):
    def __init__(self) -> None:
        self.clock = self._clock = VirtualClock(BEGIN)
        self.symbol = ETH
        self._exchange = ModelExchange(
            "model", {ETH: CATALOG[ETH], BTC: CATALOG[BTC]}, {ETH: Decimal(2000), BTC: Decimal(100_000)}
        )
        self._exchange.now = self.clock.now
        self._weather = _Scripted(CALM, Random(1))
        self._weather.script = []
        holder = self._exchange.holder(AccountId("one"))
        network = Network(new_loop(), self._weather)
        self.venue = ModelVenue(self._exchange, holder, self.clock, network, Fate(), Life())

    async def lose_next_request(self) -> None:
        self._weather.script = [Kind.REQUEST_LOST]

    async def lose_next_reply(self) -> None:
        self._weather.script = [Kind.REPLY_LOST]

    async def trade_for(self, minutes: int, *, price: Decimal) -> None:
        self._exchange.set_price(self.symbol, price)
        for _ in range(minutes):
            await self._clock.advance(60)
            self._exchange.tick(self.symbol)


class TestModelExchange(VenueContract):
    @pytest.fixture
    def subject(self) -> Iterator[VenueUnderTest]:
        yield ModelUnderTest()


async def test_a_reading_may_show_an_earlier_state() -> None:
    subject = ModelUnderTest()
    exchange, holder = subject._exchange, subject._exchange.holder(AccountId("one"))
    for quantity in ("1", "2"):
        exchange.by_hand(holder, ETH, PositionSide.LONG, Decimal(quantity), opens=True)
        await subject._clock.advance(10)

    held = [
        sum((p.quantity for p in exchange.view(holder, (), lag=lag, read_at=BEGIN)[0].positions), Decimal(0))
        for lag in (0.0, 9.0, 11.0, 21.0)
    ]

    assert held == [3, 3, 1, 0]
    assert exchange.now() - BEGIN == timedelta(seconds=20)
