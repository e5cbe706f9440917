"""Inverse perpetuals on OKX: contracts of 100 dollars that are backed by, and pay in, bitcoin."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import ContractKind, MarginMode
from chatbot.domain.order import FillCause, OrderStatus, OrderType, Rejected
from chatbot.domain.pnl import fee, unrealized_pnl
from chatbot.venues.feeds import BTC, BTC_INVERSE
from tests.contract.venue_contract import EVER
from tests.wire.ccxt_rig import LONG, SHORT, Connected, loopback
from tests.wire.venues.faults import Endpoint, Garbage

COIN = BTC_INVERSE
EXACT = Decimal("1e-8")  # as exactly as the wire tells it
ISOLATED = LegSetting(Decimal(10), MarginMode.ISOLATED)


@pytest.fixture
async def desk() -> AsyncIterator[Connected]:
    async with loopback("okx") as server:
        connected = Connected("okx", server)
        yield connected
        await connected.close()
        assert server.unknown == []


def sent(desk: Connected, path: str) -> list[dict[str, Any]]:
    """The orders of the requests to this path."""
    requests = [r.params for r in desk.server.requests(f"POST /api/v5/trade/{path}")]
    return [dict(row) for params in requests for row in params.get("batch", [params])]


def balance_row(currency: str, held: str) -> dict[str, str]:
    money = dict.fromkeys(("cashBal", "eq", "availEq"), held)
    return {"ccy": currency, **money, "mmr": "", "mgnRatio": ""}


# --- what is listed -----------------------------------------------------------------------------


async def test_quantities_are_dollars_and_a_lot_is_a_contract(desk: Connected) -> None:
    listed = (await desk.venue.instruments())[COIN]

    assert (listed.kind, listed.settle, listed.quote) == (ContractKind.INVERSE, "BTC", "USD")
    assert listed.contract_size == listed.lot_size == listed.min_quantity == 100
    assert listed.max_quantity == 5_000_000
    assert (await desk.venue.instruments())[BTC].kind is ContractKind.LINEAR


async def test_tiers_are_in_coin_at_the_price_of_the_listing(desk: Connected) -> None:
    """The exchange tells them in contracts: 3,200 of them are five bitcoin at 64,000."""
    first, *_, last = (await desk.venue.instruments())[COIN].tiers

    assert first.notional_cap == 5
    assert (first.maintenance_margin_rate, first.max_leverage) == (Decimal("0.004"), Decimal(125))
    assert last.notional_cap is None


async def test_fee_rates_are_those_of_what_settles_in_coin(desk: Connected) -> None:
    rates = {"taker": "-0.0004", "maker": "-0.0001", "takerU": "-0.0006", "makerU": "-0.0003"}
    desk.server.faults.on(Endpoint.FEES, Garbage(json.dumps({"code": "0", "msg": "", "data": [rates]})))

    listed = await desk.venue.instruments()

    assert (listed[COIN].taker_fee_rate, listed[COIN].maker_fee_rate) == (
        Decimal("0.0004"),
        Decimal("0.0001"),
    )
    assert (listed[BTC].taker_fee_rate, listed[BTC].maker_fee_rate) == (Decimal("0.0006"), Decimal("0.0003"))


async def test_the_market_and_its_book_are_in_dollars(desk: Connected) -> None:
    await desk.server.market.price(COIN, "65000", funding_rate=Decimal("0.0002"))

    view = await desk.venue.view([COIN])

    market, book = view.markets[COIN], view.books[COIN]
    assert market.mark_price == market.index_price == 65_000
    assert market.funding_rate == Decimal("0.0002")
    behind = await desk.server.market.book(COIN)
    assert (book.bids, book.asks) == (behind.bids, behind.asks)
    assert all(level.quantity % 100 == 0 for level in (*book.bids, *book.asks))


# --- what is sent -------------------------------------------------------------------------------


async def test_orders_name_contracts_and_the_leg(desk: Connected) -> None:
    await desk.place(desk.order(LONG, "2000", symbol=COIN, id="long1"))
    await desk.place(desk.order(SHORT, "500", symbol=COIN, id="short1"))
    await desk.place(desk.order(LONG, "300", opens=False, symbol=COIN, id="out1"))

    told = [
        (row["instId"], row["side"], row["posSide"], row["sz"], row["tdMode"])
        for row in sent(desk, "batch-orders")
    ]
    assert told == [
        ("BTC-USD-SWAP", "buy", "long", "20", "cross"),
        ("BTC-USD-SWAP", "sell", "short", "5", "cross"),
        ("BTC-USD-SWAP", "sell", "long", "3", "cross"),
    ]
    held = {p.side: p.quantity for p in (await desk.venue.view()).positions}
    assert held == {LONG: 1_700, SHORT: 500}


async def test_a_part_of_a_contract_is_refused_before_it_is_sent(desk: Connected) -> None:
    (outcome,) = await desk.venue.place([desk.order(LONG, "150", symbol=COIN)])

    assert isinstance(outcome, Rejected)
    assert "multiple of 100" in outcome.reason
    assert sent(desk, "batch-orders") == []


async def test_a_stop_closes_its_leg_and_tells_what_it_paid_in_coin(desk: Connected) -> None:
    await desk.place(desk.order(LONG, "2000", symbol=COIN, id="long1"))
    await desk.place(desk.order(SHORT, "2000", symbol=COIN, id="short1"))
    stop = desk.order(
        LONG, "2000", opens=False, symbol=COIN, id="stop1", type=OrderType.STOP_LOSS, price="63000"
    )
    assert (await desk.place(stop)).status is OrderStatus.OPEN
    assert [(row["posSide"], row["sz"]) for row in sent(desk, "order-algo")] == [("long", "20")]

    await desk.server.market.price(COIN, "62000")

    told = await desk.venue.order(COIN, "stop1")
    assert told is not None
    assert (told.status, told.filled_quantity) == (OrderStatus.FILLED, Decimal(2_000))
    assert told.average_price is not None
    listed = (await desk.venue.instruments())[COIN]
    assert abs(told.fee - fee(listed, told.filled_quantity, told.average_price)) < EXACT
    assert [p.side for p in (await desk.venue.view()).positions] == [SHORT]


# --- money --------------------------------------------------------------------------------------


async def test_profit_and_fees_are_coin_and_the_dollars_stay(desk: Connected) -> None:
    before = (await desk.venue.view()).balance_in("BTC")
    bought = await desk.place(desk.order(LONG, "2000", symbol=COIN, id="in1"))
    await desk.server.market.price(COIN, "80000")
    sold = await desk.place(desk.order(LONG, "2000", opens=False, symbol=COIN, id="out1"))

    listed, view = (await desk.venue.instruments())[COIN], await desk.venue.view()
    out = [f for f in await desk.venue.fills(COIN, EVER) if f.client_order_id == "out1"]
    assert bought.average_price is not None and sold.average_price is not None
    gain = unrealized_pnl(listed, LONG, Decimal(2_000), bought.average_price, sold.average_price)
    after = view.balance_in("BTC")
    assert before is not None and after is not None
    assert Decimal("0.006") < gain < Decimal("0.0063")
    assert abs(sum(f.realized_pnl for f in out) - gain) < EXACT
    assert abs(after.wallet - (before.wallet + gain - bought.fee - sold.fee)) < EXACT
    assert view.balance.currency == "USDT"
    assert view.balance.wallet == 10_000


async def test_only_the_coin_backs_what_settles_in_it(desk: Connected) -> None:
    await desk.place(desk.order(LONG, "20000", symbol=COIN))

    view = await desk.venue.view()

    coin = view.balance_in("BTC")
    assert coin is not None
    assert Decimal("0.06") < coin.free < Decimal("0.07")  # a tenth of 20,000 dollars is bound
    assert coin.margin_ratio is not None
    assert abs(coin.margin_ratio - coin.maintenance_margin / coin.equity) < Decimal("1e-4")
    assert (view.balance.free, view.balance.margin_ratio) == (Decimal(10_000), None)


async def test_a_coin_that_nobody_holds_is_not_shown(desk: Connected) -> None:
    rows = [balance_row("USDT", "500"), balance_row("BTC", "0")]
    body = {"code": "0", "msg": "", "data": [{"details": rows}]}
    desk.server.faults.on(Endpoint.BALANCE, Garbage(json.dumps(body)))

    assert (await desk.venue.view()).balance_in("BTC") is None


async def test_where_all_coins_back_each_other_the_one_ratio_is_the_dollars(desk: Connected) -> None:
    """Multi-currency margin: the exchange tells margin and ratio of the whole account only."""
    rows = [balance_row("USDT", "500"), balance_row("BTC", "0.1")]
    body = {"code": "0", "msg": "", "data": [{"mgnRatio": "8", "details": rows}]}
    desk.server.faults.on(Endpoint.BALANCE, Garbage(json.dumps(body)))

    view = await desk.venue.view()

    coin = view.balance_in("BTC")
    assert view.balance.margin_ratio == Decimal("0.125")
    assert coin is not None
    assert (coin.free, coin.margin_ratio) == (Decimal("0.1"), None)


async def test_funding_is_paid_in_coin_leg_by_leg(desk: Connected) -> None:
    await desk.place(desk.order(LONG, "4000", symbol=COIN, id="long1"))
    await desk.place(desk.order(SHORT, "2000", symbol=COIN, id="short1"))
    await desk.server.market.price(COIN, funding_rate=Decimal("0.0004"))

    await desk.server.market.pass_time(8 * 3600)

    payments = {p.side: p for p in await desk.venue.funding_payments(COIN, EVER)}
    assert {p.rate for p in payments.values()} == {Decimal("0.0004")}
    assert abs(payments[LONG].amount + Decimal(4_000) / 64_000 * Decimal("0.0004")) < EXACT
    assert abs(payments[SHORT].amount - Decimal(2_000) / 64_000 * Decimal("0.0004")) < EXACT


async def test_isolated_margin_is_coin(desk: Connected) -> None:
    await desk.venue.set_leg(COIN, SHORT, ISOLATED)
    await desk.place(desk.order(SHORT, "2000", symbol=COIN))
    before = (await desk.venue.view()).position(COIN, SHORT)

    await desk.venue.add_margin(COIN, SHORT, Decimal("0.0015"))

    after = (await desk.venue.view()).position(COIN, SHORT)
    assert before is not None and before.margin is not None
    assert after is not None and after.margin is not None
    assert Decimal("0.003") < before.margin < Decimal("0.0033")
    assert abs(after.margin - before.margin - Decimal("0.0015")) < EXACT
    (asked,) = desk.server.requests("POST /api/v5/account/position/margin-balance")
    assert (asked.params["instId"], asked.params["posSide"], asked.params["amt"]) == (
        "BTC-USD-SWAP",
        "short",
        "0.0015",
    )


# --- what the exchange does by itself -----------------------------------------------------------


async def test_a_liquidation_is_told_in_dollars_and_coin(desk: Connected) -> None:
    await desk.venue.set_leg(COIN, LONG, LegSetting(Decimal(20), MarginMode.ISOLATED))
    await desk.place(desk.order(LONG, "2000", symbol=COIN))
    leg = (await desk.venue.view()).position(COIN, LONG)
    assert leg is not None and leg.liquidation_price is not None
    assert 61_000 < leg.liquidation_price < 62_000

    await desk.server.market.price(COIN, leg.liquidation_price - 100)

    last = (await desk.venue.fills(COIN, EVER))[-1]
    assert (last.cause, last.position_side, last.quantity) == (FillCause.LIQUIDATION, LONG, Decimal(2_000))
    assert Decimal("-0.0025") < last.realized_pnl < 0


async def test_deleveraging_is_told_in_dollars(desk: Connected) -> None:
    await desk.place(desk.order(SHORT, "2000", symbol=COIN))

    await desk.holder.deleverage(COIN, SHORT, Decimal(700))

    last = (await desk.venue.fills(COIN, EVER))[-1]
    assert (last.cause, last.position_side) == (FillCause.AUTO_DELEVERAGING, SHORT)
    assert last.quantity == 700
