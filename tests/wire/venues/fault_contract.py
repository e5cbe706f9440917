"""What goes wrong on the wire, as the real ccxt sees it: the table that the product relies on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest

from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    LostRequest,
    Slow,
    Stale,
    TooMany,
)
from tests.wire.venues.suite import LONG, Desk, VenueSuite


class FaultContract(VenueSuite):
    async def test_a_lost_request_did_nothing(self, desk: Desk) -> None:
        desk.server.faults.on(Endpoint.PLACE, LostRequest())
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await self.trade(desk, LONG, "1", "lost1")
        assert desk.account.orders == []
        assert desk.server.faults.spent

    @pytest.mark.parametrize(
        ("fault", "raised"),
        [
            (LostReply(), ccxt.ExchangeNotAvailable),
            (CutBody(), ccxt.ExchangeError),
            (Down(503, acted=True), ccxt.ExchangeNotAvailable),
            (Down(504, acted=True), ccxt.RequestTimeout),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, type) else value.__name__,
    )
    async def test_what_was_acted_on_may_look_like_a_failure(
        self, desk: Desk, fault: Any, raised: type[Exception]
    ) -> None:
        desk.server.faults.on(Endpoint.PLACE, fault)
        with pytest.raises(raised) as caught:
            await self.trade(desk, LONG, "1", "lost1")
        assert type(caught.value) is raised
        if isinstance(fault, CutBody):
            assert isinstance(caught.value.__cause__, aiohttp.ClientPayloadError)
        assert await desk.held() == {"long": Decimal(1)}
        assert desk.server.faults.done == {type(fault).__name__: 1}

    async def test_a_server_error_before_acting_did_nothing(self, desk: Desk) -> None:
        desk.server.faults.on(Endpoint.PLACE, Down(502))
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await self.trade(desk, LONG, "1", "lost1")
        assert await desk.held() == {}

    @pytest.mark.parametrize("body", ["<html>hello</html>", ""], ids=["garbage", "empty"])
    async def test_garbage_looks_like_an_order_without_an_id(self, desk: Desk, body: str) -> None:
        desk.server.faults.on(Endpoint.PLACE, Garbage(body))
        order = await self.trade(desk, LONG, "1", "garbage1")
        assert order["id"] is None
        assert await desk.held() == {"long": Decimal(1)}

    @pytest.mark.parametrize("banned", [False, True], ids=["slow down", "banned"])
    async def test_too_many_requests_are_told_the_venues_way(self, desk: Desk, banned: bool) -> None:
        desk.server.faults.on(Endpoint.PLACE, TooMany(banned))
        with pytest.raises(self.banned if banned else self.too_many):
            await self.trade(desk, LONG, "1", "tomany1")
        assert desk.account.orders == []

    async def test_a_slow_answer_times_out_after_the_deed(self, desk: Desk) -> None:
        slow = Slow()
        desk.server.faults.on(Endpoint.PLACE, slow)
        desk.client.timeout = 100
        with pytest.raises(ccxt.RequestTimeout):
            await self.trade(desk, LONG, "1", "slow1")
        slow.gate.set()
        desk.client.timeout = 10_000
        assert await desk.held() == {"long": Decimal(1)}

    async def test_a_new_order_may_be_invisible_for_some_reads(self, desk: Desk) -> None:
        desk.server.faults.hide_new_orders(reads=self.reads_per_lookup * 2)
        await self.trade(desk, LONG, "1", "shy1")
        assert [await self.lookup(desk, "shy1") is not None for _ in range(3)] == [False, False, True]

    async def test_a_new_order_may_be_invisible_for_some_time(self, desk: Desk) -> None:
        desk.server.faults.hide_new_orders(seconds=5)
        await self.trade(desk, LONG, "1", "shy1")
        assert await self.lookup(desk, "shy1") is None
        await desk.server.market.pass_time(5)
        assert await self.lookup(desk, "shy1") is not None

    async def test_positions_may_lag_behind_the_last_order(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "first1")
        await self.trade(desk, LONG, "1", "second1")
        desk.server.faults.on(Endpoint.POSITIONS, Stale())
        assert [await desk.held(), await desk.held()] == [{"long": Decimal(1)}, {"long": Decimal(2)}]
