"""What the real ccxt must see of every loopback venue; each venue's suite adds its own words."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import ccxt.async_support as ccxt
import pytest

from chatbot.domain.instrument import OrderSide
from chatbot.domain.order import OrderType
from chatbot.venues.feeds import ETH
from chatbot.venues.paper import PaperVenue
from tests.wire.venues.clients import ccxt_client, tls_context, tls_session
from tests.wire.venues.faults import (
    PartialFill,
)
from tests.wire.venues.orders import Wish
from tests.wire.venues.streams import StreamingServer
from tests.wire.venues.suite import LONG, SHORT, Desk, VenueSuite


class VenueContract(VenueSuite):
    # --- reading --------------------------------------------------------------------------------

    async def test_markets_load_without_a_key(self, server: StreamingServer) -> None:
        async with ccxt_client(server) as client:
            assert set(server.prices) == set(client.markets)
            market = client.market(ETH)
        assert market["linear"]
        assert market["swap"]
        assert Decimal(market["precision"]["price"]) == Decimal("0.01")
        size = Decimal(market["contractSize"])
        assert Decimal(market["precision"]["amount"]) * size == Decimal("0.001")
        assert not any(received.api_key for received in server.log)

    async def test_the_market_moves_with_the_pushed_price(self, desk: Desk) -> None:
        await desk.server.market.price(ETH, "2100", funding_rate=Decimal("0.0003"))

        rate = await desk.client.fetch_funding_rate(ETH)
        book = await desk.client.fetch_order_book(ETH, 5)

        assert Decimal(rate["fundingRate"]) == Decimal("0.0003")
        assert rate["fundingTimestamp"] == 1_795_363_200_000  # 16:00, four hours after the start
        assert Decimal(book["bids"][0][0]) < 2100 < Decimal(book["asks"][0][0])
        assert abs(Decimal(book["bids"][0][0]) - 2100) < 1

    async def test_candles_follow_the_pushed_prices(self, desk: Desk) -> None:
        await desk.server.market.price(ETH, "2100")
        await desk.server.market.pass_time(3600)
        await desk.server.market.price(ETH, "1900")

        rows = await desk.client.fetch_ohlcv(ETH, "1h", None, 10, {"price": "mark"})

        assert [[Decimal(price) for price in row[1:5]] for row in rows] == [
            [2100, 2100, 2100, 2100],
            [1900, 1900, 1900, 1900],
        ]

    async def test_tiers_fees_and_tickers_are_the_exchanges_own(self, desk: Desk) -> None:
        tiers = await self.tiers(desk)
        fee = await desk.client.fetch_trading_fee(ETH)
        ticker = await desk.client.fetch_ticker(ETH)

        assert Decimal(tiers[0]["maintenanceMarginRate"]) == Decimal("0.005")
        assert Decimal(tiers[0]["maxLeverage"]) == 100
        assert Decimal(fee["taker"]) == Decimal("0.0005")
        assert Decimal(ticker["last"]) == 2000

    async def test_the_clock_can_be_asked(self, server: StreamingServer) -> None:
        server.skew = timedelta(hours=1)
        async with ccxt_client(server) as client:
            ahead = await client.fetch_time() - client.milliseconds()
        assert 3_590_000 < ahead < 3_610_000

    async def test_a_new_account_has_its_money_and_nothing_else(self, desk: Desk) -> None:
        balance = await desk.client.fetch_balance()
        assert Decimal(balance["USDT"]["total"]) == 10_000
        assert Decimal(balance["USDT"]["free"]) == 10_000
        assert await desk.held() == {}

    # --- keys -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("wrong", ["apiKey", "secret"])
    async def test_a_wrong_key_or_secret_is_refused(self, desk: Desk, wrong: str) -> None:
        setattr(desk.client, wrong, "made-up")
        with pytest.raises(ccxt.AuthenticationError):
            await desk.client.fetch_balance()

    async def test_a_key_that_may_not_trade_reads_all_the_same(self, server: StreamingServer) -> None:
        account = server.create_account(trade=False)
        async with ccxt_client(server, account) as client:
            desk = Desk(server, account, client)
            assert await desk.held() == {}
            with pytest.raises((ccxt.PermissionDenied, ccxt.AuthenticationError)):
                await self.trade(desk, LONG, "1", "notallowed1")
        assert account.orders == []

    async def test_another_address_is_refused(self, server: StreamingServer) -> None:
        account = server.create_account(ips=("203.0.113.7",))
        async with ccxt_client(server, account) as client:
            with pytest.raises((ccxt.PermissionDenied, ccxt.AuthenticationError)):
                await client.fetch_balance()

    async def test_a_stamp_far_from_the_venues_clock_is_refused(self, desk: Desk) -> None:
        desk.server.skew = timedelta(minutes=2)
        with pytest.raises(ccxt.InvalidNonce):
            await desk.client.fetch_balance()

    async def test_the_permissions_of_a_key_are_told(self, server: StreamingServer) -> None:
        plain = server.create_account("plain-key-000001")
        rich = server.create_account("rich-key-0000001", withdraw=True, transfer=True, ips=("127.0.0.1",))
        async with ccxt_client(server, plain) as client:
            assert await self.permissions(client) == (True, False, False)
        async with ccxt_client(server, rich) as client:
            assert await self.permissions(client) == (True, True, True)

    # --- legs -----------------------------------------------------------------------------------

    async def test_both_legs_stand_side_by_side_and_each_closes_alone(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "inlong1")
        await self.trade(desk, SHORT, "0.5", "inshort1")
        assert await desk.held() == {"long": Decimal(1), "short": Decimal("0.5")}

        await self.trade(desk, LONG, "1", "outlong1", opens=False)
        assert await desk.held() == {"short": Decimal("0.5")}

        await self.trade(desk, SHORT, "0.5", "outshort1", opens=False)
        assert await desk.held() == {}

    async def test_both_legs_can_go_in_one_request(self, desk: Desk) -> None:
        orders = [
            {
                "symbol": ETH,
                "type": "market",
                "side": side.opening.value,
                "amount": desk.contracts("1"),
                "params": self.order_params(side, f"batch{side}1"),
            }
            for side in (LONG, SHORT)
        ]
        answers = await desk.client.create_orders(orders)

        assert len([received for received in desk.server.log if received.method == "POST"]) == 1
        assert {answer["clientOrderId"] for answer in answers} == {"batchlong1", "batchshort1"}
        assert await desk.held() == {"long": Decimal(1), "short": Decimal(1)}

    async def test_the_gap_between_two_requests_can_be_measured(self, desk: Desk) -> None:
        await asyncio.gather(self.trade(desk, LONG, "1", "gap1"), self.trade(desk, SHORT, "1", "gap2"))
        first, second = desk.server.requests(self.place_name)
        assert 0 <= second.at - first.at < 0.5

    async def test_an_order_is_found_by_our_own_id(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "findme1")

        found = await self.lookup(desk, "findme1")

        assert found is not None
        assert found["status"] == "closed"
        assert Decimal(found["filled"]) == Decimal(desk.contracts("1"))
        assert Decimal(found["average"]) == Decimal("2000.06")
        assert await self.lookup(desk, "neversent1") is None

    async def test_fills_explain_an_order(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "explained1")
        fills = await desk.client.fetch_my_trades(ETH)
        assert sum(Decimal(fill["amount"]) for fill in fills) == Decimal(desk.contracts("1"))
        assert sum(Decimal(fill["fee"]["cost"]) for fill in fills) == Decimal("1.00003")
        assert {fill["side"] for fill in fills} == {"buy"}

    async def test_an_open_order_keeps_its_id_to_itself(self, desk: Desk) -> None:
        await self.rest(desk, "twice1", "1500")
        with pytest.raises(ccxt.InvalidOrder):
            await self.rest(desk, "twice1", "1400")

    async def test_a_resting_order_is_listed_filled_or_canceled(self, desk: Desk) -> None:
        await self.rest(desk, "resting1", "1900")
        second = await self.rest(desk, "resting2", "1500")
        listed = await desk.client.fetch_open_orders(ETH)
        assert {order["clientOrderId"] for order in listed} == {"resting1", "resting2"}

        await desk.client.cancel_order(second["id"], ETH)
        await desk.server.market.price(ETH, "1899")

        filled, canceled = await self.lookup(desk, "resting1"), await self.lookup(desk, "resting2")
        assert filled is not None
        assert canceled is not None
        assert (filled["status"], canceled["status"]) == ("closed", "canceled")
        assert await desk.client.fetch_open_orders(ETH) == []

    async def test_a_maker_never_takes(self, desk: Desk) -> None:
        params = {**self.order_params(LONG, "maker1"), "postOnly": True}
        amount = desk.contracts("1")
        if self.takes_crossing_post_only:
            await desk.client.create_order(ETH, "limit", "buy", amount, "2100", params)
            found = await self.lookup(desk, "maker1")
            assert found is not None
            assert (found["status"], Decimal(found["filled"])) == ("canceled", Decimal(0))
        else:
            with pytest.raises(ccxt.InvalidOrder):
                await desk.client.create_order(ETH, "limit", "buy", amount, "2100", params)
        assert await desk.held() == {}

    async def test_what_is_to_fill_at_once_does_not_rest(self, desk: Desk) -> None:
        params = {**self.order_params(LONG, "atonce1"), "timeInForce": "IOC"}
        amount = desk.contracts("20")
        await desk.client.create_order(ETH, "limit", "buy", amount, "2000.1", params)
        found = await self.lookup(desk, "atonce1")
        assert found is not None
        assert found["status"] in ("canceled", "expired")
        assert 0 < (await desk.held())["long"] < 20
        assert await desk.client.fetch_open_orders(ETH) == []

    async def test_closing_more_than_is_held(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "held1")
        if self.closing_too_much is None:
            await self.trade(desk, LONG, "2", "toomuch1", opens=False)
            assert await desk.held() == {}
            return
        with pytest.raises(self.closing_too_much):
            await self.trade(desk, LONG, "2", "toomuch1", opens=False)
        assert await desk.held() == {"long": Decimal(1)}

    async def test_too_little_margin_is_told_as_such(self, desk: Desk) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            await self.trade(desk, LONG, "1000", "rich1")
        assert await desk.held() == {}

    async def test_a_thin_book_fills_a_part(self, desk: Desk) -> None:
        desk.server.faults.on_orders(PartialFill(Decimal("0.25")))
        await self.trade(desk, LONG, "1", "partial1")

        found = await self.lookup(desk, "partial1")

        assert found is not None
        assert Decimal(found["filled"]) == Decimal(desk.contracts("0.25"))
        assert found["status"] != "open"
        assert await desk.held() == {"long": Decimal("0.25")}

    async def test_an_id_of_our_own_has_its_alphabet(self, desk: Desk) -> None:
        for client_id in ("a" * 37, "with space"):
            with pytest.raises(ccxt.ExchangeError):
                await self.trade(desk, LONG, "1", client_id)
        assert desk.account.orders == []

    async def test_what_is_traded_by_hand_shows_like_anything_else(self, desk: Desk) -> None:
        await desk.account.trade_elsewhere(
            Wish("web1", ETH, OrderSide.SELL, SHORT, OrderType.MARKET, Decimal("1.5"))
        )
        assert await desk.held() == {"short": Decimal("1.5")}
        assert await self.lookup(desk, "web1") is not None
        assert desk.server.requests(self.place_name) == []

    # --- modes ----------------------------------------------------------------------------------

    async def test_the_position_mode_changes_when_flat_only(self, desk: Desk) -> None:
        await desk.client.set_position_mode(False, ETH)
        await desk.client.set_position_mode(True, ETH)
        await self.trade(desk, LONG, "1", "notflat1")
        with pytest.raises(ccxt.ExchangeError):
            await desk.client.set_position_mode(False, ETH)
        assert await desk.held() == {"long": Decimal(1)}

    async def test_leverage_beyond_the_limit_is_refused(self, desk: Desk) -> None:
        with pytest.raises(ccxt.ExchangeError):
            await desk.client.set_leverage(1000, ETH, self.leverage_params())

    @pytest.mark.skipif(not hasattr(PaperVenue, "add_margin"), reason="the paper venue adds no margin yet")
    async def test_margin_can_be_added_to_an_isolated_leg(self, desk: Desk) -> None:
        await self.open_isolated(desk, LONG, "1")
        before = await self.margin(desk)
        await self.add_margin(desk, LONG, "50.5")
        assert await self.margin(desk) == before + Decimal("50.5")
        with pytest.raises(ccxt.ExchangeError):
            await self.add_margin(desk, LONG, "1000000")

    # --- stops ----------------------------------------------------------------------------------

    async def test_a_stop_waits_and_closes_its_own_leg(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "hedged1")
        await self.trade(desk, SHORT, "1", "hedged2")
        await self.stop(desk, LONG, "1", "stoplong1", "1900")
        assert await self.open_stops(desk) == ["stoplong1"]

        await desk.server.market.price(ETH, "1899")

        assert await desk.held() == {"short": Decimal(1)}
        assert await self.open_stops(desk) == []

    # --- money ----------------------------------------------------------------------------------

    async def test_funding_bears_the_venues_own_sign(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "1", "funded1")
        await desk.server.market.pass_time(4 * 3600)
        (payment,) = await desk.client.fetch_funding_history(ETH)
        assert Decimal(payment["amount"]) == self.funding_paid_by_the_long(Decimal("0.2"))

    async def test_a_liquidation_leaves_its_mark(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "40", "doomed1")
        await desk.server.market.price(ETH, "1750")
        assert await desk.held() == {}
        assert await self.forced_causes(desk) == ["liquidation"]

    async def test_deleveraging_leaves_its_mark(self, desk: Desk) -> None:
        await self.trade(desk, LONG, "2", "winner1")
        await desk.account.deleverage(ETH, LONG, Decimal("0.5"))
        assert await desk.held() == {"long": Decimal("1.5")}
        assert await self.forced_causes(desk) == ["adl"]

    # --- the venue's own addresses --------------------------------------------------------------

    async def test_ccxt_arrives_with_its_own_addresses_too(self, tmp_path: Path) -> None:
        async with self.server_class(tls=tls_context(tmp_path)) as server, tls_session(server) as session:
            account = server.create_account()
            async with ccxt_client(server, account, session=session) as client:
                desk = Desk(server, account, client)
                await self.trade(desk, LONG, "1", "secure1")
                assert await desk.held() == {"long": Decimal(1)}
            assert not server.log[-1].headers["Host"].startswith("127.0.0.1")
