"""The hedge service on the paper exchange: the whole way of an order, and what goes wrong on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import ZERO, MarginMode, PositionSide
from chatbot.domain.intent import IntentStatus, Purpose
from chatbot.domain.operation import OperationStatus
from chatbot.domain.pnl import totals
from chatbot.domain.quote import CloseQuote, CloseRequest, CloseWay, HedgeRequest, OpenRequest, Size, SizeUnit
from chatbot.errors import (
    BadArgument,
    Busy,
    Conflict,
    LimitExceeded,
    NotFound,
    QuoteExpired,
    VenueUnavailable,
)
from chatbot.ports import Changes
from chatbot.services.hedging import Requoted, Started
from chatbot.services.leg_changes import ChangeCause
from chatbot.venues.paper.faults import Late, LostReply, LostRequest, Partial, Refuse, Unavailable
from tests.services.world import BTC, CHAT, ETH, OFFSET, World, a_world, prices

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ONE = Decimal(1)


def an_open(quantity: str = "1", side: PositionSide = LONG) -> OpenRequest:
    return OpenRequest(ETH, side, Size(SizeUnit.BASE, Decimal(quantity)), Decimal(10))


async def a_pair(world: World, *, at: str = "2300") -> None:
    await world.open()
    world.price(ETH, at)
    await world.hedge()


async def orders_at_the_venue(world: World) -> list[str | None]:
    fills = await world.bot.venues.of(world.account).fills(ETH, world.clock.now() - timedelta(days=30))
    return [fill.client_order_id for fill in fills]


# --- the plain way ------------------------------------------------------------------------------


async def test_open_hedge_close_and_the_ledger_equals_the_wallet() -> None:
    async with a_world() as world:
        before = (await world.view()).balance.wallet
        await a_pair(world)
        await world.require_ledger_equals_venue()
        hedge = await world.live()
        assert hedge.net_exposure == 0
        operation = await world.close()
        assert operation.status is OperationStatus.DONE
        closed = await world.hedge_number(1)
        assert closed.status is HedgeStatus.CLOSED
        view = await world.view()
        assert not view.positions
        assert view.balance.wallet - before == pytest.approx(totals(closed).net, abs=Decimal("1e-12"))


async def test_the_locked_profit_is_the_formulas_whatever_the_closing_price() -> None:
    async with a_world() as world:
        await a_pair(world)
        hedge = await world.live()
        assert hedge.offset is not None
        lock = hedge.offset.entry_price - hedge.primary.entry_price
        world.price(ETH, "2950")
        await world.close(CloseWay.AT_ONCE)
        closed = await world.hedge_number(1)
        realized = sum(leg.realized_pnl for leg in closed.legs)
        fills = [f.fill for f in await world.bot.store.booked_fills(closed.id) if not f.fill.opens]
        slippage = sum(f.price * (1 if f.position_side is LONG else -1) for f in fills)
        assert realized - slippage == lock


async def test_the_offset_leg_is_closed_before_the_primary() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close()
        closes = (await orders_at_the_venue(world))[-2:]
        assert [i[12:14] for i in closes if i] == ["XC", "PC"]


async def test_lifting_the_hedge_leaves_the_primary() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.OFFSET_ONLY)
        hedge = await world.live()
        assert (hedge.primary.quantity, hedge.leg(OFFSET).quantity) == (ONE, ZERO)
        await world.require_ledger_equals_venue()


async def test_half_a_close_leaves_an_equal_half() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(fraction="0.5")
        hedge = await world.live()
        assert [leg.quantity for leg in hedge.legs] == [Decimal("0.5"), Decimal("0.5")]


async def test_a_ratio_hedges_that_part() -> None:
    async with a_world() as world:
        await world.open()
        await world.hedge(ratio="0.4")
        assert (await world.live()).leg(OFFSET).quantity == Decimal("0.4")


async def test_a_position_opened_elsewhere_is_hedged_and_closed() -> None:
    async with a_world() as world:
        await world.elsewhere(SHORT, "2", opens=True)
        await world.hedge()
        hedge = await world.live()
        assert (hedge.primary.side, hedge.primary.adopted, hedge.net_exposure) == (SHORT, True, ZERO)
        await world.close()
        assert not (await world.view()).positions


async def test_a_position_opened_elsewhere_is_closed_without_a_hedge() -> None:
    async with a_world() as world:
        await world.elsewhere(LONG, "2", opens=True)
        await world.close(CloseWay.SINGLE)
        assert not (await world.view()).positions
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_adding_to_a_position_averages_its_entry() -> None:
    async with a_world() as world:
        await world.open()
        world.price(ETH, "2200")
        await world.open()
        hedge = await world.live()
        position = (await world.view()).position(ETH, LONG)
        assert position is not None
        assert hedge.primary.quantity == 2
        assert hedge.primary.entry_price == pytest.approx(position.entry_price, abs=Decimal("1e-9"))


async def test_isolated_legs_keep_their_mode_and_leverage() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED, leverage="5")
        world.price(ETH, "2200")
        await world.hedge()
        view = await world.view()
        assert {(p.margin_mode, p.leverage) for p in view.positions} == {(MarginMode.ISOLATED, Decimal(5))}


# --- confirmations ------------------------------------------------------------------------------


async def test_a_second_tap_has_no_effect() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        await world.carry_out(quote)
        with pytest.raises(QuoteExpired):
            await world.tap(quote)
        assert len(await orders_at_the_venue(world)) == 1


async def test_the_same_tap_handled_again_after_a_crash_has_no_effect_and_no_error() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        first = await world.tap(quote)
        world.taps -= 1
        again = await world.tap(quote)
        assert isinstance(first, Started)
        assert isinstance(again, Started)
        assert again.again
        assert [o.id for o in again.operations] == [o.id for o in first.operations]


async def test_somebody_elses_tap_has_no_effect() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        chat = ChatRef(Platform.CONSOLE, "other")
        other = await world.bot.people.meet(UserRef(Platform.CONSOLE, "other"), chat, "other")
        for user, place in ((other, CHAT), (other, chat), (world.user, chat)):
            with pytest.raises(NotFound):
                await world.bot.hedging.confirm(user, place, quote.id, "confirm", request_id="x")


async def test_a_choice_that_was_not_offered_has_no_effect() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        for choice in ("offset_first", "at_once", "", "confirm "):
            with pytest.raises(NotFound):
                await world.tap(quote, choice)


async def test_an_offer_expires() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        await world.clock.advance(60)
        with pytest.raises(QuoteExpired):
            await world.tap(quote)


async def test_a_canceled_offer_is_spent() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        await world.bot.hedging.cancel(world.user, CHAT, quote.id, request_id="c")
        with pytest.raises(QuoteExpired):
            await world.tap(quote)


@pytest.mark.parametrize(("price", "holds"), [("2005.9", True), ("2006.2", False), ("1993.8", False)])
async def test_outside_the_price_band_a_fresh_offer_replaces_the_old(price: str, holds: bool) -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        world.price(ETH, price)
        answer = await world.tap(quote)
        await world.settle()
        assert isinstance(answer, Started) is holds
        assert bool((await world.view()).positions) is holds
        if isinstance(answer, Requoted):
            with pytest.raises(QuoteExpired):
                await world.tap(quote)
            assert isinstance(await world.tap(answer.quote), Started)


async def test_a_position_that_changed_meanwhile_is_quoted_afresh() -> None:
    async with a_world() as world:
        await world.open()
        quote = await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))
        await world.elsewhere(LONG, "0.4", opens=False)
        answer = await world.tap(quote)
        assert isinstance(answer, Requoted)


async def test_nothing_new_while_an_order_is_in_flight() -> None:
    async with a_world() as world:
        first = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        second = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        world.faults.on_orders(LostRequest())
        await world.tap(first)
        for _ in range(5):
            await world.clock.advance(0)
        with pytest.raises(Busy):
            await world.tap(second)


async def test_a_venue_that_is_away_at_the_tap_leaves_the_offer_usable() -> None:
    async with a_world() as world:
        quote = await world.bot.hedging.offer_open(world.user, CHAT, an_open())
        world.faults.on_reads(Unavailable())
        with pytest.raises(VenueUnavailable):
            await world.tap(quote)
        assert isinstance(await world.tap(quote), Started)


async def test_a_paused_user_opens_nothing_and_may_close() -> None:
    async with a_world() as world:
        await world.open()
        paused = replace(world.user.preferences, paused=True)
        world.user = await world.bot.people.choose(world.user, paused)
        with pytest.raises(LimitExceeded):
            await world.hedge()
        with pytest.raises(LimitExceeded):
            await world.open()
        await world.close(CloseWay.SINGLE)
        assert not (await world.view()).positions


async def test_the_opposite_of_a_position_is_a_hedge_not_an_opening() -> None:
    async with a_world() as world:
        await world.open()
        with pytest.raises(BadArgument, match="hedge"):
            await world.open(side=SHORT)


async def test_a_hedged_symbol_takes_no_further_opening() -> None:
    async with a_world() as world:
        await a_pair(world)
        with pytest.raises(LimitExceeded, match="#1"):
            await world.open()


async def test_close_everything() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.open(BTC, quantity="0.01")
        quote = await world.bot.hedging.offer_close_all(world.user, CHAT)
        await world.carry_out(quote)
        assert not (await world.view()).positions
        assert not await world.bot.store.live_hedges(account_id=world.account.id)
        with pytest.raises(NotFound):
            await world.bot.hedging.offer_close_all(world.user, CHAT)


# --- faults on the wire -------------------------------------------------------------------------

FAULTS = [
    LostRequest(),
    LostReply(),
    Late(2.0),
    Late(60.0),
    Partial(Decimal("0.4")),
    Refuse("Server busy.", "-1008", "VenueRejected"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("hidden", [0.0, 8.0])
@pytest.mark.parametrize("way", [CloseWay.OFFSET_FIRST, CloseWay.AT_ONCE])
async def test_every_fault_at_every_order_ends_with_ledger_equal_to_venue(
    fault: object, hidden: float, way: CloseWay
) -> None:
    """One fault at each order of open, hedge and close; no order is ever executed twice."""
    for position in range(4):
        async with a_world() as world:
            world.faults.hide_orders_for = hidden
            world.faults.on_orders(*[None] * position, fault)  # type: ignore[arg-type]
            await world.open()
            await world.hedge()
            await world.require_ledger_equals_venue()
            assert (await world.live()).net_exposure == 0
            await world.close(way)
            await world.require_ledger_equals_venue()
            assert not (await world.view()).positions
            await no_quantity_beyond_its_intent(world)


async def no_quantity_beyond_its_intent(world: World) -> None:
    await world.clock.advance(10)  # until the venue shows its freshest orders
    for intent in await world.bot.store.intents(hedge_id=(await world.hedge_number(1)).id):
        assert intent.status.final
        assert intent.filled_quantity <= intent.quantity
        report = await world.bot.venues.of(world.account).order(ETH, intent.client_order_id)
        assert (report.filled_quantity if report else 0) == intent.filled_quantity


async def test_a_lost_request_is_proven_absent_before_another_is_sent() -> None:
    async with a_world() as world:
        world.faults.on_orders(LostRequest())
        begun = world.clock.now()
        await world.open()
        intents = await world.bot.store.intents(hedge_id=(await world.live()).id)
        assert [i.status for i in intents] == [IntentStatus.ABSENT, IntentStatus.FILLED]
        assert intents[1].created_at - begun >= timedelta(seconds=15)


async def test_a_hedge_that_is_refused_leaves_the_position_alone() -> None:
    async with a_world() as world:
        await world.open()
        world.faults.on_orders(Refuse("Margin is insufficient.", "-2019", "InsufficientMargin"))
        operation = await world.hedge()
        assert operation.status is OperationStatus.FAILED
        assert "Margin" in operation.reason
        hedge = await world.live()
        assert (hedge.primary.quantity, hedge.leg(OFFSET).quantity) == (ONE, ZERO)


async def test_an_opening_that_is_refused_leaves_nothing_behind() -> None:
    async with a_world() as world:
        world.faults.on_orders(Refuse("Margin is insufficient.", "-2019", "InsufficientMargin"))
        operation = await world.open()
        assert operation.status is OperationStatus.FAILED
        assert not await world.bot.store.live_hedges(account_id=world.account.id)


async def test_a_half_filled_hedge_trims_the_primary_by_the_gap() -> None:
    async with a_world() as world:
        await world.open()
        refused = Refuse("Server busy.", "-1008", "VenueRejected")
        world.faults.on_orders(Partial(Decimal("0.6")), refused, refused)
        operation = await world.hedge()
        hedge = await world.live()
        assert operation.status is OperationStatus.DONE
        assert [leg.quantity for leg in hedge.legs] == [Decimal("0.6"), Decimal("0.6")]
        await world.require_ledger_equals_venue()


async def test_a_primary_that_will_not_close_is_trimmed_until_it_does() -> None:
    async with a_world() as world:
        await a_pair(world)
        refused = [Refuse("Server busy.", "-1008", "VenueRejected")] * 9
        world.faults.on_orders(None, *refused)
        operation = await world.close()
        assert operation.status is OperationStatus.DONE
        assert operation.trim_attempts == 7
        assert not (await world.view()).positions


async def test_a_leg_liquidated_before_the_close_is_no_error() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED, leverage="5")
        world.price(ETH, "2200")
        await world.hedge()
        world.price(ETH, "2800")  # beyond the short's liquidation
        await world.view()
        operation = await world.close(CloseWay.SINGLE)
        assert operation.status is OperationStatus.DONE
        assert not (await world.view()).positions
        closed = await world.hedge_number(1)
        assert closed.status is HedgeStatus.CLOSED


async def test_a_leg_that_goes_between_tap_and_order_is_no_error() -> None:
    async with a_world() as world:
        await a_pair(world)
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        await world.tap(quote, CloseWay.OFFSET_FIRST)
        await world.elsewhere(SHORT, "1", opens=False)
        await world.settle()
        assert not (await world.view()).positions
        await world.require_ledger_equals_venue()


# --- stops --------------------------------------------------------------------------------------


async def resting(world: World) -> list[tuple[Decimal | None, Decimal]]:
    return [(o.trigger_price, o.quantity) for o in (await world.view()).open_orders]


async def test_stops_rest_on_the_venue_after_the_opening() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800", take_profit="2600")
        assert await resting(world) == [(Decimal(1800), ONE), (Decimal(2600), ONE)]


async def test_a_full_close_cancels_the_stops() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800", take_profit="2600")
        await world.close(CloseWay.SINGLE)
        assert await resting(world) == []
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_a_partial_close_resizes_the_stops() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        await world.close(CloseWay.SINGLE, fraction="0.5")
        assert await resting(world) == [(Decimal(1800), Decimal("0.5"))]


async def test_a_stop_that_fires_is_booked_as_ours() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800")
        world.price(ETH, "1790")
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert [change.cause for change in books.changes] == ["stopped"]
        closed = await world.hedge_number(1)
        assert closed.status is HedgeStatus.CLOSED
        (stop,) = [
            i for i in await world.bot.store.intents(hedge_id=closed.id) if i.purpose is Purpose.STOP_LOSS
        ]
        assert stop.status is IntentStatus.FILLED


async def test_when_one_stop_fires_the_other_is_canceled() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800", take_profit="2600")
        world.price(ETH, "1790")
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert await resting(world) == []
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_a_leg_that_is_lost_leaves_no_stop_behind() -> None:
    async with a_world() as world:
        await world.open()
        world.price(ETH, "2300")
        request = HedgeRequest(ETH, stop_loss=Decimal(2900))
        await world.carry_out(await world.bot.hedging.offer_hedge(world.user, CHAT, request))
        assert await resting(world) == [(Decimal(2900), ONE)]
        await world.elsewhere(SHORT, "1", opens=False)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert await resting(world) == []
        assert (await world.live()).primary.quantity == ONE


async def test_both_legs_close_at_a_price() -> None:
    async with a_world() as world:
        await a_pair(world)
        operation = await world.close(CloseWay.AT_PRICE, at="2500")
        assert operation.status is OperationStatus.DONE
        assert await resting(world) == [(Decimal(2500), ONE), (Decimal(2500), ONE)]
        world.price(ETH, "2501")
        await world.pass_time(3)
        assert not (await world.view()).positions
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_where_only_one_of_the_pair_fired_the_other_is_closed_too() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.AT_PRICE, at="2500")
        short = next(o for o in (await world.view()).open_orders if o.position_side is SHORT)
        await world.bot.venues.of(world.account).cancel(ETH, short.client_order_id)
        world.price(ETH, "2501")
        await world.pass_time(10)
        await world.settle()
        assert not (await world.view()).positions
        await world.require_ledger_equals_venue()


async def test_a_refused_half_of_a_conditional_pair_leaves_no_half_behind() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.faults.on_orders(None, Refuse("Order would immediately trigger.", "-2021", "InvalidOrder"))
        operation = await world.close(CloseWay.AT_PRICE, at="2500")
        assert operation.status is OperationStatus.FAILED
        assert await resting(world) == []


# --- what happens behind our back ---------------------------------------------------------------


async def test_a_liquidated_leg_is_booked_with_its_cause() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED, leverage="5")
        world.price(ETH, "2200")
        await world.hedge()
        world.price(ETH, "2800")
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        (change,) = books.changes
        assert (change.cause, change.role, change.after) == (ChangeCause.LIQUIDATED, OFFSET, ZERO)
        await world.require_ledger_equals_venue()


async def test_an_offer_counts_what_a_leg_realized_elsewhere_a_moment_ago() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.price(ETH, "2400")
        await world.elsewhere(LONG, "1", opens=False)
        request = CloseRequest(ETH)
        offer = (await world.bot.hedging.offer_close(world.user, CHAT, request)).offer
        booked = await world.live()
        assert booked.primary.realized_pnl > 390
        assert isinstance(offer, CloseQuote)
        assert offer.ways[0].total == pytest.approx(Decimal(295), abs=2)
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert [change.cause for change in books.changes] == [ChangeCause.BY_HAND]


async def test_what_an_offer_has_booked_is_told_even_when_the_next_look_fails_once() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.3", opens=False)
        await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        await world.elsewhere(SHORT, "0.2", opens=False)
        world.faults.on_reads(None, Unavailable())  # the view is read, the history is not
        first, second = [await world.bot.bookkeeper.bring_up_to_date(world.account) for _ in range(2)]
        assert isinstance(first.unread, VenueUnavailable)
        assert [change.after for change in first.changes] == [Decimal("0.7")]
        assert second.unread is None
        assert [change.after for change in second.changes] == [Decimal("0.5")]


async def test_resting_stops_of_the_primary_are_warned_of_when_it_is_hedged() -> None:
    async with a_world() as world:
        await world.open(stop_loss="1800", take_profit="2600")
        world.price(ETH, "2300")
        quote = await world.bot.hedging.offer_hedge(world.user, CHAT, HedgeRequest(ETH))
        told = [w for w in quote.offer.warnings if "naked" in w]  # type: ignore[union-attr]
        assert [w.split(" of ")[0] for w in told] == ["The stop-loss", "The take-profit"]


async def test_a_lost_offset_is_restored() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "1", opens=False)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        await world.hedge()
        assert [leg.quantity for leg in (await world.live()).legs] == [ONE, ONE]
        await world.require_ledger_equals_venue()


@pytest.mark.parametrize("lost", ["1", "0.4"])
async def test_a_lost_primary_is_restored_too(lost: str) -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(LONG, lost, opens=False)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        operation = await world.hedge()
        assert operation.status is OperationStatus.DONE
        assert [leg.quantity for leg in (await world.live()).legs] == [ONE, ONE]
        await world.require_ledger_equals_venue()


async def test_a_half_restored_primary_trims_the_offset_by_the_gap() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(LONG, "1", opens=False)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        refused = Refuse("Server busy.", "-1008", "VenueRejected")
        world.faults.on_orders(Partial(Decimal("0.6")), refused, refused)
        await world.hedge()
        assert [leg.quantity for leg in (await world.live()).legs] == [Decimal("0.6"), Decimal("0.6")]
        await world.require_ledger_equals_venue()


async def test_trading_by_hand_is_booked_and_the_pair_goes_on() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.3", opens=False)
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        (change,) = books.changes
        assert (change.cause, change.before, change.after) == (ChangeCause.BY_HAND, ONE, Decimal("0.7"))
        await world.require_ledger_equals_venue()


async def test_funding_is_booked_once_per_settlement_and_leg() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.clock.advance(8 * 3600)
        for _ in range(3):
            await world.bot.bookkeeper.bring_up_to_date(world.account)
        hedge = await world.live()
        payments = await world.bot.store.booked_funding(hedge.id)
        assert sorted(p.payment.side for p in payments) == [LONG, SHORT]
        assert sum(leg.funding for leg in hedge.legs) == sum(p.payment.amount for p in payments)


async def test_funding_settled_in_the_moment_of_the_close_is_not_forgotten() -> None:
    async with a_world() as world:
        before = (await world.view()).balance.wallet
        await a_pair(world)
        await world.clock.advance(16 * 3600)  # nobody looked meanwhile
        await world.close()
        closed = await world.hedge_number(1)
        assert len(await world.bot.store.booked_funding(closed.id)) == 4
        gained = (await world.view()).balance.wallet - before
        assert gained == pytest.approx(totals(closed).net, abs=Decimal("1e-12"))


async def test_a_hand_that_closes_while_a_request_is_lost_is_booked_and_the_rest_closed() -> None:
    async with a_world() as world:
        await a_pair(world)
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        world.faults.on_orders(LostRequest())
        await world.tap(quote, CloseWay.OFFSET_FIRST)
        await world.clock.advance(1)
        await world.elsewhere(SHORT, "0.4", opens=False)
        await world.settle()
        assert not (await world.view()).positions
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_an_order_that_never_shows_is_told_by_the_position() -> None:
    """Look-up and history stay empty; the leg moved by exactly the order."""
    async with a_world() as world:
        await world.open()
        world.faults.hide_orders_for = 3600
        world.faults.hide_fills = True
        world.faults.on_orders(LostReply())
        await world.hedge()
        await world.require_ledger_equals_venue()
        assert (await world.live()).net_exposure == 0


async def test_an_unexplained_difference_freezes_and_adopting_thaws() -> None:
    async with a_world() as world:
        await a_pair(world)
        hedge = await world.live()
        wrong = hedge.with_leg(replace(hedge.primary, quantity=Decimal("0.9")))
        await world.bot.store.commit(Changes(hedges=(wrong,)))
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert (await world.live()).status is HedgeStatus.OPEN  # a read may be stale
        await world.clock.advance(11)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert (await world.live()).status is HedgeStatus.FROZEN
        with pytest.raises(LimitExceeded, match="adopt"):
            await world.close()
        with pytest.raises(LimitExceeded, match="adopt"):
            await world.open(BTC, quantity="0.01")
        await world.bot.hedging.adopt(world.user, 1)
        await world.require_ledger_equals_venue()
        await world.close()
        assert not (await world.view()).positions


async def test_a_difference_of_another_ledger_is_another_difference() -> None:
    """Two stale readings, and in between the ledger has moved: neither lasts."""
    async with a_world() as world:
        await a_pair(world)
        for quantity in ("0.9", "0.8"):
            hedge = await world.live()
            wrong = hedge.with_leg(replace(hedge.primary, quantity=Decimal(quantity)))
            await world.bot.store.commit(Changes(hedges=(wrong,)))
            await world.clock.advance(6)
            await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert (await world.live()).status is HedgeStatus.OPEN
        await world.clock.advance(11)
        await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert (await world.live()).status is HedgeStatus.FROZEN


async def test_there_is_nothing_to_adopt_where_ledger_and_venue_agree() -> None:
    async with a_world() as world:
        await a_pair(world)
        with pytest.raises(NotFound):
            await world.bot.hedging.adopt(world.user, 1)
        with pytest.raises(NotFound):
            await world.bot.hedging.adopt(world.user, 2)


# --- recovery -----------------------------------------------------------------------------------


async def test_what_was_in_flight_at_a_stop_goes_on_at_the_next_start(tmp_path: Path) -> None:
    feed = prices()
    async with a_world(feed, database=tmp_path) as world:
        await a_pair(world)
        world.faults.on_orders(None, LostReply())
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        await world.tap(quote, CloseWay.OFFSET_FIRST)
        for _ in range(40):
            await world.clock.advance(0)
        clock = world.clock
    async with a_world(feed, clock=clock, database=tmp_path, ids=8) as world:
        with pytest.raises(Busy):
            await world.bot.hedging.adopt(world.user, 1)
        await world.settle()
        assert not (await world.view()).positions
        closed = await world.hedge_number(1)
        assert closed.status is HedgeStatus.CLOSED
        await no_quantity_beyond_its_intent(world)


async def test_a_position_side_is_named_where_both_are_open() -> None:
    async with a_world() as world:
        await world.elsewhere(LONG, "1", opens=True)
        await world.elsewhere(SHORT, "0.5", opens=True)
        with pytest.raises((BadArgument, LimitExceeded)):
            await world.hedge()


async def test_an_operation_that_stumbles_over_the_same_again_and_again_is_halted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await world.open()
        store, commit = world.bot.store, world.bot.store.commit

        async def fails(changes: Changes) -> None:
            if changes.fills:
                raise Conflict("fill 17 is booked already")
            await commit(changes)

        monkeypatch.setattr(store, "commit", fails)
        operation = await world.hedge()

        assert operation.status is OperationStatus.FROZEN
        hedge = await world.live()
        assert (hedge.status, hedge.reason) == (HedgeStatus.FROZEN, "fill 17 is booked already")
        await world.bot.hedging.adopt(world.user, hedge.number)
        await world.require_ledger_equals_venue()
