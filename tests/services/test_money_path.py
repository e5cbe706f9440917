"""What bad weather taught: faults that come together, and what must hold all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import ZERO, PositionSide
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose
from chatbot.domain.operation import OperationStatus
from chatbot.domain.quote import CloseRequest, CloseWay, HedgeRequest, OpenRequest, Size, SizeUnit
from chatbot.errors import Busy
from chatbot.ports import Changes
from chatbot.services.hedging import Started
from chatbot.venues.paper.faults import LostReply, LostRequest, Partial, Refuse
from tests.services.world import BTC, CHAT, ETH, World, a_world

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ONE, HALF = Decimal(1), Decimal("0.5")
BUSY = Refuse("Server busy.", "-1008", "VenueRejected")


async def a_pair(world: World) -> None:
    await world.open()
    world.price(ETH, "2300")
    await world.hedge()


async def quantities(world: World) -> list[Decimal]:
    return [leg.quantity for leg in (await world.live()).legs]


async def resting(world: World) -> list[Decimal]:
    return [order.quantity for order in (await world.view()).open_orders]


async def orders_for(world: World, purpose: Purpose, number: int = 1) -> list[OrderIntent]:
    hedge = await world.hedge_number(number)
    intents = await world.bot.store.intents(hedge_id=hedge.id)
    return [intent for intent in intents if intent.purpose is purpose]


# --- orders lost together -----------------------------------------------------------------------


async def test_settling_one_lost_close_does_not_send_the_other_twice() -> None:
    """Both halves of a close at once are unknown: one never arrived, the other was carried out."""
    for faults in ((LostRequest(), LostReply()), (LostReply(), LostRequest())):
        async with a_world() as world:
            await a_pair(world)
            world.faults.on_orders(*faults)
            operation = await world.close(CloseWay.AT_ONCE, fraction="0.5")
            assert operation.status is OperationStatus.DONE
            assert await quantities(world) == [HALF, HALF]
            await world.require_ledger_equals_venue()


async def test_a_hedge_that_was_lost_is_sent_again_no_larger_than_what_is_left_to_hedge() -> None:
    async with a_world() as world:
        await world.open()
        quote = await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))
        world.faults.on_orders(LostRequest())
        await world.tap(quote)
        await world.clock.advance(1)
        await world.elsewhere(LONG, "0.6", opens=False)
        await world.settle()
        assert await quantities(world) == [Decimal("0.4"), Decimal("0.4")]


async def test_a_hedge_that_was_lost_is_not_sent_again_when_nothing_is_left_to_hedge() -> None:
    async with a_world() as world:
        await world.open()
        quote = await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))
        world.faults.on_orders(LostRequest())
        started = await world.tap(quote)
        await world.clock.advance(1)
        await world.elsewhere(LONG, "1", opens=False)
        await world.settle()
        assert isinstance(started, Started)
        operation = await world.bot.store.operation(started.operations[0].id)
        assert operation is not None
        assert operation.status is OperationStatus.FAILED
        assert not (await world.view()).positions


async def test_a_stop_that_fires_while_a_close_is_lost_is_told_from_the_close() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        world.faults.on_orders(LostRequest())
        await world.tap(quote, CloseWay.SINGLE)
        await world.clock.advance(1)
        world.price(ETH, "1790")
        await world.settle()
        (stop,) = await orders_for(world, Purpose.STOP_LOSS)
        (close,) = await orders_for(world, Purpose.CLOSE)
        assert (stop.status, close.status) == (IntentStatus.FILLED, IntentStatus.ABSENT)
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


# --- turns --------------------------------------------------------------------------------------


async def test_of_two_offers_tapped_at_once_one_is_carried_out() -> None:
    async with a_world() as world:
        await world.open()
        offers = [await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH)) for _ in range(2)]
        world.faults.delay = 1.0
        taps = asyncio.gather(*map(world.tap, offers), return_exceptions=True)
        while not taps.done():
            await world.clock.advance(0.25)
        await world.settle()
        assert sorted(type(answer).__name__ for answer in taps.result()) == [Busy.__name__, Started.__name__]
        assert await quantities(world) == [ONE, ONE]


async def test_closing_everything_gives_each_hedge_its_time() -> None:
    """The first takes longer than the deadline that both were given at the same moment."""
    async with a_world() as world:
        await world.open(BTC, quantity="0.01")
        await world.hedge(BTC)
        await world.open()
        quote = await world.bot.hedging.offer_close_all(world.user, CHAT)
        world.faults.on_orders(None, LostRequest(), LostRequest(), LostRequest())
        await world.carry_out(quote)
        assert not (await world.view()).positions


async def test_closing_everything_closes_what_is_frozen_too() -> None:
    async with a_world() as world:
        await a_pair(world)
        hedge = await world.live()
        wrong = replace(
            hedge.with_leg(replace(hedge.primary, quantity=Decimal("0.9"))), status=HedgeStatus.FROZEN
        )
        await world.bot.store.commit(Changes(hedges=(wrong,)))
        await world.carry_out(await world.bot.hedging.offer_close_all(world.user, CHAT))
        assert not (await world.view()).positions
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_a_side_is_opened_as_confirmed_although_the_other_side_was_held_a_moment_ago() -> None:
    """The old hedge is empty; another confirmation booked that, and nobody has looked since."""
    async with a_world() as world:
        await world.open()
        await world.elsewhere(LONG, "1", opens=False)
        await world.open(BTC, quantity="0.01")
        await world.open(side=SHORT)
        held = [(p.symbol, p.side) for p in (await world.view()).positions if p.symbol == ETH]
        assert held == [(ETH, SHORT)]


# --- stops --------------------------------------------------------------------------------------


async def test_a_stop_that_never_arrived_is_sent_again() -> None:
    async with a_world() as world:
        world.faults.on_orders(None, LostRequest())
        operation = await world.open(stop_loss="1800")
        assert await resting(world) == [ONE]
        assert operation.reason == ""


async def test_a_stop_that_cannot_be_set_is_told() -> None:
    async with a_world() as world:
        world.faults.on_orders(None, *[LostRequest()] * 3)
        operation = await world.open(stop_loss="1800")
        assert (operation.status, await resting(world)) == (OperationStatus.DONE, [])
        assert "stop-loss" in operation.reason


async def test_a_stop_that_the_look_up_does_not_find_is_found_among_the_open_orders() -> None:
    async with a_world() as world:
        await world.open(quantity="2")
        world.faults.hide_orders_for = 3600
        world.faults.on_orders(None, LostReply())
        request = HedgeRequest(ETH, ratio=HALF, stop_loss=Decimal(2900))
        await world.carry_out(await world.bot.hedging.offer_hedge(world.user, CHAT, request))
        assert await resting(world) == [ONE]
        (stop,) = await orders_for(world, Purpose.STOP_LOSS)
        assert stop.status is IntentStatus.OPEN


async def test_a_leg_keeps_its_larger_stop_until_the_smaller_one_rests() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH, HALF))
        world.faults.on_orders(None, LostRequest())
        await world.tap(quote, CloseWay.SINGLE)
        await world.clock.advance(5)
        assert await resting(world) == [ONE]
        await world.settle()
        assert await resting(world) == [HALF]


async def test_a_close_that_stays_half_done_leaves_no_stop_larger_than_the_leg() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        world.faults.on_orders(Partial(Decimal("0.4")), BUSY, BUSY)
        operation = await world.close(CloseWay.SINGLE)
        assert operation.reason == "only 0.4 of 1 was filled"
        assert await resting(world) == [Decimal("0.6")]


async def test_a_failed_hedge_of_a_leg_that_is_gone_leaves_no_stop() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        quote = await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))
        world.faults.on_orders(LostRequest())
        await world.tap(quote)
        await world.clock.advance(1)
        await world.elsewhere(LONG, "1", opens=False)
        await world.settle()
        await world.pass_time(5)
        assert await resting(world) == []
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_where_half_of_half_a_pair_fired_the_other_half_follows_once() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.AT_PRICE, at="2500", fraction="0.5")
        short = next(o for o in (await world.view()).open_orders if o.position_side is SHORT)
        await world.bot.venues.of(world.account).cancel(ETH, short.client_order_id)
        world.price(ETH, "2501")
        await world.pass_time(30)
        await world.settle()
        assert await quantities(world) == [HALF, HALF]
        await world.require_ledger_equals_venue()


# --- freezing -----------------------------------------------------------------------------------


async def test_a_history_that_does_not_fit_the_ledger_freezes_the_hedge() -> None:
    async with a_world() as world:
        await world.open()
        hedge = await world.live()
        wrong = hedge.with_leg(replace(hedge.primary, quantity=Decimal("0.9")))
        await world.bot.store.commit(Changes(hedges=(wrong,)))
        await world.elsewhere(LONG, "1", opens=False)
        for _ in range(2):
            await world.bot.bookkeeper.bring_up_to_date(world.account)
            await world.clock.advance(11)
        assert (await world.live()).status is HedgeStatus.FROZEN


async def test_adopting_ends_the_orders_whose_effect_is_taken_over() -> None:
    """A stop fired while the hedge was frozen: its fill is in the position and is not booked again."""
    async with a_world() as world:
        await world.open(quantity="2", stop_loss="1800")
        hedge = await world.live()
        wrong = replace(hedge.with_leg(replace(hedge.primary, quantity=ONE)), status=HedgeStatus.FROZEN)
        await world.bot.store.commit(Changes(hedges=(wrong,)))
        world.price(ETH, "1790")
        await world.view()
        await world.bot.hedging.adopt(world.user, 1)
        (stop,) = await orders_for(world, Purpose.STOP_LOSS)
        assert stop.status is IntentStatus.FILLED
        adopted = await world.hedge_number(1)
        assert (adopted.status, adopted.primary.quantity) == (HedgeStatus.CLOSED, ZERO)


async def test_a_frozen_hedge_thaws_when_the_history_tells_what_the_order_did() -> None:
    """The opening was carried out unseen and another hand closed it: the legs agree all along."""
    async with a_world() as world:
        world.faults.hide_orders_for, world.faults.hide_fills = 60, True
        world.faults.on_orders(LostReply())
        request = OpenRequest(ETH, LONG, Size(SizeUnit.BASE, ONE), Decimal(10))
        await world.tap(await world.bot.hedging.offer_open(world.user, CHAT, request))
        await world.clock.advance(1)
        await world.elsewhere(LONG, "1", opens=False)
        await world.settle()
        await world.pass_time(5)
        assert (await world.hedge_number(1)).status is HedgeStatus.FROZEN
        await world.pass_time(60)
        (order,) = await orders_for(world, Purpose.OPEN)
        assert (order.status, order.filled_quantity) == (IntentStatus.FILLED, ONE)
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED
