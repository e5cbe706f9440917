from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import PositionMode
from chatbot.domain.order import Accepted, OrderStatus, OrderType, Rejected, Unknown
from chatbot.errors import InvalidOrder, OutcomeUnknown, VenueRejected, VenueUnavailable
from chatbot.venues.feeds import ETH
from chatbot.venues.paper import FaultPlan, Late, LostReply, LostRequest, Partial, Refuse, Unavailable
from tests.venues.paper_trader import EVER, ISOLATED, LONG, SHORT, Trader


@pytest.fixture
def trader() -> Iterator[Trader]:
    trader = Trader()
    yield trader
    trader.exchange.close()


async def test_each_order_of_a_batch_has_its_own_fate(trader: Trader) -> None:
    trader.faults.on_orders(LostRequest(), None)

    lost, done = await trader.send(trader.request(LONG, "1"), trader.request(SHORT, "1"))

    assert isinstance(lost, Unknown)
    assert isinstance(done, Accepted)
    assert [p.side for p in (await trader.venue.view()).positions] == [SHORT]
    assert trader.faults.spent


async def test_a_late_request_is_unknown_now_and_done_later(trader: Trader) -> None:
    trader.faults.on_orders(Late(5))
    request = trader.request(LONG, "1", valid_for=10)

    (outcome,) = await trader.send(request)

    assert isinstance(outcome, Unknown)
    await trader.clock.advance(4.9)
    assert await trader.venue.order(ETH, request.client_order_id) is None
    await trader.clock.advance(0.2)
    assert (await trader.order(request.client_order_id)).status is OrderStatus.FILLED


async def test_a_late_request_is_carried_out_at_its_own_moment(trader: Trader) -> None:
    trader.faults.on_orders(Late(5))
    await trader.send(trader.request(LONG, "1"))
    await trader.clock.advance(3600)

    (fill,) = await trader.fills()

    assert (fill.at - trader.exchange.market_now()).total_seconds() == -3595


async def test_a_late_request_past_its_validity_never_happens(trader: Trader) -> None:
    trader.faults.on_orders(Late(11))
    request = trader.request(LONG, "1", valid_for=10)
    await trader.send(request)
    await trader.clock.advance(60)

    assert await trader.venue.order(ETH, request.client_order_id) is None
    assert (await trader.venue.view()).positions == ()


async def test_a_partial_fill_cancels_the_rest(trader: Trader) -> None:
    trader.faults.on_orders(Partial(Decimal("0.6")))

    report = await trader.open(LONG, "1")

    assert (report.status, report.filled_quantity) == (OrderStatus.CANCELED, Decimal("0.6"))
    position = await trader.position(LONG)
    assert position is not None
    assert position.quantity == Decimal("0.6")


async def test_a_scripted_refusal_is_told_as_it_was_written(trader: Trader) -> None:
    trader.faults.on_orders(Refuse("Too many requests.", "-1003", "InvalidOrder"))
    assert await trader.refused(trader.request(LONG, "1")) == Rejected(
        "Too many requests.", "-1003", "InvalidOrder"
    )


async def test_an_unavailable_read_may_be_tried_again(trader: Trader) -> None:
    trader.faults.on_reads(Unavailable(), Unavailable())
    with pytest.raises(VenueUnavailable):
        await trader.venue.view()
    with pytest.raises(VenueUnavailable):
        await trader.venue.order(ETH, "any")
    await trader.venue.view()


async def test_a_fresh_order_may_be_hidden_for_a_while(trader: Trader) -> None:
    trader.faults.hide_orders_for = 30
    request = trader.request(LONG, "1")
    await trader.done(request)

    assert await trader.venue.order(ETH, request.client_order_id) is None
    assert len((await trader.venue.view()).positions) == 1
    await trader.clock.advance(30)
    assert await trader.venue.order(ETH, request.client_order_id) is not None


async def test_other_writes_fail_in_their_own_ways(trader: Trader) -> None:
    setting = LegSetting(Decimal(5), ISOLATED)
    trader.faults.on_writes(
        Unavailable(), LostRequest(), Refuse("No.", "-1", "InvalidOrder"), Refuse("No."), LostReply()
    )
    with pytest.raises(VenueUnavailable):
        await trader.venue.set_leg(ETH, LONG, setting)
    with pytest.raises(OutcomeUnknown):
        await trader.venue.set_leg(ETH, LONG, setting)
    with pytest.raises(InvalidOrder):
        await trader.venue.set_leg(ETH, LONG, setting)
    with pytest.raises(VenueRejected):
        await trader.venue.set_position_mode(PositionMode.ONE_WAY)
    assert (await trader.venue.view()).leg_settings[ETH, LONG] != setting
    with pytest.raises(OutcomeUnknown):
        await trader.venue.set_leg(ETH, LONG, setting)
    assert (await trader.venue.view()).leg_settings[ETH, LONG] == setting


async def test_a_cancel_whose_reply_is_lost_was_done(trader: Trader) -> None:
    order = trader.request(LONG, "1", type=OrderType.LIMIT, limit="1500")
    await trader.done(order)
    trader.faults.on_writes(LostReply())
    with pytest.raises(OutcomeUnknown):
        await trader.venue.cancel(ETH, order.client_order_id)
    assert (await trader.order(order.client_order_id)).status is OrderStatus.CANCELED


async def test_a_round_trip_takes_its_time_and_executes_half_way(trader: Trader) -> None:
    slow = trader.exchange.venue(trader.account, FaultPlan(delay=0.2))
    sending = asyncio.create_task(slow.place([trader.request(LONG, "1"), trader.request(SHORT, "1")]))
    await asyncio.sleep(0)

    await trader.clock.advance(0.099)
    assert await trader.fills() == ()
    await trader.clock.advance(0.002)
    assert len(await trader.fills()) == 2
    assert not sending.done()
    await trader.clock.advance(0.1)
    assert all(isinstance(outcome, Accepted) for outcome in await sending)


async def test_a_canceled_caller_does_not_undo_what_arrived(trader: Trader) -> None:
    slow = trader.exchange.venue(trader.account, FaultPlan(delay=0.2))
    sending = asyncio.create_task(slow.place([trader.request(LONG, "1")]))
    await asyncio.sleep(0)
    await trader.clock.advance(0.15)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(await trader.venue.fills(ETH, EVER)) == 1
