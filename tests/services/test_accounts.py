"""The account as a whole: its position mode, and the paper account started over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import PositionMode, PositionSide
from chatbot.domain.intent import IntentStatus, Purpose
from chatbot.domain.quote import HedgeRequest, OpenRequest, Size, SizeUnit
from chatbot.errors import Busy, LimitExceeded, OneWayMode, VenueUnavailable
from chatbot.ports import Changes
from chatbot.services.hedging import Started
from chatbot.venues.paper.faults import Late, LostReply, LostRequest
from tests.services.world import BTC, CHAT, ETH, World, a_world

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
HEDGE, ONE_WAY = PositionMode.HEDGE, PositionMode.ONE_WAY


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as made:
        yield made


@pytest.fixture
def written(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Changes]:
    """What was committed since, in order."""
    commits: list[Changes] = []
    commit = world.bot.store.commit

    async def noting(changes: Changes) -> None:
        commits.append(changes)
        await commit(changes)

    monkeypatch.setattr(world.bot.store, "commit", noting)
    return commits


def audited(written: list[Changes]) -> list[str]:
    return [entry.action for changes in written for entry in changes.audit]


async def switch(world: World, mode: PositionMode) -> None:
    await world.bot.accounts.switch_position_mode(world.user, mode)


async def start_over(world: World, request_id: str = "r:1") -> Decimal:
    return (await world.bot.accounts.start_over(world.user, request_id=request_id)).equity


async def an_order_in_flight(world: World) -> None:
    """Until the world settles."""
    request = OpenRequest(ETH, LONG, Size(SizeUnit.BASE, Decimal(1)))
    world.faults.on_orders(Late(2.0))
    quote = await world.bot.hedging.offer_open(world.user, CHAT, request)
    assert isinstance(await world.tap(quote), Started)


# --- position mode ------------------------------------------------------------------------------


async def test_a_flat_account_switches_and_the_switch_is_audited(
    world: World, written: list[Changes]
) -> None:
    await switch(world, ONE_WAY)
    assert await world.bot.accounts.position_mode(world.user) is ONE_WAY
    await switch(world, HEDGE)

    assert (await world.view()).position_mode is HEDGE
    assert audited(written) == ["position_mode", "position_mode"]


async def test_a_switch_to_the_mode_it_has_is_no_event(world: World, written: list[Changes]) -> None:
    await world.open()
    written.clear()

    await switch(world, HEDGE)

    assert written == []


async def test_a_position_stands_in_the_way_of_a_switch_and_is_named(world: World) -> None:
    await world.open(ETH)
    await world.open(BTC, quantity="0.01")

    with pytest.raises(LimitExceeded, match="Close BTC and ETH first: `/close` works"):
        await switch(world, ONE_WAY)

    assert (await world.view()).position_mode is HEDGE


async def test_no_switch_while_an_order_is_in_flight(world: World) -> None:
    await an_order_in_flight(world)

    with pytest.raises(Busy):
        await switch(world, ONE_WAY)

    assert (await world.view()).position_mode is HEDGE


async def test_a_switch_whose_answer_is_lost_is_read_from_the_exchange(world: World) -> None:
    world.faults.on_writes(LostReply())

    await switch(world, ONE_WAY)

    assert (await world.view()).position_mode is ONE_WAY


async def test_a_switch_that_never_arrived_is_told(world: World, written: list[Changes]) -> None:
    world.faults.on_writes(LostRequest())

    with pytest.raises(VenueUnavailable, match="did not take"):
        await switch(world, ONE_WAY)

    assert audited(written) == []


async def test_in_one_way_mode_nothing_is_offered_and_nothing_is_sent(world: World) -> None:
    await switch(world, ONE_WAY)
    await world.elsewhere(LONG, "1", opens=True)

    with pytest.raises(OneWayMode) as refused:
        await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))

    assert refused.value.obstacle == "Close ETH first: `/close ETH` works in this mode, too."
    assert "one-way mode" in refused.value.message
    assert len((await world.view()).positions) == 1


async def test_an_offer_made_in_hedge_mode_is_refused_when_the_mode_has_changed(world: World) -> None:
    request = OpenRequest(ETH, LONG, Size(SizeUnit.BASE, Decimal(1)))
    quote = await world.bot.hedging.offer_open(world.user, CHAT, request)
    await switch(world, ONE_WAY)

    with pytest.raises(OneWayMode):
        await world.tap(quote)

    assert (await world.view()).positions == ()


async def test_in_one_way_mode_a_position_can_still_be_closed(world: World) -> None:
    await switch(world, ONE_WAY)
    await world.elsewhere(LONG, "1", opens=True)

    await world.close("single")  # type: ignore[arg-type]

    assert (await world.view()).positions == ()
    await switch(world, HEDGE)


# --- starting over ------------------------------------------------------------------------------


async def test_starting_over_closes_every_hedge_with_its_reason(world: World, written: list[Changes]) -> None:
    await world.open(ETH)
    await world.hedge(ETH)
    await world.open(BTC, quantity="0.01")
    written.clear()

    assert await start_over(world) == 10_000

    for number in (1, 2):
        hedge = await world.hedge_number(number)
        assert (hedge.status, hedge.reason) == (HedgeStatus.CLOSED, "the paper account was started over")
        assert [leg.quantity for leg in hedge.legs if leg.quantity] == []
        assert hedge.closed_at is not None
    assert audited(written) == ["write_off", "write_off"]
    assert [len(changes.hedges) for changes in written] == [1, 1]
    await world.require_ledger_equals_venue()


async def test_starting_over_cancels_the_stops_that_rested(world: World) -> None:
    await world.open(ETH, stop_loss="1900", take_profit="2500")
    hedge = await world.live(ETH)

    await start_over(world)

    stops = [i for i in await world.bot.store.intents(hedge_id=hedge.id) if i.purpose is not Purpose.OPEN]
    assert [stop.status for stop in stops] == [IntentStatus.CANCELED, IntentStatus.CANCELED]
    notes = await world.bot.store.intent_notes(stops[0].client_order_id)
    assert notes[-1].detail == "the paper account was started over"


async def test_starting_over_costs_no_alert(world: World) -> None:
    await world.open(ETH)
    await world.hedge(ETH)
    await world.pass_time(10)
    known = len(world.phone.seen)

    await start_over(world)
    await world.pass_time(30)

    assert world.phone.seen[known:] == []


async def test_a_frozen_hedge_is_written_off_too(world: World) -> None:
    await world.open(ETH)
    hedge = await world.live(ETH)
    frozen = type(hedge)(**{f: getattr(hedge, f) for f in hedge.__slots__} | {"status": HedgeStatus.FROZEN})
    await world.bot.store.commit(Changes(hedges=(frozen,)))

    await start_over(world)

    assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_no_start_over_while_an_order_is_in_flight(world: World) -> None:
    await an_order_in_flight(world)

    with pytest.raises(Busy, match="nothing was changed"):
        await start_over(world)

    await world.settle()
    assert len((await world.view()).positions) == 1


async def test_the_same_request_handled_again_leaves_what_came_after_it_alone(world: World) -> None:
    await world.open(ETH)
    await start_over(world, "r:7")
    await world.open(ETH, quantity="2")

    await start_over(world, "r:7")

    assert (await world.live(ETH)).primary.quantity == 2
    await world.require_ledger_equals_venue()


async def test_a_crash_between_exchange_and_ledger_is_made_good_by_the_same_request(world: World) -> None:
    await world.open(ETH)
    await world.bot.exchange.reset(world.account.id, reference="r:9")

    await start_over(world, "r:9")

    assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED
