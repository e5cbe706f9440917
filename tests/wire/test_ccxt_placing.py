"""Orders on their way to loopback exchanges: together, in time, once, and what each answer proves."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.order import Accepted, OrderStatus, Rejected, Unknown
from chatbot.errors import RateLimited, VenueUnavailable
from chatbot.venues.feeds import ETH
from tests.wire.ccxt_rig import LONG, SHORT, Connected, loopback
from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    PartialFill,
    RequestFault,
    TooMany,
)

BATCHES = {
    "binance": "POST /fapi/v1/batchOrders",
    "unified": "POST /fapi/v1/batchOrders",
    "bybit": "POST /v5/order/create-batch",
    "okx": "POST /api/v5/trade/batch-orders",
}


# --- orders -------------------------------------------------------------------------------------


async def test_both_legs_travel_in_one_request(desk: Connected) -> None:
    outcomes = await desk.venue.place([desk.order(LONG, "1", id="a1"), desk.order(SHORT, "1", id="b1")])

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    (sent,) = desk.server.requests(BATCHES[desk.venue.venue_id])
    assert {"a1", "b1"} <= set(re.findall(r"\w+", str(sent.params)))


async def test_the_refused_one_of_two_is_found_though_it_carries_no_id(desk: Connected) -> None:
    long, short = await desk.venue.place(
        [desk.order(LONG, "1000", id="big1"), desk.order(SHORT, "1", id="small1")]
    )

    assert isinstance(long, Rejected)
    assert long.kind == "InsufficientMargin"
    assert isinstance(short, Accepted)
    assert short.report.filled_quantity == 1


async def test_two_refused_ones_are_both_refused(desk: Connected) -> None:
    outcomes = await desk.venue.place(
        [desk.order(LONG, "1000", id="big1"), desk.order(SHORT, "1000", id="big2")]
    )

    assert [o.kind for o in outcomes if isinstance(o, Rejected)] == ["InsufficientMargin"] * 2


async def test_nothing_is_sent_after_its_time(desk: Connected) -> None:
    await desk.venue.instruments()
    before = len(desk.server.log)

    (outcome,) = await desk.venue.place([desk.order(LONG, "1", valid_for=-1)])

    assert isinstance(outcome, Rejected)
    assert len(desk.server.log) == before


async def test_the_venue_is_told_until_when_an_order_is_wanted(desk: Connected) -> None:
    await desk.place(desk.order(LONG, "1", valid_for=3))

    sent = next(r for r in desk.server.log if r.method == "POST")
    window = sent.params.get("recvWindow") or sent.headers.get("X-BAPI-RECV-WINDOW")
    if window is None:
        window = int(sent.headers["expTime"]) - desk.clock.now().timestamp() * 1000
    assert 1000 < float(window) <= 3000


async def test_a_request_that_comes_late_is_refused_by_the_venue(desk: Connected) -> None:
    await desk.venue.instruments()
    desk.server.skew = timedelta(seconds=60)

    (outcome,) = await desk.venue.place([desk.order(LONG, "1", valid_for=3)])

    assert not isinstance(outcome, Accepted)
    assert (await desk.holder.held(ETH)).get(LONG, Decimal(0)) == 0


@pytest.mark.parametrize(
    "fault", [LostReply(), CutBody(), Garbage(), Garbage(""), Down(502, acted=True), Down(504, acted=True)]
)
async def test_whatever_proves_nothing_is_unknown_and_sent_once(desk: Connected, fault: RequestFault) -> None:
    await desk.venue.instruments()
    desk.server.faults.on(Endpoint.PLACE, fault)

    (outcome,) = await desk.venue.place([desk.order(LONG, "1", id="once1")])

    assert isinstance(outcome, Unknown)
    assert (await desk.holder.held(ETH))[LONG] == 1
    found = await desk.venue.order(ETH, "once1")
    assert found is not None
    assert found.filled_quantity == 1


@pytest.mark.parametrize("banned", [False, True])
async def test_too_many_requests_pause_the_reads_and_repeat_no_order(desk: Connected, banned: bool) -> None:
    await desk.venue.instruments()
    desk.server.faults.on(Endpoint.PLACE, TooMany(banned=banned))

    await desk.venue.place([desk.order(LONG, "1")])

    with pytest.raises(RateLimited) as caught:
        await desk.venue.view()
    assert caught.value.retry_after > 1
    assert (await desk.holder.held(ETH)).get(LONG, Decimal(0)) == 0


async def test_nobody_at_the_address_means_surely_not_sent(desk: Connected) -> None:
    await desk.venue.view()
    venue_id = desk.account.venue
    async with loopback(venue_id) as gone:
        other = Connected(venue_id, gone)
        await other.venue.view()

    (outcome,) = await other.venue.place([other.order(LONG, "1")])

    assert isinstance(outcome, Rejected)
    assert outcome.kind == "VenueUnavailable"
    with pytest.raises(VenueUnavailable):
        await other.venue.view()
    await other.close()


async def test_a_failed_look_after_an_accepted_order_leaves_it_accepted(desk: Connected) -> None:
    await desk.venue.instruments()
    looks = {"bybit": 1, "unified": 1}.get(desk.venue.venue_id, 2)
    desk.server.faults.on(Endpoint.LOOKUP, *[Down(503)] * looks)

    report = await desk.place(desk.order(LONG, "1", id="blind1"))

    assert report.status is OrderStatus.OPEN
    assert report.filled_quantity == 0
    told = await desk.venue.order(ETH, "blind1")
    assert told is not None
    assert told.status is OrderStatus.FILLED


async def test_an_order_that_is_not_visible_yet_is_accepted_and_told_later(desk: Connected) -> None:
    await desk.venue.instruments()
    desk.server.faults.hide_new_orders(reads=4)

    report = await desk.place(desk.order(LONG, "1", id="hidden1"))

    assert (report.status, report.client_order_id) == (OrderStatus.OPEN, "hidden1")
    told = None
    for _ in range(6):
        told = told or await desk.venue.order(ETH, "hidden1")
    assert told is not None
    assert told.status is OrderStatus.FILLED


async def test_what_a_market_order_could_not_fill_is_told(desk: Connected) -> None:
    await desk.venue.instruments()
    desk.server.faults.on_orders(PartialFill(Decimal("0.4")))

    report = await desk.place(desk.order(LONG, "1", id="partly1"))

    assert report.filled_quantity == Decimal("0.4")
    assert report.status.final
    assert report.status is not OrderStatus.FILLED
