"""The real ccxt on the loopback Binance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import ccxt.async_support as ccxt
import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import ETH, SOL
from tests.wire.venues.binance import BinanceServer
from tests.wire.venues.fault_contract import FaultContract
from tests.wire.venues.faults import Endpoint, Refuse
from tests.wire.venues.server import VenueServer
from tests.wire.venues.suite import LONG, SHORT, Desk
from tests.wire.venues.venue_contract import VenueContract


class TestBinance(VenueContract, FaultContract):
    server_class: ClassVar[type[VenueServer]] = BinanceServer
    place_name = "POST /fapi/v1/order"
    too_many = ccxt.DDoSProtection
    banned = ccxt.DDoSProtection
    closing_too_much = ccxt.InvalidOrder

    def order_params(self, side: PositionSide, client_id: str) -> dict[str, Any]:
        return {"positionSide": side.upper(), "clientOrderId": client_id}

    def stop_params(self, side: PositionSide, client_id: str, trigger: str) -> dict[str, Any]:
        return {**self.order_params(side, client_id), "stopLossPrice": trigger}

    async def lookup(self, desk: Desk, client_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await desk.client.fetch_order(None, ETH, {"clientOrderId": client_id})
        except ccxt.OrderNotFound:
            return None
        return found

    async def open_stops(self, desk: Desk) -> list[str]:
        orders = await desk.client.fetch_open_orders(ETH, None, None, {"trigger": True})
        return [order["clientOrderId"] for order in orders]

    async def permissions(self, client: Any) -> tuple[bool, bool, bool]:
        told = await client.sapiGetAccountApiRestrictions()
        moves = (
            told["enableWithdrawals"] or told["enableInternalTransfer"] or told["permitsUniversalTransfer"]
        )
        return told["enableFutures"], moves, told["ipRestrict"]

    async def tiers(self, desk: Desk) -> Any:
        return (await desk.client.fetch_leverage_tiers([ETH]))[ETH]

    async def forced_causes(self, desk: Desk) -> list[str]:
        rows = await desk.client.fapiPrivateGetForceOrders({"symbol": "ETHUSDT"})
        names = {"autoclose": "liquidation", "adl_autoclose": "adl"}
        return [names[row["clientOrderId"].rpartition("-")[0]] for row in rows]

    async def open_isolated(self, desk: Desk, side: PositionSide, quantity: str) -> None:
        await desk.client.set_margin_mode("isolated", ETH)
        await self.trade(desk, side, quantity, "isolated1")

    async def add_margin(self, desk: Desk, side: PositionSide, amount: str) -> None:
        request = {"symbol": "ETHUSDT", "positionSide": side.upper(), "amount": amount, "type": 1}
        await desk.client.fapiPrivatePostPositionMargin(request)

    # --- what is Binance's own ------------------------------------------------------------------

    async def test_a_wrong_signature_has_its_code(self, desk: Desk) -> None:
        desk.client.secret = "made-up"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await desk.client.fetch_balance()

    async def test_the_side_of_an_order_has_to_fit_the_mode(self, desk: Desk) -> None:
        with pytest.raises(ccxt.OperationRejected, match="-4061"):
            await desk.client.create_order(ETH, "market", "buy", "1")
        await desk.client.set_position_mode(False, ETH)
        with pytest.raises(ccxt.OperationRejected, match="-4061"):
            await self.trade(desk, LONG, "1", "hedged1")

    async def test_a_mode_that_is_set_already_is_refused(self, desk: Desk) -> None:
        with pytest.raises(ccxt.OperationRejected, match="-4059"):
            await desk.client.set_position_mode(True, ETH)
        await self.trade(desk, LONG, "1", "held1")
        with pytest.raises(ccxt.OperationRejected, match="-4068"):
            await desk.client.set_position_mode(False, ETH)

    async def test_one_way_orders_net_and_flip(self, desk: Desk) -> None:
        await desk.client.set_position_mode(False, ETH)
        await desk.client.create_order(ETH, "market", "buy", "1", None, {"clientOrderId": "up1"})
        await desk.client.create_order(ETH, "market", "sell", "1.5", None, {"clientOrderId": "down1"})

        (row,) = await desk.client.fetch_positions([ETH])
        assert (row["side"], row["contracts"], row["info"]["positionSide"]) == ("short", "0.5", "BOTH")
        assert (await desk.client.fetch_position_mode())["hedged"] is False
        found = await self.lookup(desk, "down1")
        assert found is not None
        assert found["filled"] == "1.5"

        closed = {"clientOrderId": "shut1", "reduceOnly": True}
        await desk.client.create_order(ETH, "market", "buy", "0.5", None, closed)
        assert await desk.held() == {}

    async def test_leverage_and_margin_mode_belong_to_the_symbol(self, desk: Desk) -> None:
        await desk.client.set_leverage(7, ETH)
        await desk.client.set_margin_mode("isolated", ETH)
        with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):
            await desk.client.set_margin_mode("isolated", ETH)

        await self.trade(desk, SHORT, "1", "isolated1")

        (row,) = await desk.client.fetch_positions([ETH], {"useV2": True})
        assert (row["marginMode"], row["leverage"]) == ("isolated", "7")
        assert Decimal(row["info"]["isolatedWallet"]) > 0
        with pytest.raises(ccxt.OperationRejected, match="-4048"):
            await desk.client.set_margin_mode("cross", ETH)
        (config,) = await desk.client.fapiPrivateGetSymbolConfig({"symbol": "ETHUSDT"})
        assert (config["leverage"], config["marginType"]) == (7, "ISOLATED")

    async def test_a_refused_order_of_a_batch_comes_first_and_nameless(self, desk: Desk) -> None:
        orders = [
            {"symbol": ETH, "type": "market", "side": "buy", "amount": amount, "params": params}
            for amount, params in (
                ("1", self.order_params(LONG, "good1")),
                ("9000", self.order_params(LONG, "bad1")),
            )
        ]
        answers = await desk.client.create_orders(orders)
        assert [answer["clientOrderId"] for answer in answers] == [None, "good1"]
        assert answers[0]["info"]["code"] in (-2019, -4005, -2027)

    async def test_a_final_orders_id_may_be_used_again(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "again1")
        await self.trade(desk, LONG, "1", "again1")
        assert await desk.held() == {"long": Decimal(2)}

    async def test_a_fired_stop_makes_a_new_order(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        stop = await self.stop(desk, LONG, "1", "stop1", "1900")
        await desk.server.market.price(ETH, "1899")

        algo = await desk.client.fetch_order(None, ETH, {"trigger": True, "clientAlgoId": "stop1"})
        made = await desk.client.fetch_order(algo["info"]["actualOrderId"], ETH)

        assert stop["id"] == algo["id"] != made["id"]
        assert (algo["info"]["algoStatus"], made["status"], made["filled"]) == ("FINISHED", "closed", "1")
        assert (await desk.client.fetch_my_trades(ETH))[-1]["order"] == made["id"]

    async def test_a_stop_outlives_its_leg(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        await self.stop(desk, LONG, "1", "stop1", "1900")
        await self.trade(desk, LONG, "1", "out1", opens=False)
        assert await self.open_stops(desk) == ["stop1"]

        await desk.client.cancel_order(None, ETH, {"trigger": True, "clientAlgoId": "stop1"})
        assert await self.open_stops(desk) == []

    async def test_a_take_profit_waits_on_the_other_side(self, desk: Desk) -> None:
        await self.trade(desk, SHORT, "1", "held1")
        params = {**self.order_params(SHORT, "profit1"), "takeProfitPrice": "1900"}
        await desk.client.create_order(ETH, "market", "buy", "1", None, params)
        assert await self.open_stops(desk) == ["profit1"]
        await desk.server.market.price(ETH, "1899")
        assert await desk.held() == {}

    async def test_a_trigger_on_the_wrong_side_is_refused(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        with pytest.raises(ccxt.OrderImmediatelyFillable, match="-2021"):
            await self.stop(desk, LONG, "1", "stop1", "2100")

    async def test_canceling_what_is_final_or_unknown_is_refused(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "done1")
        for client_id in ("done1", "never1"):
            with pytest.raises(ccxt.OrderNotFound):
                await desk.client.cancel_order(None, ETH, {"clientOrderId": client_id})

    async def test_only_odd_funding_intervals_are_listed(self, desk: Desk) -> None:
        intervals = await desk.client.fetch_funding_intervals()
        assert {symbol: row["interval"] for symbol, row in intervals.items()} == {SOL: "4h"}

    async def test_a_forced_order_is_found_by_its_number(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "40", "doomed1")
        await desk.server.market.price(ETH, "1750")
        fill = (await desk.client.fetch_my_trades(ETH))[-1]
        order = await desk.client.fetch_order(fill["order"], ETH)
        assert order["clientOrderId"].startswith("autoclose-")

    async def test_trades_are_asked_for_by_order_by_id_or_by_week(self, desk: Desk) -> None:
        for number in range(3):
            await self.trade(desk, LONG, "1", f"trade{number}")
        rows = await desk.client.fapiPrivateGetUserTrades({"symbol": "ETHUSDT"})
        second = {"symbol": "ETHUSDT", "orderId": rows[1]["orderId"]}
        later = {"symbol": "ETHUSDT", "fromId": rows[1]["id"]}
        assert await desk.client.fapiPrivateGetUserTrades(second) == rows[1:2]
        assert await desk.client.fapiPrivateGetUserTrades(later) == rows[1:]
        month = {"symbol": "ETHUSDT", "startTime": 1_795_000_000_000, "endTime": 1_798_000_000_000}
        with pytest.raises(ccxt.ExchangeError, match="-4165"):
            await desk.client.fapiPrivateGetUserTrades(month)
        await desk.server.market.pass_time(8 * 86_400)
        assert await desk.client.fapiPrivateGetUserTrades({"symbol": "ETHUSDT"}) == []

    async def test_a_scripted_refusal_bears_its_code(self, desk: Desk) -> None:
        desk.server.faults.on_orders(Refuse("-2027", "Exceeded the maximum allowable position."))
        with pytest.raises(ccxt.OperationRejected, match="-2027"):
            await self.trade(desk, LONG, "1", "big1")
        desk.server.faults.on(Endpoint.PLACE, Refuse("-1007", "Timeout waiting for response."))
        with pytest.raises(ccxt.RequestTimeout):
            await self.trade(desk, LONG, "1", "late1")

    async def test_the_wire_form_of_an_order_is_on_record(self, desk: Desk) -> None:
        await self.trade(desk, SHORT, "1", "form1")
        (received,) = desk.server.requests("POST /fapi/v1/order")
        told = {
            name: received.params[name] for name in ("symbol", "side", "positionSide", "type", "quantity")
        }
        assert told == {
            "symbol": "ETHUSDT",
            "side": "SELL",
            "positionSide": "SHORT",
            "type": "MARKET",
            "quantity": "1",
        }
        assert received.params["newClientOrderId"] == "form1"
        assert received.api_key == desk.account.key.key

    async def test_the_market_data_of_all_symbols_comes_in_one_answer(self, desk: Desk) -> None:
        rates = await desk.client.fetch_funding_rates()
        assert len(rates) == 3
        assert len(await desk.client.fetch_bids_asks()) == 3
