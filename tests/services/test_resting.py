"""Orders that should rest on the exchange and do not: missed, asked for, booked, told once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.account import STALE_READ
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.intent import IntentStatus, OrderIntent
from chatbot.domain.order import OrderReport, OrderStatus
from chatbot.domain.quote import CloseWay, StopsRequest
from chatbot.domain.risk import AlertKind, OrderEnd
from chatbot.errors import VenueUnavailable
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.resting import UNKNOWN_FOR
from chatbot.venues.paper.venue import PaperVenue
from tests.services.test_watching import looks, owed
from tests.services.world import BEGIN, CHAT, ETH, World, a_world, prices

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
TOLD = "unprotected rise 0"


@dataclass
class LookUps:
    """What the exchange says of an order when it is asked for one; ``None``: as it is."""

    says: OrderReport | None = None
    knows: bool = True
    fails: bool = False
    asked: int = 0


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> LookUps:
    made, honest = LookUps(), PaperVenue.order

    async def order(venue: PaperVenue, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        made.asked += 1
        if made.fails:
            raise VenueUnavailable("no answer", venue="paper")
        if not made.knows:
            return None
        return made.says or await honest(venue, symbol, client_order_id)

    monkeypatch.setattr(PaperVenue, "order", order)
    return made


async def a_pair_with_a_stop(world: World) -> OrderReport:
    """Long and short 1 from 2,000, a stop-loss of the long at 1,900; the report of that."""
    await world.open()
    await world.hedge()
    return await a_stop(world)


async def a_stop(world: World, at: str = "1900") -> OrderReport:
    request = StopsRequest(ETH, LONG, Decimal(at))
    await world.carry_out(await world.bot.hedging.offer_stops(world.user, CHAT, request))
    assert await looks(world) == []
    (resting,) = (await world.view()).open_orders
    return resting


async def cancel(world: World, side: PositionSide | None = None) -> None:
    world.taps += 1
    reference = f"hand:{world.taps}"
    assert await world.bot.exchange.cancel_elsewhere(world.account.id, ETH, side, reference=reference)


async def looks_for(world: World, span: timedelta, *, every: float = 2.0) -> list[str]:
    """What is told, look after look."""
    told: list[str] = []
    for _ in range(int(span.total_seconds() / every)):
        await world.clock.advance(every)
        told += await looks(world)
    return told


async def journaled(world: World, order: OrderReport) -> OrderIntent:
    intent = await world.bot.store.intent(order.client_order_id)
    assert intent is not None
    return intent


SOON = STALE_READ + timedelta(seconds=4)


async def test_an_order_that_is_not_listed_is_asked_for_after_as_long_as_a_list_may_be_old(
    lookups: LookUps,
) -> None:
    async with a_world() as world:
        stop = await a_pair_with_a_stop(world)
        await cancel(world)
        lookups.asked = 0

        assert await looks_for(world, STALE_READ) == []
        assert lookups.asked == 0
        assert await looks_for(world, timedelta(seconds=2)) == [TOLD]

        intent = await journaled(world, stop)
        assert (intent.status, intent.reason) == (IntentStatus.CANCELED, OrderEnd.CANCELED)
        notes = await world.bot.store.intent_notes(stop.client_order_id)
        assert (notes[-1].event, notes[-1].detail) == (IntentStatus.CANCELED, OrderEnd.CANCELED)
        assert await looks_for(world, timedelta(minutes=5)) == []
        assert lookups.asked == 1


async def test_what_is_listed_again_was_never_missed(
    lookups: LookUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was cut short is no end of what is not in it."""
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        lookups.asked, honest = 0, PaperVenue.view

        async def short(venue: PaperVenue, *args: object, **others: object) -> object:
            return replace(await honest(venue, *args, **others), open_orders=())  # type: ignore[arg-type]

        for _ in range(3):
            with monkeypatch.context() as cut:
                cut.setattr(PaperVenue, "view", short)
                assert await looks_for(world, STALE_READ - timedelta(seconds=4)) == []
            assert await looks_for(world, timedelta(seconds=4)) == []
        assert lookups.asked == 0


async def test_an_order_that_a_look_up_still_shows_as_open_is_asked_for_ever_more_seldom(
    lookups: LookUps,
) -> None:
    async with a_world() as world:
        lookups.says = await a_pair_with_a_stop(world)
        await cancel(world)
        lookups.asked = 0

        assert await looks_for(world, timedelta(minutes=30)) == []
        assert 5 <= lookups.asked <= 12
        lookups.says = None
        assert await looks_for(world, timedelta(minutes=6)) == [TOLD]


async def test_an_order_that_nobody_knows_is_waited_for_as_long_as_look_ups_may_hide_it(
    lookups: LookUps,
) -> None:
    async with a_world() as world:
        stop = await a_pair_with_a_stop(world)
        await cancel(world)
        lookups.knows = False

        assert await looks_for(world, UNKNOWN_FOR - timedelta(minutes=1), every=20) == []
        assert await looks_for(world, timedelta(minutes=7), every=20) == [TOLD]
        assert (await journaled(world, stop)).reason == OrderEnd.FORGOTTEN


async def test_what_expired_is_booked_as_that(lookups: LookUps) -> None:
    async with a_world() as world:
        stop = await a_pair_with_a_stop(world)
        await cancel(world)
        lookups.says = replace(stop, status=OrderStatus.EXPIRED)

        assert await looks_for(world, SOON) == [TOLD]
        assert (await journaled(world, stop)).reason == OrderEnd.EXPIRED


async def test_a_look_up_without_an_answer_ends_nothing_and_hides_nothing_else(lookups: LookUps) -> None:
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        await cancel(world)
        lookups.fails = True
        assert await looks_for(world, timedelta(seconds=40)) == []

        lookups.fails = False
        assert await looks_for(world, timedelta(seconds=60)) == [TOLD]


# --- fired, and made up for ---------------------------------------------------------------------


async def fires_and_is_made_good(world: World, quantity: str = "1") -> None:
    """Between two looks the stop closes the long, and another hand opens it again."""
    world.price(ETH, "1899")
    world.bot.exchange.advance()
    await world.elsewhere(LONG, quantity, opens=True)


async def test_a_stop_that_fired_while_another_hand_added_as_much_is_booked_and_both_are_told() -> None:
    async with a_world() as world:
        stop = await a_pair_with_a_stop(world)
        await fires_and_is_made_good(world)
        assert (await world.view()).open_orders == ()

        assert await looks_for(world, SOON) == ["stopped rise 0", "grown rise 0"]

        hedge = await world.live()
        assert hedge.status is HedgeStatus.OPEN
        assert hedge.primary.quantity == 1
        assert hedge.primary.entry_price == pytest.approx(Decimal(1899), abs=2)
        assert hedge.primary.realized_pnl < -90
        assert (await journaled(world, stop)).status is IntentStatus.FILLED
        await world.require_ledger_equals_venue()
        heads = [line for m in await all_owed(world) for line in m]
        assert any("the long leg was closed by your stop at 1,89" in head for head in heads)
        assert any("the long leg grew from 0 to 1 (outside the bot" in head for head in heads)
        assert await looks_for(world, timedelta(minutes=2)) == []


async def all_owed(world: World) -> list[list[str]]:
    await world.bot.outbox.idle()
    texts = [block.text for reply in world.phone.seen for block in reply.blocks if hasattr(block, "text")]
    return [text.splitlines() for text in texts]


async def test_what_was_made_good_only_in_part_is_told_as_any_other_loss() -> None:
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        await fires_and_is_made_good(world, "0.5")

        told = await looks_for(world, SOON)

        assert AlertKind.UNPROTECTED not in {each.partition(" ")[0] for each in told}
        await world.require_ledger_equals_venue()


# --- not compared -------------------------------------------------------------------------------


async def test_a_frozen_hedge_is_not_compared_until_it_thaws(
    lookups: LookUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        stop = await a_pair_with_a_stop(world)
        await freeze(world, monkeypatch)
        await cancel(world)

        assert TOLD not in await looks_for(world, timedelta(minutes=2))
        assert (await journaled(world, stop)).status is IntentStatus.OPEN


async def freeze(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another hand trades, and the exchange never tells of it."""

    async def nothing(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(PaperVenue, "fills", nothing)
    await world.elsewhere(SHORT, "0.4", opens=False)
    await looks_for(world, timedelta(seconds=20))
    assert (await world.live()).status is HedgeStatus.FROZEN


async def test_the_orders_of_a_leg_that_is_gone_are_ours_to_take_back() -> None:
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        await world.elsewhere(LONG, "1", opens=False)

        assert TOLD not in await looks_for(world, timedelta(minutes=1))


async def test_a_stop_that_is_replaced_or_taken_back_by_its_owner_is_not_missed() -> None:
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        await a_stop(world, "1850")
        assert await looks_for(world, timedelta(minutes=1)) == []
        await world.close(CloseWay.AT_ONCE, fraction="0.5")
        assert await looks_for(world, timedelta(minutes=1)) == []


# --- dying in between ---------------------------------------------------------------------------


async def test_an_end_that_was_booked_just_before_the_process_died_is_told_by_the_next(
    tmp_path: Path,
) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await a_pair_with_a_stop(world)
        await cancel(world)
        await looks_for(world, STALE_READ - timedelta(seconds=2))
        await clock.advance(4)
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert [each.intent.reason for each in books.gone] == [OrderEnd.CANCELED]
        assert await owed(world) == []

    async with a_world(prices(), clock=clock, database=tmp_path, ids=8) as again:
        assert await looks(again) == [TOLD]
        assert len(await unasked(again)) == 1
    async with a_world(prices(), clock=clock, database=tmp_path, ids=9) as third:
        await looks_for(third, timedelta(seconds=30))
        assert await unasked(third) == []


async def unasked(world: World) -> list[str]:
    return [head for lines in await all_owed(world) for head in lines[:1] if "is gone" in head]


async def test_an_end_is_told_by_the_next_look_where_telling_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await a_pair_with_a_stop(world)
        await cancel(world)
        await looks_for(world, STALE_READ)
        await world.clock.advance(2)
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert len(books.gone) == 1

        assert await looks(world) == [TOLD]
        assert await looks(world) == []


# --- how soon -----------------------------------------------------------------------------------


async def test_something_that_is_missing_hurries_the_next_looks_until_it_has_been_asked_for(
    lookups: LookUps,
) -> None:
    async with a_world() as world:
        lookups.says = await a_pair_with_a_stop(world)
        resting = world.bot.bookkeeper.resting
        assert not resting.waiting(world.account.id)
        await cancel(world)
        await looks(world)

        assert resting.waiting(world.account.id)
        await looks_for(world, SOON)
        assert not resting.waiting(world.account.id)


async def test_a_look_at_a_calm_account_reads_no_orders_from_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await world.open()
        await a_stop(world)
        assert isinstance(world.bot.bookkeeper, Bookkeeper)
        reads: list[object] = []
        monkeypatch.setattr(type(world.bot.store), "intents", lambda *a, **k: reads.append(k))

        await world.bot.bookkeeper.bring_up_to_date(world.account)

        assert reads == []
