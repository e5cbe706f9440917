"""What the contract of a venue does not ask: how it looks on the wire, what the venues do by themselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.account import LegSetting
from chatbot.domain.hedge import HedgeId, LegRole
from chatbot.domain.instrument import MarginMode, PositionMode
from chatbot.domain.intent import Purpose, client_order_id
from chatbot.domain.order import FillCause, OrderStatus, OrderType, Unknown
from chatbot.errors import InvalidOrder, VenueUnavailable
from chatbot.venues.feeds import BTC, ETH
from tests.contract.venue_contract import EVER
from tests.wire.ccxt_rig import LONG, MAJORS, SHORT, Connected, loopback
from tests.wire.venues.faults import (
    Endpoint,
    Garbage,
    Refuse,
    Slow,
)
from tests.wire.venues.orders import Wish
from tests.wire.venues.server import Received

POSITIONS = {
    "binance": "GET /fapi/v3/positionRisk",
    "bybit": "GET /v5/position/list",
    "okx": "GET /api/v5/account/positions",
}
QUESTIONS = {"binance": 13, "bybit": 10, "okx": 18}
STAMPS = {"timestamp", "signature"}
# --- stops --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "type", "price", "moved"),
    [
        (LONG, OrderType.STOP_LOSS, "1900", "1890"),
        (LONG, OrderType.TAKE_PROFIT, "2100", "2110"),
        (LONG, OrderType.TRIGGER, "1900", "1890"),
        (LONG, OrderType.TRIGGER, "2100", "2110"),
        (SHORT, OrderType.STOP_LOSS, "2100", "2110"),
        (SHORT, OrderType.TAKE_PROFIT, "1900", "1890"),
        (SHORT, OrderType.TRIGGER, "2100", "2110"),
    ],
)
async def test_a_stop_closes_its_own_leg_and_keeps_its_id(
    desk: Connected, side: str, type: OrderType, price: str, moved: str
) -> None:
    await desk.open(LONG, id="long1")
    await desk.open(SHORT, id="short1")
    leg = LONG if side == LONG else SHORT
    resting = await desk.place(desk.order(leg, "1", opens=False, id="stop1", type=type, price=price))
    assert resting.status is OrderStatus.OPEN

    await desk.server.market.price(ETH, moved)

    told = await desk.venue.order(ETH, "stop1")
    assert told is not None
    assert told.status is OrderStatus.FILLED
    assert told.filled_quantity == 1
    assert told.fee > 0
    view = await desk.venue.view()
    assert [position.side for position in view.positions] == [leg.opposite]
    fills = [f for f in await desk.venue.fills(ETH, EVER) if f.client_order_id == "stop1"]
    assert sum(f.quantity for f in fills) == 1
    assert {f.position_side for f in fills} == {leg}


@pytest.mark.parametrize("price", ["1900", "2100"])
async def test_an_order_that_closes_at_a_price_is_told_as_one(desk: Connected, price: str) -> None:
    """The venue knows it as a stop-loss or a take-profit only."""
    await desk.open(LONG)
    name = client_order_id(HedgeId("h1"), LegRole.PRIMARY, Purpose.CLOSE_AT_PRICE, 2)
    await desk.place(desk.order(LONG, "1", opens=False, id=name, type=OrderType.TRIGGER, price=price))
    kind = OrderType.STOP_LOSS if price < "2000" else OrderType.TAKE_PROFIT
    await desk.place(desk.order(LONG, "1", opens=False, id="another1", type=kind, price=price))

    view = await desk.venue.view()

    types = {order.client_order_id: order.type for order in view.open_orders}
    assert types == {name: OrderType.TRIGGER, "another1": kind}


async def test_a_resting_stop_can_be_canceled(desk: Connected) -> None:
    await desk.open(LONG)
    stop = desk.order(LONG, "1", opens=False, id="stop1", type=OrderType.STOP_LOSS, price="1900")
    await desk.place(stop)

    canceled = await desk.venue.cancel(ETH, "stop1")

    assert canceled is not None
    assert canceled.status is OrderStatus.CANCELED
    assert (await desk.venue.view()).open_orders == ()


# --- what others do -----------------------------------------------------------------------------


async def test_a_liquidation_is_told_as_one(desk: Connected) -> None:
    await desk.venue.set_leg(ETH, LONG, LegSetting(Decimal(20), MarginMode.ISOLATED))
    await desk.open(LONG)

    await desk.server.market.price(ETH, "1850")

    last = (await desk.venue.fills(ETH, EVER))[-1]
    assert last.cause is FillCause.LIQUIDATION
    assert (last.position_side, last.client_order_id) == (LONG, None)
    assert not last.opens
    assert last.realized_pnl < 0


async def test_deleveraging_is_told_as_such(desk: Connected) -> None:
    await desk.open(SHORT)

    await desk.holder.deleverage(ETH, SHORT, Decimal("0.4"))

    last = (await desk.venue.fills(ETH, EVER))[-1]
    assert (last.cause, last.position_side, last.quantity) == (
        FillCause.AUTO_DELEVERAGING,
        SHORT,
        Decimal("0.4"),
    )


async def test_another_hand_has_no_id_of_ours(desk: Connected) -> None:
    await desk.open(LONG)
    await desk.holder.trade_elsewhere(Wish("", ETH, LONG.closing, LONG, OrderType.MARKET, Decimal("0.3")))

    mine, other = await desk.venue.fills(ETH, EVER)

    assert mine.client_order_id == "in1"
    assert other.client_order_id is None or not other.client_order_id.startswith("in")
    assert (other.cause, other.opens) == (FillCause.TRADE, False)


async def test_funding_is_told_leg_by_leg_with_our_sign(desk: Connected) -> None:
    await desk.open(LONG, "2", id="long1")
    await desk.open(SHORT, "1", id="short1")
    await desk.server.market.price(ETH, funding_rate=Decimal("0.0004"))

    await desk.server.market.pass_time(8 * 3600)

    payments = {p.side: p for p in await desk.venue.funding_payments(ETH, EVER)}
    assert payments[LONG].amount < 0 < payments[SHORT].amount
    assert {p.rate for p in payments.values()} == {Decimal("0.0004")}


# --- settings and readings ----------------------------------------------------------------------


async def test_what_is_so_already_is_not_asked_for(desk: Connected) -> None:
    setting = LegSetting(Decimal(7), MarginMode.CROSS)
    await desk.venue.set_leg(ETH, LONG, setting)
    written = [r for r in desk.server.log if r.method == "POST"]

    await desk.venue.set_leg(ETH, LONG, setting)
    await desk.venue.set_position_mode(PositionMode.HEDGE)

    assert [r for r in desk.server.log if r.method == "POST"] == written


@pytest.mark.parametrize("desk", ["bybit"], indirect=True)
async def test_a_margin_mode_of_the_whole_account_is_not_changed_under_open_legs(desk: Connected) -> None:
    await desk.open(LONG)

    with pytest.raises(InvalidOrder, match="one margin mode for the whole account"):
        await desk.venue.set_leg(BTC, SHORT, LegSetting(Decimal(5), MarginMode.ISOLATED))

    assert not desk.server.requests("POST /v5/account/set-margin-mode")


async def test_margin_is_added_to_an_isolated_leg(desk: Connected) -> None:
    await desk.venue.set_leg(ETH, LONG, LegSetting(Decimal(10), MarginMode.ISOLATED))
    await desk.open(LONG)
    before = (await desk.venue.view()).position(ETH, LONG)

    await desk.venue.add_margin(ETH, LONG, Decimal("12.5"))

    after = (await desk.venue.view()).position(ETH, LONG)
    assert before is not None
    assert after is not None
    assert after.margin is not None
    assert before.margin is not None
    assert after.margin - before.margin == Decimal("12.5")


async def test_no_margin_is_no_margin(desk: Connected) -> None:
    with pytest.raises(InvalidOrder):
        await desk.venue.add_margin(ETH, LONG, Decimal(0))


@pytest.mark.parametrize("venue_id", MAJORS)
async def test_prices_of_the_past_end_with_the_price_of_now(venue_id: str) -> None:
    async with loopback(venue_id, ago=timedelta(hours=1)) as server:
        desk = Connected(venue_id, server)
        await _three_prices(desk)
        await desk.close()


async def _three_prices(desk: Connected) -> None:
    begin = desk.server.market.now()
    for price in ("2010", "1990", "2025"):
        await desk.server.market.price(ETH, price)
        await desk.server.market.pass_time(1200)

    points = await desk.venue.price_history(ETH, begin, points=50)

    assert 2 <= len(points) <= 50
    assert [p.at for p in points] == sorted(p.at for p in points)
    assert points[-1].price == 2025


@pytest.mark.parametrize("desk", MAJORS, indirect=True)
async def test_a_view_asks_each_question_once_and_all_of_them_together(desk: Connected) -> None:
    await desk.open(LONG)
    await desk.venue.view([BTC])
    before = len(desk.server.log)
    gate = Slow()
    # Were anything to wait for the positions, it would not be asked while they are held back.
    desk.server.faults.on(POSITIONS[desk.venue.venue_id], gate)

    looking = asyncio.create_task(desk.venue.view([BTC]))
    for _ in range(50_000):
        if len(desk.server.log) - before < QUESTIONS[desk.venue.venue_id]:
            await asyncio.sleep(0)
    gate.gate.set()
    view = await looking

    asked = [
        (r.name, str({k: v for k, v in r.params.items() if k not in STAMPS}))
        for r in desk.server.log[before:]
    ]
    assert set(view.markets) == {BTC, ETH}
    assert len(asked) == len(set(asked)) == QUESTIONS[desk.venue.venue_id]


def _question(received: Received) -> str:
    return str({k: v for k, v in received.params.items() if k not in STAMPS})


@pytest.mark.parametrize("desk", MAJORS, indirect=True)
async def test_a_garbled_answer_is_an_error_and_no_empty_account(desk: Connected) -> None:
    await desk.open(LONG)
    orders = Endpoint.LOOKUP if desk.venue.venue_id == "bybit" else Endpoint.OPEN_ORDERS
    for endpoint in (Endpoint.POSITIONS, Endpoint.BALANCE, orders, Endpoint.PRICES):
        desk.server.faults.on(endpoint, Garbage("{}"))
        with pytest.raises(VenueUnavailable):
            await desk.venue.view()
    assert (await desk.venue.view()).positions != ()


async def test_a_refusal_that_nobody_listed_proves_nothing(desk: Connected) -> None:
    await desk.venue.instruments()
    desk.server.faults.on(
        Endpoint.PLACE, Refuse("-99999" if desk.venue.venue_id in ("binance", "unified") else "99999")
    )

    (outcome,) = await desk.venue.place([desk.order(LONG, "1")])

    assert isinstance(outcome, Unknown)
