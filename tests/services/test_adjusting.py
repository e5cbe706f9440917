"""Adjusting legs, moving stops and adding margin, with everything on the way that can go wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.account import Position
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.intent import OperationId, Purpose
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.quote import (
    AdjustRequest,
    AdjustWay,
    CloseWay,
    LegName,
    MarginRequest,
    Size,
    SizeUnit,
    StopsRequest,
)
from chatbot.errors import LimitExceeded, NotFound
from chatbot.services.hedging import Requoted
from chatbot.services.topping_up import NOT_TOLD
from chatbot.venues.paper.faults import Late, LostReply, LostRequest, Partial, Refuse, Unavailable
from tests.services.world import BEGIN, CHAT, ETH, World, a_world, prices

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET
D = Decimal
NO_MARGIN = Refuse("Margin is insufficient.", "-2019", "InsufficientMargin")
BUSY = Refuse("Server busy.", "-1008", "VenueRejected")
HALF = Size(SizeUnit.SHARE, D("0.5"))


async def a_pair(world: World, *, isolated: bool = False) -> None:
    await world.open(margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS)
    world.price(ETH, "2300")
    await world.hedge()


async def adjusted(
    world: World,
    *legs: LegName,
    size: Size | None = HALF,
    grow: bool = True,
    way: AdjustWay = AdjustWay.SCALE,
) -> Operation:
    request = AdjustRequest(ETH, legs, size, grow)
    return await world.carry_out(await world.bot.hedging.offer_adjust(world.user, CHAT, request), way)


async def stopped(
    world: World, sl: str | None = None, tp: str | None = None, remove: tuple[Purpose, ...] = ()
) -> Operation:
    request = StopsRequest(ETH, LONG, None if sl is None else D(sl), None if tp is None else D(tp), remove)
    return await world.carry_out(await world.bot.hedging.offer_stops(world.user, CHAT, request))


async def topped_up(world: World, amount: str = "50", leg: LegName = SHORT) -> Operation:
    quote = await world.bot.hedging.offer_margin(world.user, CHAT, MarginRequest(ETH, leg, D(amount)))
    return await world.carry_out(quote)


async def quantities(world: World) -> list[Decimal]:
    return [leg.quantity for leg in (await world.live()).legs]


async def resting(world: World) -> list[tuple[Decimal | None, Decimal]]:
    return [(order.trigger_price, order.quantity) for order in (await world.view()).open_orders]


async def position(world: World, side: PositionSide = SHORT) -> Position:
    found = (await world.view()).position(ETH, side)
    assert found is not None
    return found


# --- legs ---------------------------------------------------------------------------------------


async def test_both_legs_grow_in_one_request_and_ledger_equals_venue() -> None:
    async with a_world() as world:
        await a_pair(world)
        operation = await adjusted(world)
        assert operation.status is OperationStatus.DONE
        assert await quantities(world) == [D("1.5"), D("1.5")]
        await world.require_ledger_equals_venue()


async def test_both_legs_shrink_and_what_they_realized_is_booked() -> None:
    async with a_world() as world:
        await a_pair(world)
        await adjusted(world, grow=False)
        hedge = await world.live()
        assert [leg.quantity for leg in hedge.legs] == [D("0.5"), D("0.5")]
        assert sum(leg.realized_pnl for leg in hedge.legs) == pytest.approx(D("149.8"), abs=D("0.2"))
        await world.require_ledger_equals_venue()


@pytest.mark.parametrize("faults", [(NO_MARGIN, None), (None, NO_MARGIN)])
async def test_a_leg_that_grew_alone_is_cut_back_and_told(faults: tuple[Refuse | None, ...]) -> None:
    async with a_world() as world:
        await a_pair(world)
        world.faults.on_orders(*faults)
        operation = await adjusted(world)
        assert await quantities(world) == [D(1), D(1)]
        assert operation.status is OperationStatus.DONE
        assert (operation.trim_quantity, operation.trim_filled) == (D("0.5"), D("0.5"))
        await world.require_ledger_equals_venue()


async def test_a_leg_that_fills_in_parts_is_filled_by_the_next_orders() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.faults.on_orders(Partial(D("0.4")), Partial(D("0.2")))
        await adjusted(world)
        assert await quantities(world) == [D("1.5"), D("1.5")]


@pytest.mark.parametrize(
    "faults",
    [(LostReply(), None), (LostRequest(), LostReply()), (Late(3.0), LostRequest()), (Late(60.0), None)],
)
@pytest.mark.parametrize("grow", [True, False])
async def test_an_order_without_an_answer_is_looked_up_and_never_doubled(
    faults: tuple[LostReply | LostRequest | Late | None, ...], grow: bool
) -> None:
    async with a_world() as world:
        await a_pair(world)
        world.faults.on_orders(*faults)
        await adjusted(world, grow=grow)
        assert await quantities(world) == [D("1.5") if grow else D("0.5")] * 2
        await world.require_ledger_equals_venue()


async def test_one_leg_alone_changes_when_that_is_what_was_asked() -> None:
    async with a_world() as world:
        await a_pair(world)
        await adjusted(world, OFFSET, grow=False)
        assert await quantities(world) == [D(1), D("0.5")]
        await adjusted(world, size=None, way=AdjustWay.ADD)
        assert await quantities(world) == [D(1), D(1)]
        await adjusted(world, LONG)
        await adjusted(world, size=None, way=AdjustWay.TRIM)
        assert await quantities(world) == [D(1), D(1)]
        await world.require_ledger_equals_venue()


async def test_an_imbalance_that_was_asked_for_is_no_alert() -> None:
    async with a_world() as world:
        await a_pair(world)
        await adjusted(world, OFFSET, grow=False)
        await world.pass_time(30)
        kinds = {episode.kind for episode in await world.bot.store.active_episodes(world.user.id)}
        assert "imbalance" not in kinds and "shrunk" not in kinds


async def test_a_position_found_on_the_exchange_can_be_adjusted() -> None:
    async with a_world() as world:
        await world.elsewhere(LONG, "1", opens=True)
        operation = await adjusted(world, grow=False)
        assert operation.status is OperationStatus.DONE
        hedge = await world.live()
        assert (hedge.primary.quantity, hedge.primary.adopted) == (D("0.5"), True)
        await world.require_ledger_equals_venue()


async def test_a_price_that_moved_sends_nothing_and_offers_afresh() -> None:
    async with a_world() as world:
        await a_pair(world)
        quote = await world.bot.hedging.offer_adjust(world.user, CHAT, AdjustRequest(ETH, (), HALF))
        world.price(ETH, "2400")
        answer = await world.tap(quote, AdjustWay.SCALE)
        assert isinstance(answer, Requoted)
        assert await quantities(world) == [D(1), D(1)]


async def test_a_way_that_was_not_offered_cannot_be_tapped() -> None:
    async with a_world() as world:
        await a_pair(world)
        quote = await world.bot.hedging.offer_adjust(world.user, CHAT, AdjustRequest(ETH, (), HALF))
        for forged in ("trim", "add", "confirm", "offset_first"):
            with pytest.raises(NotFound):
                await world.tap(quote, forged)
        assert await quantities(world) == [D(1), D(1)]


async def test_while_paused_legs_shrink_and_do_not_grow() -> None:
    async with a_world() as world:
        await a_pair(world)
        preferences = world.user.preferences
        world.user = await world.bot.people.choose(world.user, replace(preferences, paused=True))
        with pytest.raises(LimitExceeded, match="paused"):
            await adjusted(world)
        await adjusted(world, grow=False)
        assert await quantities(world) == [D("0.5"), D("0.5")]


# --- stops --------------------------------------------------------------------------------------


async def test_a_stop_is_set_moved_and_removed() -> None:
    async with a_world() as world:
        await a_pair(world)
        await stopped(world, sl="2100")
        assert await resting(world) == [(D(2100), D(1))]
        await stopped(world, sl="2150", tp="2600")
        assert sorted(await resting(world)) == [(D(2150), D(1)), (D(2600), D(1))]
        await stopped(world, remove=(Purpose.STOP_LOSS,))
        assert await resting(world) == [(D(2600), D(1))]


async def test_a_new_stop_that_the_exchange_refuses_leaves_the_old_one() -> None:
    async with a_world() as world:
        await a_pair(world)
        await stopped(world, sl="2100")
        world.faults.on_orders(BUSY)
        operation = await stopped(world, sl="2200")
        assert operation.status is OperationStatus.FAILED
        assert operation.reason == "Server busy."
        assert await resting(world) == [(D(2100), D(1))]


async def test_a_stop_whose_answer_is_lost_is_found_and_replaces_the_old_one() -> None:
    async with a_world() as world:
        await a_pair(world)
        await stopped(world, sl="2100")
        world.faults.on_orders(LostReply())
        operation = await stopped(world, sl="2200")
        assert operation.status is OperationStatus.DONE
        assert await resting(world) == [(D(2200), D(1))]


async def test_what_is_added_is_covered_by_the_stop_and_what_is_cut_uncovered() -> None:
    async with a_world() as world:
        await a_pair(world)
        await stopped(world, sl="2100")
        await adjusted(world)
        assert sum(quantity for _, quantity in await resting(world)) == D("1.5")
        await adjusted(world, size=Size(SizeUnit.BASE, D("0.8")), grow=False)
        assert all(quantity <= D("0.7") for _, quantity in await resting(world))
        world.price(ETH, "2050")
        await world.pass_time(5)
        hedge = await world.live()
        assert hedge.primary.quantity == 0
        assert await resting(world) == []


async def closing_at(world: World, price: str) -> Operation:
    return await world.close(CloseWay.AT_PRICE, at=price)


async def test_a_closing_price_is_moved_for_both_legs_and_taken_back() -> None:
    async with a_world() as world:
        await a_pair(world)
        await closing_at(world, "2400")
        await closing_at(world, "2450")
        assert await resting(world) == [(D(2450), D(1))] * 2
        request = StopsRequest(ETH, remove=(Purpose.CLOSE_AT_PRICE,))
        await world.carry_out(await world.bot.hedging.offer_stops(world.user, CHAT, request))
        assert await resting(world) == []
        with pytest.raises(NotFound, match="No closing order"):
            await world.bot.hedging.offer_stops(world.user, CHAT, request)


@pytest.mark.parametrize("faults", [(None, BUSY), (BUSY, None), (BUSY, BUSY)])
async def test_a_closing_price_that_one_leg_does_not_get_leaves_the_earlier_pair(
    faults: tuple[Refuse | None, ...],
) -> None:
    async with a_world() as world:
        await a_pair(world)
        await closing_at(world, "2400")
        world.faults.on_orders(*faults)
        operation = await closing_at(world, "2450")
        assert operation.status is OperationStatus.FAILED
        assert await resting(world) == [(D(2400), D(1))] * 2


# --- margin -------------------------------------------------------------------------------------


async def test_added_margin_moves_the_liquidation_of_the_leg() -> None:
    async with a_world() as world:
        await a_pair(world, isolated=True)
        before = await position(world)
        operation = await topped_up(world)
        after = await position(world)
        assert operation.status is OperationStatus.DONE
        assert before.margin is not None and after.margin is not None
        assert after.margin - before.margin == D(50)
        top_up = operation.targets[0].top_up
        assert top_up is not None and top_up.liquidation_price == after.liquidation_price


async def test_margin_without_an_answer_is_looked_up_and_never_sent_twice() -> None:
    for fault, status, added in (
        (LostReply(), OperationStatus.DONE, D(50)),
        (LostRequest(), OperationStatus.FAILED, D(0)),
    ):
        async with a_world() as world:
            await a_pair(world, isolated=True)
            before = (await position(world)).margin
            world.faults.on_writes(fault)
            operation = await topped_up(world)
            after = (await position(world)).margin
            assert before is not None and after is not None
            assert (operation.status, after - before) == (status, added)


async def test_funding_in_between_is_not_taken_for_the_margin() -> None:
    """The short receives about 2.3 while nobody knows whether 3 arrived: only its own history tells."""
    for fault, status in ((LostReply(), OperationStatus.DONE), (LostRequest(), OperationStatus.FAILED)):
        feed = prices()
        async with a_world(feed, clock=VirtualClock(BEGIN)) as world:
            await a_pair(world, isolated=True)
            view = await world.view()
            until = (view.markets[ETH].next_funding_at - view.at).total_seconds() - 2
            await world.pass_time(until, step=until)
            feed.set(ETH, D(2300), funding_rate=D("0.001"))
            world.faults.on_writes(fault)
            operation = await topped_up(world, "3")
            assert operation.status is status
            paid = await world.bot.venues.of(world.account).funding_payments(ETH, view.at)
            assert any(payment.amount > 2 for payment in paid if payment.side is SHORT)


async def test_margin_for_an_exchange_that_is_away_is_tried_again() -> None:
    async with a_world() as world:
        await a_pair(world, isolated=True)
        world.faults.on_writes(Unavailable(), Unavailable())
        operation = await topped_up(world)
        assert (operation.status, operation.targets[0].attempts) == (OperationStatus.DONE, 3)


async def test_refused_margin_says_why() -> None:
    async with a_world() as world:
        await a_pair(world, isolated=True)
        world.faults.on_writes(Refuse("Isolated balance insufficient.", "-4051", "InsufficientMargin"))
        operation = await topped_up(world)
        assert (operation.status, operation.reason) == (
            OperationStatus.FAILED,
            "Isolated balance insufficient.",
        )


async def test_a_leg_that_changed_meanwhile_is_not_guessed_about() -> None:
    async with a_world() as world:
        await a_pair(world, isolated=True)
        quote = await world.bot.hedging.offer_margin(world.user, CHAT, MarginRequest(ETH, SHORT, D(50)))
        world.faults.on_writes(LostReply())
        started = await world.tap(quote)
        await world.clock.advance(1)
        await world.elsewhere(SHORT, "0.5", opens=False)
        await world.settle()
        assert not isinstance(started, Requoted)
        operation = await world.bot.store.operation(started.operations[0].id)
        assert operation is not None
        assert (operation.status, operation.reason) == (OperationStatus.FAILED, NOT_TOLD)


@pytest.mark.parametrize("arrived", [True, False])
async def test_margin_on_its_way_when_the_process_died_is_found_at_the_next_start(
    tmp_path: Path, arrived: bool
) -> None:
    """The answer never came to this process; the next one reads the leg and tells."""
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await a_pair(world, isolated=True)
        before = await margin_of(world)
        world.faults.on_writes(LostReply() if arrived else LostRequest())
        quote = await world.bot.hedging.offer_margin(world.user, CHAT, MarginRequest(ETH, SHORT, D(50)))
        started = await world.tap(quote)
        assert not isinstance(started, Requoted)
        while await unsent(world, started.operations[0].id) or (await margin_of(world) == before) is arrived:
            await asyncio.sleep(0.002)
            await clock.advance(0.1)
    async with a_world(prices(eth="2300"), clock=clock, database=tmp_path, ids=8) as world:
        await world.settle()
        operation = await world.bot.store.operation(started.operations[0].id)
        assert operation is not None
        assert operation.status is (OperationStatus.DONE if arrived else OperationStatus.FAILED)
        assert await margin_of(world) - before == (D(50) if arrived else 0)


async def margin_of(world: World) -> Decimal:
    margin = (await position(world)).margin
    assert margin is not None
    return margin


async def unsent(world: World, operation_id: OperationId) -> bool:
    operation = await world.bot.store.operation(operation_id)
    assert operation is not None
    return operation.targets[0].attempts == 0
