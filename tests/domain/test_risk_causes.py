"""Who closed a leg, and what an operation has left open: by the journal and the booked fills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.causes import (
    cause_of,
    deliberate,
    end_of_hedge,
    end_of_leg,
    exposure_of,
    lost_leg,
    lost_role,
    without_answer,
)
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus, LegRole, UserId
from chatbot.domain.instrument import PositionSide
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, Purpose
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.order import Fill, FillCause, OrderType
from chatbot.domain.quote import CloseWay, LegAction, QuoteId
from chatbot.domain.risk import LegCause
from chatbot.domain.saga import GONE
from chatbot.domain.scene import Exposure
from tests.builders import ETH_USDT, LONG, NOW, SHORT, a_leg, a_pair, a_position, a_view

D = Decimal
PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET


def an_intent(purpose: Purpose, name: str, status: IntentStatus = IntentStatus.FILLED) -> OrderIntent:
    return OrderIntent(
        client_order_id=name,
        operation_id=OperationId("op"),
        hedge_id=HedgeId("h000000003"),
        account_id=AccountId("account"),
        symbol=ETH_USDT.symbol,
        leg=OFFSET,
        purpose=purpose,
        side=SHORT.closing,
        position_side=SHORT,
        type=OrderType.MARKET,
        quantity=D(1),
        reduce_only=True,
        created_at=NOW,
        valid_until=NOW,
        status=status,
    )


INTENTS = {
    purpose.value: an_intent(purpose, purpose.value)
    for purpose in (Purpose.OPEN, Purpose.CLOSE, Purpose.TRIM, Purpose.STOP_LOSS, Purpose.CLOSE_AT_PRICE)
}


def a_fill(
    by: str | None,
    *,
    quantity: str = "1",
    price: str = "2400",
    side: PositionSide = SHORT,
    opens: bool = False,
    cause: FillCause = FillCause.TRADE,
    minutes: int = 0,
    realized: str = "-100",
) -> Fill:
    return Fill(
        venue_fill_id=f"{by}{minutes}",
        symbol=ETH_USDT.symbol,
        side=side.opening if opens else side.closing,
        position_side=side,
        quantity=D(quantity),
        price=D(price),
        fee=D(1),
        realized_pnl=D(realized),
        at=NOW + timedelta(minutes=minutes),
        client_order_id=by,
        cause=cause,
    )


OPENED = a_fill("open", opens=True, minutes=-60)
LIQUIDATED = a_fill(None, cause=FillCause.LIQUIDATION)


def widow() -> Hedge:
    hedge = a_pair()
    return hedge.with_leg(replace(hedge.leg(OFFSET), quantity=D(0)))


# --- who closed it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "cause"),
    [
        (LIQUIDATED, LegCause.LIQUIDATED),
        (a_fill(None, cause=FillCause.AUTO_DELEVERAGING), LegCause.AUTO_DELEVERAGED),
        (a_fill(None), LegCause.BY_HAND),
        (a_fill("web_1234"), LegCause.BY_HAND),
        (a_fill("HRabcdefghijXC7"), LegCause.FORGOTTEN),
        (a_fill("stop_loss"), LegCause.STOPPED),
        (a_fill("close_at_price"), LegCause.STOPPED),
        (a_fill("close"), None),
        (a_fill("trim"), None),
    ],
)
def test_a_fill_is_the_venues_a_hands_a_stops_or_ours(fill: Fill, cause: LegCause | None) -> None:
    assert cause_of(fill, INTENTS) is cause


def test_a_liquidation_in_several_fills_is_one_loss() -> None:
    first = a_fill(None, quantity="0.25", price="2400", cause=FillCause.LIQUIDATION, realized="-25")
    rest = a_fill(None, quantity="0.75", price="2404", cause=FillCause.LIQUIDATION, realized="-78", minutes=1)

    evidence = end_of_leg(widow(), OFFSET, [OPENED, first, rest], INTENTS)

    assert evidence is not None
    assert (evidence.before, evidence.price, evidence.realized) == (D(1), D(2_403), D(-103))
    assert evidence.at == rest.at


def test_what_was_closed_on_purpose_before_is_not_part_of_the_loss() -> None:
    ours = a_fill("close", quantity="0.5", minutes=-5)
    lost = a_fill(None, quantity="0.5", cause=FillCause.LIQUIDATION)

    evidence = end_of_leg(widow(), OFFSET, [OPENED, ours, lost], INTENTS)

    assert evidence is not None
    assert evidence.before == D("0.5")


def test_a_leg_closed_by_an_operation_is_not_lost() -> None:
    assert end_of_leg(widow(), OFFSET, [OPENED, a_fill("close")], INTENTS) is None


def test_what_was_closed_before_it_was_opened_again_is_not_part_of_the_loss() -> None:
    earlier = a_fill(None, quantity="3", minutes=-30)
    by_hand = a_fill(None, opens=True, minutes=-20)

    evidence = end_of_leg(widow(), OFFSET, [earlier, by_hand, a_fill(None)], INTENTS)

    assert evidence is not None
    assert evidence.before == D(1)


def test_a_leg_whose_last_trade_opened_it_was_taken_over_not_lost() -> None:
    assert end_of_leg(widow(), OFFSET, [a_fill(None, opens=True)], INTENTS) is None


def test_a_leg_that_never_traded_is_not_lost() -> None:
    assert end_of_leg(widow(), OFFSET, [a_fill(None, side=LONG)], INTENTS) is None
    assert end_of_leg(widow(), OFFSET, [OPENED], INTENTS) is None


def test_the_leg_that_the_venue_holds_nothing_of_is_the_lost_one() -> None:
    assert lost_role(a_pair(), a_view(a_position(LONG))) is OFFSET
    assert lost_role(a_pair(), a_view(a_position(SHORT))) is PRIMARY
    assert lost_role(a_pair(), a_view(a_position(LONG), a_position(SHORT))) is None
    assert lost_role(a_pair(), a_view()) is None


def test_a_leg_that_the_ledger_still_holds_is_gone_for_a_reason_that_is_not_known_yet() -> None:
    evidence = lost_leg(a_pair(), OFFSET, [], INTENTS)

    assert evidence is not None
    assert (evidence.cause, evidence.before) == (LegCause.UNEXPLAINED, D(1))


# --- a leg that another hand shrank while an operation closed it ---------------------------------

BOTH_CLOSED = {
    "close": an_intent(Purpose.CLOSE, "close"),
    "close primary": replace(an_intent(Purpose.CLOSE, "close primary"), leg=PRIMARY, position_side=LONG),
}


def test_where_an_operation_found_less_than_it_was_to_close_the_other_hand_has_taken_the_leg() -> None:
    theirs = a_fill(None, quantity="0.6", price="2410", realized="-60", minutes=-30)
    ours = a_fill("close", quantity="0.4")

    evidence = lost_leg(widow(), OFFSET, [OPENED, theirs, ours], BOTH_CLOSED)

    assert evidence is not None
    assert (evidence.cause, evidence.before, evidence.price) == (LegCause.BY_HAND, D("0.6"), D(2_410))


@pytest.mark.parametrize(("seconds_before", "told"), [(9, True), (11, False)])
def test_what_was_known_when_a_plan_was_confirmed_is_part_of_the_plan(
    seconds_before: int, told: bool
) -> None:
    """All of its order was filled: what counts is whether the reading before it could show the trade."""
    theirs = replace(a_fill(None, quantity="1"), at=NOW - timedelta(seconds=seconds_before))

    evidence = lost_leg(widow(), OFFSET, [OPENED, theirs, a_fill("close")], BOTH_CLOSED)

    assert (evidence is not None) is told


def test_what_an_operation_opened_and_took_back_does_not_hide_who_closed_the_leg() -> None:
    """Both legs were to grow; the other could not, so what had been opened here was trimmed."""
    theirs = a_fill(None, minutes=1)
    grown, trimmed = a_fill("open", opens=True, minutes=2), a_fill("trim", minutes=3)
    growing = {**INTENTS, "open primary": replace(INTENTS["open"], leg=PRIMARY, position_side=LONG)}

    evidence = lost_leg(widow(), OFFSET, [OPENED, theirs, grown, trimmed], growing)

    assert evidence is not None
    assert (evidence.cause, evidence.before, evidence.at) == (LegCause.BY_HAND, D(1), theirs.at)


def test_while_the_operation_trades_the_pair_its_end_is_waited_for() -> None:
    fills = [OPENED, a_fill(None, quantity="0.6"), a_fill("close", quantity="0.4", minutes=1)]

    assert lost_leg(widow(), OFFSET, fills, BOTH_CLOSED, busy=True) is None
    assert lost_leg(widow(), OFFSET, fills, BOTH_CLOSED) is not None


def test_an_operation_of_one_leg_leaves_open_what_was_agreed_to() -> None:
    fills = [OPENED, a_fill(None, quantity="0.6"), a_fill("close", quantity="0.4", minutes=1)]
    of_one_leg = {"close": BOTH_CLOSED["close"]}

    assert lost_leg(widow(), OFFSET, fills, of_one_leg) is None


def test_nobody_else_has_touched_a_leg_that_was_closed_by_us_alone() -> None:
    assert lost_leg(widow(), OFFSET, [OPENED, a_fill("close")], BOTH_CLOSED) is None


# --- how a hedge ended --------------------------------------------------------------------------


def test_the_last_fill_of_a_hedge_says_how_it_ended() -> None:
    closed = replace(widow().with_leg(a_leg(quantity=0)), status=HedgeStatus.CLOSED)
    by_us = a_fill("close", side=LONG, minutes=5)

    lost_last = end_of_hedge(
        closed, ETH_USDT, [a_fill("close", side=LONG), replace(LIQUIDATED, at=by_us.at)], INTENTS
    )

    assert end_of_hedge(closed, ETH_USDT, [LIQUIDATED, by_us], INTENTS) is None
    assert lost_last is not None
    assert lost_last.role is OFFSET
    assert end_of_hedge(a_pair(), ETH_USDT, [LIQUIDATED], INTENTS) is None


# --- asked for or not ---------------------------------------------------------------------------


def test_a_pair_that_only_the_bot_has_traded_is_as_it_was_asked_for() -> None:
    assert deliberate(a_pair(offset_quantity="0.5"), [OPENED, a_fill("trim")], INTENTS)


@pytest.mark.parametrize("fill", [LIQUIDATED, a_fill(None), a_fill("stop_loss")])
def test_any_other_trade_makes_it_something_that_happened(fill: Fill) -> None:
    assert not deliberate(a_pair(offset_quantity="0.5"), [OPENED, fill], INTENTS)


def test_an_offset_found_on_the_venue_was_not_asked_for() -> None:
    hedge = a_pair()
    found = hedge.with_leg(replace(hedge.leg(OFFSET), adopted=True))

    assert not deliberate(found, [], INTENTS)


# --- what an operation has left open ------------------------------------------------------------


def a_close(way: CloseWay, *, offset: str, primary: str, given_up: str = "") -> Operation:
    def target(role: LegRole, filled: str, why: str = "") -> Target:
        return Target(role, LegAction.CLOSE, D(1), D(2_300), 0, filled=D(filled), given_up=why)

    return Operation(
        id=OperationId("op"),
        kind=OperationKind.CLOSE,
        user_id=UserId("user"),
        account_id=AccountId("account"),
        hedge_id=HedgeId("h000000003"),
        symbol=ETH_USDT.symbol,
        quote_id=QuoteId("quote"),
        chat="console:me",
        targets=(target(OFFSET, offset, given_up), target(PRIMARY, primary)),
        started_at=NOW,
        deadline_at=NOW + timedelta(seconds=30),
        way=way,
    )


LATER = NOW + timedelta(seconds=7)


def exposed(operation: Operation, *, long: str | None = None, short: str | None = None) -> Exposure | None:
    """Of a pair of 1 and 1; the venue holds what the ledger says unless it is told otherwise."""

    def ledger(role: LegRole) -> Decimal:
        return D(1) - operation.target(role).filled

    pair = a_pair()
    held = {
        LONG: ledger(PRIMARY) if long is None else D(long),
        SHORT: ledger(OFFSET) if short is None else D(short),
    }
    pair = pair.with_leg(replace(pair.primary, quantity=ledger(PRIMARY)))
    pair = pair.with_leg(replace(pair.leg(OFFSET), quantity=ledger(OFFSET)))
    positions = [a_position(side, quantity) for side, quantity in held.items() if quantity]
    return exposure_of(operation, pair, a_view(*positions), LATER)


@pytest.mark.parametrize(
    ("offset", "primary", "side", "quantity"),
    [("1", "0", LONG, "1"), ("1", "0.7", LONG, "0.3"), ("0.2", "0.9", SHORT, "0.7")],
)
def test_a_close_leaves_the_leg_naked_that_is_behind(
    offset: str, primary: str, side: PositionSide, quantity: str
) -> None:
    exposure = exposed(a_close(CloseWay.AT_ONCE, offset=offset, primary=primary))

    assert exposure is not None
    assert (exposure.side, exposure.quantity) == (side, D(quantity))
    assert exposure.lasting == timedelta(seconds=7)


def test_legs_that_are_level_leave_nothing_naked() -> None:
    assert exposed(a_close(CloseWay.AT_ONCE, offset="0.5", primary="0.5")) is None


def test_a_close_without_an_answer_leaves_naked_what_the_venue_says() -> None:
    exposure = exposed(a_close(CloseWay.OFFSET_FIRST, offset="0", primary="0"), short="0")

    assert exposure is not None
    assert (exposure.side, exposure.quantity) == (LONG, D(1))


def test_lifting_the_hedge_is_not_leaving_it_naked() -> None:
    assert exposed(a_close(CloseWay.OFFSET_ONLY, offset="1", primary="0")) is None


def test_a_leg_that_was_gone_counts_as_closed() -> None:
    operation = a_close(CloseWay.OFFSET_FIRST, offset="0", primary="0", given_up=GONE)

    exposure = exposed(operation)

    assert exposure is not None
    assert exposure.quantity == D(1)


def both_grow(status: OperationStatus) -> Operation:
    closing = a_close(CloseWay.AT_ONCE, offset="1", primary="0.4")
    targets = tuple(replace(target, action=LegAction.OPEN) for target in closing.targets)
    trimming = status is OperationStatus.TRIMMING
    return replace(
        closing,
        kind=OperationKind.ADJUST,
        way=None,
        targets=targets,
        status=status,
        trim_role=OFFSET if trimming else None,
        trim_quantity=D("0.6") if trimming else D(0),
    )


def test_only_an_operation_that_still_opens_grows_into_the_gap() -> None:
    growing, trimming = (exposed(both_grow(s)) for s in (OperationStatus.RUNNING, OperationStatus.TRIMMING))
    closing = exposed(a_close(CloseWay.AT_ONCE, offset="1", primary="0.4"))

    assert [e.growing for e in (growing, trimming, closing) if e is not None] == [True, False, False]


def test_what_is_left_to_trim_is_naked() -> None:
    operation = replace(
        a_close(CloseWay.AT_ONCE, offset="1", primary="0.4"),
        status=OperationStatus.TRIMMING,
        trim_role=PRIMARY,
        trim_quantity=D("0.6"),
        trim_filled=D("0.1"),
        trim_attempts=5,
    )

    exposure = exposed(operation)

    assert exposure is not None
    assert (exposure.side, exposure.quantity, exposure.attempts) == (LONG, D("0.5"), 5)


def test_orders_without_an_answer_are_counted_by_the_oldest() -> None:
    old = an_intent(Purpose.CLOSE, "a", IntentStatus.UNKNOWN)
    new = replace(an_intent(Purpose.CLOSE, "b", IntentStatus.JOURNALED), created_at=LATER)
    settled = replace(an_intent(Purpose.CLOSE, "c"), created_at=NOW - timedelta(hours=1))

    assert without_answer([old, new, settled], LATER) == (2, timedelta(seconds=7))
    assert without_answer([settled], LATER) == (0, timedelta(0))
