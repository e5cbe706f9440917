from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.wire.ccxt_rig import MAJORS, Connected, loopback


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
