"""The real ccxt on the loopback OKX."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import ccxt.async_support as ccxt
import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, SOL
from tests.wire.venues.fault_contract import FaultContract
from tests.wire.venues.faults import Endpoint, Refuse
from tests.wire.venues.okx import OkxServer
from tests.wire.venues.stream_contract import StreamContract
from tests.wire.venues.streams import StreamingServer
from tests.wire.venues.suite import LONG, SHORT, Desk
from tests.wire.venues.venue_contract import VenueContract

STOPS = {"trigger": True, "ordType": "conditional"}


class TestOkx(VenueContract, FaultContract, StreamContract):
    server_class: ClassVar[type[StreamingServer]] = OkxServer
    place_name = "POST /api/v5/trade/batch-orders"
    too_many = ccxt.RateLimitExceeded
    banned = ccxt.ExchangeNotAvailable
    closing_too_much = ccxt.InvalidOrder

    def order_params(self, side: PositionSide, client_id: str) -> dict[str, Any]:
        return {"posSide": side.value, "clientOrderId": client_id}

    def stop_params(self, side: PositionSide, client_id: str, trigger: str) -> dict[str, Any]:
        return {"posSide": side.value, "algoClOrdId": client_id, "stopLossPrice": trigger}

    async def lookup(self, desk: Desk, client_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await desk.client.fetch_order("", ETH, {"clientOrderId": client_id})
        except ccxt.OrderNotFound:
            return None
        return found

    async def open_stops(self, desk: Desk) -> list[str]:
        orders = await desk.client.fetch_open_orders(ETH, None, None, STOPS)
        return [order["info"]["algoClOrdId"] for order in orders]

    async def permissions(self, client: Any) -> tuple[bool, bool, bool]:
        (told,) = (await client.privateGetAccountConfig())["data"]
        rights = told["perm"].split(",")
        return "trade" in rights, "withdraw" in rights, bool(told["ip"])

    def leverage_params(self) -> dict[str, Any]:
        return {"mgnMode": "cross"}

    async def forced_causes(self, desk: Desk) -> list[str]:
        names = {"full_liquidation": "liquidation", "adl": "adl"}
        query = {"instType": "SWAP", "instId": "ETH-USDT-SWAP"}
        rows = (await desk.client.privateGetTradeOrdersHistory(query))["data"]
        return [names[row["category"]] for row in rows if row["category"] in names]

    async def open_isolated(self, desk: Desk, side: PositionSide, quantity: str) -> None:
        params = {**self.order_params(side, "isolated1"), "tdMode": "isolated"}
        amount = desk.contracts(quantity)
        await desk.client.create_order(ETH, "market", side.opening.value, amount, None, params)

    async def add_margin(self, desk: Desk, side: PositionSide, amount: str) -> None:
        leg = {"instId": "ETH-USDT-SWAP", "posSide": side.value, "type": "add", "amt": amount}
        await desk.client.privatePostAccountPositionMarginBalance(leg)

    tells_at_once = True

    # --- what is OKX's own ----------------------------------------------------------------------

    async def test_a_wrong_passphrase_is_refused(self, desk: Desk) -> None:
        desk.client.password = "made-up"
        with pytest.raises(ccxt.AuthenticationError, match="50105"):
            await desk.client.fetch_balance()

    async def test_sizes_are_contracts(self, desk: Desk) -> None:
        sizes = {symbol: desk.client.market(symbol)["contractSize"] for symbol in (BTC, ETH, SOL)}
        assert sizes == {BTC: "0.01", ETH: "0.1", SOL: "1"}
        await self.trade(desk, LONG, "1", "ten1")
        (received,) = desk.server.requests(self.place_name)
        (order,) = received.params["batch"]
        assert {name: order[name] for name in ("instId", "side", "posSide", "tdMode", "sz", "ordType")} == {
            "instId": "ETH-USDT-SWAP",
            "side": "buy",
            "posSide": "long",
            "tdMode": "cross",
            "sz": "10",
            "ordType": "market",
        }
        assert (await desk.client.fetch_positions([ETH]))[0]["contracts"] == "10"

    async def test_the_side_has_to_fit_the_mode(self, desk: Desk) -> None:
        with pytest.raises(ccxt.BadRequest, match="posSide"):
            await desk.client.create_order(ETH, "market", "buy", "10")

    async def test_setting_the_same_mode_again_is_fine(self, desk: Desk) -> None:
        await desk.client.set_position_mode(True)
        assert (await desk.client.fetch_position_mode())["hedged"] is True
        await self.trade(desk, LONG, "1", "held1")
        with pytest.raises(ccxt.ExchangeError, match="59000"):
            await desk.client.set_position_mode(False)

    async def test_net_positions_bear_a_sign(self, desk: Desk) -> None:
        await desk.client.set_position_mode(False)
        await desk.client.create_order(ETH, "market", "sell", "10", None, {"clientOrderId": "down1"})
        (row,) = await desk.client.fetch_positions([ETH])
        assert (row["side"], row["info"]["posSide"], row["info"]["pos"]) == ("short", "net", "-10")
        params = {"clientOrderId": "up1", "reduceOnly": True}
        await desk.client.create_order(ETH, "market", "buy", "10", None, params)
        assert await desk.held() == {}

    async def test_leverage_belongs_to_margin_mode_and_side(self, desk: Desk) -> None:
        await desk.client.set_leverage(5, ETH, {"mgnMode": "isolated", "posSide": "long"})
        await desk.client.set_leverage(8, ETH, {"mgnMode": "isolated", "posSide": "short"})
        await desk.client.set_leverage(20, ETH, {"mgnMode": "cross"})
        with pytest.raises(ccxt.BadRequest, match="posSide"):
            await desk.client.set_leverage(5, ETH, {"mgnMode": "isolated"})

        params = {**self.order_params(LONG, "apart1"), "tdMode": "isolated"}
        await desk.client.create_order(ETH, "market", "buy", "10", None, params)
        await self.trade(desk, SHORT, "1", "together1")

        rows = {row["side"]: row for row in await desk.client.fetch_positions([ETH])}
        assert (rows["long"]["marginMode"], rows["long"]["leverage"]) == ("isolated", "5")
        assert (rows["short"]["marginMode"], rows["short"]["leverage"]) == ("cross", "20")
        assert Decimal(rows["long"]["positionMargin"]) > 400
        told = await desk.client.fetch_leverage(ETH, {"mgnMode": "isolated"})
        assert (told["longLeverage"], told["shortLeverage"]) == (5, 8)

    async def test_a_refused_order_of_a_batch_keeps_its_name(self, desk: Desk) -> None:
        orders = [
            {"symbol": ETH, "type": "market", "side": "buy", "amount": amount, "params": params}
            for amount, params in (
                ("20000", self.order_params(LONG, "bad1")),
                ("10", self.order_params(LONG, "good1")),
            )
        ]
        answers = {answer["clientOrderId"]: answer for answer in await desk.client.create_orders(orders)}
        assert set(answers) == {"bad1", "good1"}
        assert (answers["bad1"]["status"], answers["bad1"]["info"]["sCode"]) == ("rejected", "51008")

    async def test_an_id_is_letters_and_digits_and_taken_for_ever(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "again1")
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await self.trade(desk, LONG, "1", "again1")
        with pytest.raises(ccxt.BadRequest, match="clOrdId"):
            await self.trade(desk, LONG, "1", "with-dash")

    async def test_a_fired_stop_makes_a_new_order(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        stop = await self.stop(desk, LONG, "1", "stop1", "1900")
        await desk.server.market.price(ETH, "1899")

        algo = await desk.client.fetch_order("", ETH, {"trigger": True, "clientOrderId": "stop1"})
        made = await desk.client.fetch_order(algo["info"]["ordId"], ETH)
        fill = (await desk.client.fetch_my_trades(ETH))[-1]

        assert algo["id"] == stop["id"]
        assert algo["info"]["state"] == "effective"
        assert (made["status"], made["filled"]) == ("closed", "10")
        assert fill["order"] == made["info"]["ordId"] != stop["id"]
        # ccxt shows the id of the stop as that of the order which came of it.
        assert made["id"] == stop["id"]

    async def test_a_stop_outlives_its_leg(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        stop = await self.stop(desk, LONG, "1", "stop1", "1900")
        await self.trade(desk, LONG, "1", "out1", opens=False)
        assert await self.open_stops(desk) == ["stop1"]

        await desk.client.cancel_order(stop["id"], ETH, {"trigger": True})
        assert await self.open_stops(desk) == []
        history = {"ordType": "conditional", "state": "canceled"}
        (row,) = (await desk.client.privateGetTradeOrdersAlgoHistory(history))["data"]
        assert row["algoClOrdId"] == "stop1"

    async def test_a_take_profit_and_a_trigger_wait_on_their_side(self, desk: Desk) -> None:
        await self.trade(desk, SHORT, "1", "held1")
        profit = {"posSide": "short", "algoClOrdId": "profit1", "takeProfitPrice": "1900"}
        await desk.client.create_order(ETH, "market", "buy", "10", None, profit)
        trigger = {"posSide": "long", "algoClOrdId": "entry1", "triggerPrice": "1950"}
        await desk.client.create_order(ETH, "market", "buy", "10", None, trigger)
        await desk.server.market.price(ETH, "1949")
        assert await desk.held() == {"long": Decimal(1), "short": Decimal(1)}
        await desk.server.market.price(ETH, "1899")
        assert await desk.held() == {"long": Decimal(1)}

    @pytest.mark.parametrize(
        ("field", "price", "code"), [("stopLossPrice", "2100", "51280"), ("takeProfitPrice", "1900", "51279")]
    )
    async def test_a_trigger_on_the_wrong_side_is_refused(
        self, desk: Desk, field: str, price: str, code: str
    ) -> None:
        await self.trade(desk, LONG, "1", "held1")
        params = {"posSide": "long", "algoClOrdId": "stop1", field: price}
        with pytest.raises(ccxt.InvalidOrder, match=code):
            await desk.client.create_order(ETH, "market", "sell", "10", None, params)

    async def test_closing_nothing_has_a_code_that_ccxt_does_not_know(self, desk: Desk) -> None:
        with pytest.raises(ccxt.ExchangeError, match="51169") as caught:
            await self.trade(desk, LONG, "1", "nothing1", opens=False)
        assert type(caught.value) is ccxt.ExchangeError

    async def test_canceling_what_is_final_is_refused(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "done1")
        with pytest.raises(ccxt.OrderNotFound, match="51400"):
            await desk.client.cancel_order("", ETH, {"clientOrderId": "done1"})

    async def test_the_funding_interval_lies_between_two_settlements(self, desk: Desk) -> None:
        rates = await desk.client.fetch_funding_rates()
        assert {symbol: rate["interval"] for symbol, rate in rates.items()} == {
            BTC: "8h",
            ETH: "8h",
            SOL: "4h",
            BTC_INVERSE: "8h",
        }

    async def test_tiers_are_cut_by_contracts(self, desk: Desk) -> None:
        first, second = (await desk.client.fetch_market_leverage_tiers(ETH))[:2]
        assert first["maxNotional"] == second["minNotional"] == "250"  # 25 ETH, 50,000 at the start

    async def test_forced_fills_bear_their_own_kind(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "40", "doomed1")
        await desk.account.deleverage(ETH, LONG, Decimal(1))
        await desk.server.market.price(ETH, "1750")
        fills = await desk.client.fetch_my_trades(ETH)
        kinds = [fill["info"]["subType"] for fill in fills]
        assert kinds[0] == "3"
        assert set(kinds) == {"3", "125", "104"}
        order = await desk.client.fetch_order(fills[-1]["order"], ETH)
        assert order["info"]["category"] == "full_liquidation"

    async def test_the_index_has_a_ticker_of_its_own(self, desk: Desk) -> None:
        await desk.server.market.price(ETH, "2100")
        (row,) = (await desk.client.publicGetMarketIndexTickers({"instId": "ETH-USDT"}))["data"]
        assert row["idxPx"] == "2100"

    async def test_a_single_order_may_take_its_own_path(self, desk: Desk) -> None:
        desk.client.options["createOrder"] = "privatePostTradeOrder"
        await self.trade(desk, LONG, "1", "single1")
        assert len(desk.server.requests("POST /api/v5/trade/order")) == 1
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await self.trade(desk, LONG, "1", "single1")

    async def test_a_late_request_is_refused(self, desk: Desk) -> None:
        desk.client.headers = {"expTime": str(desk.client.milliseconds() - 1)}
        with pytest.raises(ccxt.InvalidNonce):
            await self.trade(desk, LONG, "1", "late1")
        assert desk.account.orders == []

    async def test_a_scripted_refusal_bears_its_code(self, desk: Desk) -> None:
        desk.server.faults.on_orders(Refuse("51149", "Order timed out. Please try again."))
        with pytest.raises(ccxt.ExchangeError) as caught:
            await self.trade(desk, LONG, "1", "timed1")
        assert type(caught.value) is ccxt.ExchangeError
        desk.server.faults.on(Endpoint.PLACE, Refuse("50004", "API endpoint request timeout."))
        with pytest.raises(ccxt.RequestTimeout):
            await self.trade(desk, LONG, "1", "timed2")
