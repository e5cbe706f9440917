from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chatbot.venues.ccxt import limiter
from tests.wire.ccxt_rig import MAJORS, Connected, loopback


@pytest.fixture(autouse=True)
def most_of_a_budget_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They go by the time of day, and nobody shall wait for it; the limiter has its own tests."""
    monkeypatch.setattr(limiter, "BURST", 0.9)


@pytest.fixture(params=[*MAJORS, "unified"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    """``unified``: Binance, read as the exchanges that have no dialect of their own."""
    venue_id = "binance" if request.param == "unified" else request.param
    async with loopback(venue_id) as server:
        connected = Connected(venue_id, server)
        if request.param == "unified":
            await connected.read_by_ccxt()
        yield connected
        await connected.close()
        assert server.unknown == []
