"""The real ccxt on the loopback Bybit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import ccxt.async_support as ccxt
import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import ETH
from tests.wire.venues.bybit import BybitServer
from tests.wire.venues.clients import ccxt_client
from tests.wire.venues.core import START
from tests.wire.venues.fault_contract import FaultContract
from tests.wire.venues.faults import Endpoint, Refuse
from tests.wire.venues.server import VenueServer
from tests.wire.venues.suite import LONG, SHORT, Desk
from tests.wire.venues.venue_contract import VenueContract


class TestBybit(VenueContract, FaultContract):
    server_class: ClassVar[type[VenueServer]] = BybitServer
    place_name = "POST /v5/order/create"
    too_many = ccxt.RateLimitExceeded
    banned = ccxt.RateLimitExceeded
    closing_too_much = None
    reads_per_lookup: ClassVar[int] = 1

    def order_params(self, side: PositionSide, client_id: str) -> dict[str, Any]:
        return {"positionIdx": 1 if side is LONG else 2, "clientOrderId": client_id}

    def stop_params(self, side: PositionSide, client_id: str, trigger: str) -> dict[str, Any]:
        return {**self.order_params(side, client_id), "stopLossPrice": trigger}

    async def lookup(self, desk: Desk, client_id: str) -> dict[str, Any] | None:
        params = {"orderLinkId": client_id}
        rows = await desk.client.fetch_open_orders(ETH, None, None, params)
        rows = rows or await desk.client.fetch_canceled_and_closed_orders(ETH, None, None, params)
        return rows[0] if rows else None

    async def open_stops(self, desk: Desk) -> list[str]:
        orders = await desk.client.fetch_open_orders(ETH, None, None, {"trigger": True})
        return [order["clientOrderId"] for order in orders]

    async def permissions(self, client: Any) -> tuple[bool, bool, bool]:
        told = (await client.privateGetV5UserQueryApi())["result"]
        return (
            "Order" in told["permissions"]["ContractTrade"] and told["readOnly"] == 0,
            bool(told["permissions"]["Wallet"]),
            told["ips"] != ["*"],
        )

    async def forced_causes(self, desk: Desk) -> list[str]:
        names = {"BustTrade": "liquidation", "AdlTrade": "adl"}
        told = await desk.client.privateGetV5ExecutionList({"category": "linear", "symbol": "ETHUSDT"})
        kinds = [row["execType"] for row in told["result"]["list"]]
        return [names[kind] for kind in kinds if kind in names]

    def funding_paid_by_the_long(self, amount: Decimal) -> Decimal:
        return amount

    async def open_isolated(self, desk: Desk, side: PositionSide, quantity: str) -> None:
        await desk.client.set_margin_mode("isolated")
        await self.trade(desk, side, quantity, "isolated1")

    async def add_margin(self, desk: Desk, side: PositionSide, amount: str) -> None:
        leg = {"category": "linear", "symbol": "ETHUSDT", "positionIdx": 1 if side is LONG else 2}
        await desk.client.privatePostV5PositionAddMargin({**leg, "margin": amount})

    # --- what is Bybit's own --------------------------------------------------------------------

    async def test_the_answer_to_an_order_has_its_ids_only(self, desk: Desk) -> None:
        order = await self.trade(desk, LONG, "1", "ids1")
        assert order["id"]
        assert order["clientOrderId"] == "ids1"
        assert order["status"] is None
        assert order["filled"] is None

    async def test_both_legs_are_listed_even_when_empty(self, desk: Desk) -> None:
        await self.trade(desk, SHORT, "1", "short1")
        rows = await desk.client.fetch_positions([ETH])
        assert [(row["side"], row["contracts"], row["hedged"]) for row in rows] == [
            ("long", "0", True),
            ("short", "1", True),
        ]
        assert [row["side"] for row in await desk.client.fetch_positions()] == ["short"]

    async def test_the_index_has_to_fit_the_mode(self, desk: Desk) -> None:
        with pytest.raises(ccxt.BadRequest, match="position idx not match"):
            await desk.client.create_order(ETH, "market", "buy", "1")

    async def test_a_mode_that_is_set_already_is_no_change(self, desk: Desk) -> None:
        with pytest.raises(ccxt.NoChange, match="110025"):
            await desk.client.set_position_mode(True, ETH)
        await self.rest(desk, "resting1", "1500")
        with pytest.raises(ccxt.BadRequest, match="110028"):
            await desk.client.set_position_mode(False, ETH)
        await self.trade(desk, LONG, "1", "held1")
        with pytest.raises(ccxt.BadRequest, match="110024"):
            await desk.client.set_position_mode(False, ETH)

    async def test_one_way_positions_have_no_index(self, desk: Desk) -> None:
        await desk.client.set_position_mode(False, ETH)
        await desk.client.create_order(ETH, "market", "sell", "1", None, {"clientOrderId": "down1"})
        (row,) = await desk.client.fetch_positions([ETH])
        assert (row["side"], row["contracts"], row["info"]["positionIdx"]) == ("short", "1", 0)

    async def test_leverage_belongs_to_the_side_in_isolated_mode_only(self, desk: Desk) -> None:
        uneven = {"buyLeverage": "5", "sellLeverage": "8"}
        with pytest.raises(ccxt.BadRequest):
            await desk.client.set_leverage(5, ETH, uneven)
        await desk.client.set_margin_mode("isolated")
        await desk.client.set_leverage(5, ETH, uneven)
        with pytest.raises(ccxt.BadRequest, match="110043"):
            await desk.client.set_leverage(5, ETH, uneven)

        await self.trade(desk, LONG, "1", "isolated1")

        rows = await desk.client.fetch_positions([ETH])
        assert [row["leverage"] for row in rows] == ["5", "8"]
        assert Decimal(rows[0]["positionMargin"]) > 0
        with pytest.raises(ccxt.ExchangeError, match="3400045"):
            await desk.client.set_margin_mode("cross")

    async def test_a_refused_order_of_a_batch_has_no_name(self, desk: Desk) -> None:
        orders = [
            {"symbol": ETH, "type": "market", "side": "buy", "amount": amount, "params": params}
            for amount, params in (
                ("1000", self.order_params(LONG, "bad1")),
                ("1", self.order_params(LONG, "good1")),
            )
        ]
        answers = await desk.client.create_orders(orders)
        told = {answer["clientOrderId"]: answer for answer in answers}
        assert set(told) == {None, "good1"}
        assert (told[None]["status"], told[None]["info"]["code"]) == ("rejected", 110007)

    async def test_an_id_is_taken_for_ever(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "again1")
        with pytest.raises(ccxt.InvalidOrder, match="110072"):
            await self.trade(desk, LONG, "1", "again1")
        assert await desk.held() == {"long": Decimal(1)}

    async def test_a_fired_stop_stays_the_same_order(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        stop = await self.stop(desk, LONG, "1", "stop1", "1900")
        waiting = await self.lookup(desk, "stop1")
        await desk.server.market.price(ETH, "1899")

        fired = await self.lookup(desk, "stop1")

        assert waiting is not None
        assert fired is not None
        assert waiting["info"]["orderStatus"] == "Untriggered"
        assert (fired["id"], fired["status"], fired["filled"]) == (stop["id"], "closed", "1")
        assert (await desk.client.fetch_my_trades(ETH))[-1]["order"] == stop["id"]

    async def test_the_stops_of_a_leg_end_with_it(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        await self.trade(desk, SHORT, "1", "held2")
        await self.stop(desk, LONG, "1", "stop1", "1900")
        await self.stop(desk, SHORT, "1", "stop2", "2100")

        await self.trade(desk, LONG, "1", "out1", opens=False)

        assert await self.open_stops(desk) == ["stop2"]
        ended = await self.lookup(desk, "stop1")
        assert ended is not None
        assert ended["info"]["orderStatus"] == "Deactivated"

    async def test_a_take_profit_waits_on_the_other_side(self, desk: Desk) -> None:
        await self.trade(desk, SHORT, "1", "held1")
        params = {**self.order_params(SHORT, "profit1"), "takeProfitPrice": "1900"}
        await desk.client.create_order(ETH, "market", "buy", "1", None, params)
        await desk.server.market.price(ETH, "1899")
        assert await desk.held() == {}

    async def test_a_trigger_on_the_wrong_side_is_refused(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        with pytest.raises(ccxt.InvalidOrder, match="110093"):
            await self.stop(desk, LONG, "1", "stop1", "2100")

    async def test_closing_nothing_is_refused(self, desk: Desk) -> None:
        with pytest.raises(ccxt.InvalidOrder, match="110017"):
            await self.trade(desk, LONG, "1", "nothing1", opens=False)

    async def test_canceling_what_is_final_is_refused(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "done1")
        with pytest.raises(ccxt.OrderNotFound, match="110001"):
            await desk.client.cancel_order(None, ETH, {"orderLinkId": "done1"})

    async def test_long_histories_come_in_pages(self, desk: Desk) -> None:
        for number in range(3):
            await self.trade(desk, LONG, "0.1", f"page{number}")
        query = {"category": "linear", "limit": 2}
        first = (await desk.client.privateGetV5OrderHistory(query))["result"]
        cursor = {"cursor": first["nextPageCursor"]}
        second = (await desk.client.privateGetV5OrderHistory({**query, **cursor}))["result"]
        links = [row["orderLinkId"] for row in (*first["list"], *second["list"])]
        assert links == ["page2", "page1", "page0"]
        assert second["nextPageCursor"] == ""

    async def test_a_forced_close_is_not_among_the_trades(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "40", "doomed1")
        await desk.server.market.price(ETH, "1750")
        assert {fill["side"] for fill in await desk.client.fetch_my_trades(ETH)} == {"buy"}
        (forced,) = await desk.client.fetch_my_liquidations(ETH)
        assert Decimal(forced["contracts"]) == 40

    async def test_histories_reach_back_a_week_unless_told(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "old1")
        await desk.server.market.pass_time(8 * 86_400)
        query = {"category": "linear", "symbol": "ETHUSDT", "execType": "Trade"}
        start = 1_795_348_800_000
        week, month = ({"startTime": start, "endTime": start + days * 86_400_000} for days in (7, 30))

        recent = (await desk.client.privateGetV5ExecutionList(query))["result"]["list"]
        told = (await desk.client.privateGetV5ExecutionList({**query, **week}))["result"]["list"]

        assert recent == []
        assert [row["orderLinkId"] for row in told] == ["old1"]
        with pytest.raises(ccxt.BadRequest, match="7 days"):
            await desk.client.privateGetV5ExecutionList({**query, **month})

    async def test_a_forced_order_stands_in_the_history(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "2", "winner1")
        await desk.account.deleverage(ETH, LONG, Decimal(1))
        rows = (await desk.client.privateGetV5OrderHistory({"category": "linear"}))["result"]["list"]
        assert {row["createType"] for row in rows} == {"CreateByUser", "CreateByAdl_PassThrough"}

    async def test_funding_tells_its_leg(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "long1")
        await self.trade(desk, SHORT, "2", "short1")
        await desk.server.market.pass_time(4 * 3600)
        rows = [row["info"] for row in await desk.client.fetch_funding_history(ETH)]
        told = {row["side"]: (row["execFee"], row["execQty"]) for row in rows}
        assert {side: (Decimal(fee), Decimal(size)) for side, (fee, size) in told.items()} == {
            "Buy": (Decimal("0.2"), Decimal(1)),
            "Sell": (Decimal("-0.4"), Decimal(2)),
        }

    async def test_an_expired_key_is_refused(self, server: VenueServer) -> None:
        account = server.create_account(expires_at=START + timedelta(days=1))
        async with ccxt_client(server, account) as client:
            await client.fetch_balance()
            await server.market.pass_time(86_400)
            with pytest.raises(ccxt.AuthenticationError, match="33004"):
                await client.fetch_balance()

    async def test_a_scripted_refusal_bears_its_code(self, desk: Desk) -> None:
        desk.server.faults.on(Endpoint.PLACE, Refuse("10016", "Server error."))
        with pytest.raises(ccxt.ExchangeError) as caught:
            await self.trade(desk, LONG, "1", "system1")
        assert type(caught.value) is ccxt.ExchangeError
