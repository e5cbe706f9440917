"""The saga as rules: what comes next, from what the journal holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chatbot.domain import protection, saga, topping_up
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, Leg, LegRole, UserId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.intent import (
    IntentEvent,
    IntentStatus,
    OperationId,
    OrderIntent,
    Purpose,
    client_order_id,
)
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target, TopUp
from chatbot.domain.order import OrderType
from chatbot.domain.quote import CloseWay, LegAction, QuoteId
from chatbot.domain.saga import Step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Symbol("BTC/USDT:USDT")
ONE = Decimal(1)
PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET


def hedge(primary: str = "1", offset: str | None = "1") -> Hedge:
    long = Leg(PRIMARY, PositionSide.LONG, Decimal(primary), Decimal(100))
    short = None if offset is None else Leg(OFFSET, PositionSide.SHORT, Decimal(offset), Decimal(110))
    return Hedge(HedgeId("h"), 1, UserId("u"), AccountId("a"), BTC, long, NOW, offset=short)


def target(role: LegRole, action: LegAction, *, stage: int = 0, quantity: str = "1") -> Target:
    return Target(role, action, Decimal(quantity), Decimal(100), stage)


def operation(kind: OperationKind, *targets: Target, way: CloseWay | None = None) -> Operation:
    return Operation(
        OperationId("o"),
        kind,
        UserId("u"),
        AccountId("a"),
        HedgeId("h"),
        BTC,
        QuoteId("q"),
        "console:1",
        targets,
        NOW,
        NOW + timedelta(seconds=30),
        way=way,
    )


OPENING = operation(OperationKind.OPEN, target(PRIMARY, LegAction.OPEN))
HEDGING = operation(OperationKind.HEDGE, target(OFFSET, LegAction.OPEN))
CLOSING = operation(
    OperationKind.CLOSE,
    target(OFFSET, LegAction.CLOSE),
    target(PRIMARY, LegAction.CLOSE, stage=1),
    way=CloseWay.OFFSET_FIRST,
)
AT_ONCE = operation(
    OperationKind.CLOSE,
    target(OFFSET, LegAction.CLOSE),
    target(PRIMARY, LegAction.CLOSE),
    way=CloseWay.AT_ONCE,
)


def intent(
    role: LegRole,
    purpose: Purpose,
    status: IntentStatus = IntentStatus.JOURNALED,
    *,
    quantity: str = "1",
) -> OrderIntent:
    side = PositionSide.LONG if role is PRIMARY else PositionSide.SHORT
    return OrderIntent(
        client_order_id(HedgeId("h"), role, purpose, 1),
        OperationId("o"),
        HedgeId("h"),
        AccountId("a"),
        BTC,
        role,
        purpose,
        side.closing,
        side,
        OrderType.MARKET,
        Decimal(quantity),
        True,
        NOW,
        NOW,
        status=status,
    )


PROTECTED = OPENING.with_target(replace(OPENING.targets[0], stop_loss=Decimal(90)))


def fill(op: Operation, role: LegRole, quantity: str, purpose: Purpose = Purpose.CLOSE) -> Operation:
    return saga.filled(
        op, intent(role, purpose), quantity=Decimal(quantity), price=Decimal(100), fee=Decimal(0)
    )


def tried(op: Operation, role: LegRole, times: int) -> Operation:
    return op.with_target(replace(op.target(role), attempts=times))


def step(op: Operation, *intents: OrderIntent, of: Hedge | None = None, now: datetime = NOW) -> Step:
    return saga.next_step(op, of or hedge(), intents, now)


def test_nothing_is_sent_while_an_outcome_is_open() -> None:
    for status in (IntentStatus.JOURNALED, IntentStatus.UNKNOWN, IntentStatus.OPEN):
        assert step(HEDGING, intent(OFFSET, Purpose.OPEN, status)) is Step.SETTLE


def test_the_primary_waits_until_the_offset_is_closed() -> None:
    assert [t.role for t in saga.to_place(CLOSING, NOW)] == [OFFSET]
    closed = fill(CLOSING, OFFSET, "1")
    assert step(closed, of=hedge(offset="0")) is Step.ENTER_NEXT_STAGE
    assert [t.role for t in saga.to_place(saga.enter_next_stage(closed), NOW)] == [PRIMARY]


def test_both_legs_of_a_close_at_once_go_together() -> None:
    assert [t.role for t in saga.to_place(AT_ONCE, NOW)] == [OFFSET, PRIMARY]


def test_a_leg_that_is_gone_is_no_error_and_the_rest_is_closed() -> None:
    gone = saga.leg_holds(CLOSING, OFFSET, Decimal(0))
    assert step(gone, of=hedge(offset="0")) is Step.ENTER_NEXT_STAGE


def test_a_leg_that_shrank_is_closed_to_what_it_holds() -> None:
    shrunk = saga.leg_holds(CLOSING, OFFSET, Decimal("0.4"))
    assert shrunk.target(OFFSET).left == Decimal("0.4")


def test_three_attempts_and_no_more() -> None:
    assert step(tried(HEDGING, OFFSET, 2)) is Step.PLACE
    assert step(tried(HEDGING, OFFSET, 3)) is Step.FALL_BACK


def test_an_opening_is_not_started_after_its_deadline() -> None:
    assert step(HEDGING, now=HEDGING.deadline_at) is Step.FALL_BACK
    assert saga.fall_back(HEDGING, NOW).status is OperationStatus.FAILED


def test_a_close_that_has_not_begun_is_not_started_long_after_it_was_confirmed() -> None:
    assert step(CLOSING, now=CLOSING.deadline_at) is Step.FALL_BACK


def test_a_close_that_has_begun_goes_on_after_its_deadline() -> None:
    begun = saga.enter_next_stage(fill(CLOSING, OFFSET, "1"))
    assert step(begun, of=hedge(offset="0"), now=begun.deadline_at) is Step.PLACE


def test_an_unfilled_hedge_leaves_the_position_as_it_was() -> None:
    failed = saga.fall_back(tried(HEDGING, OFFSET, 3), NOW)
    assert (failed.status, failed.trim_quantity) == (OperationStatus.FAILED, Decimal(0))


def test_a_half_filled_hedge_trims_the_primary_by_exactly_the_gap() -> None:
    half = tried(fill(HEDGING, OFFSET, "0.6", Purpose.OPEN), OFFSET, 3)
    trimming = saga.fall_back(half, NOW)
    assert trimming.status is OperationStatus.TRIMMING
    assert (trimming.trim_role, trimming.trim_quantity) == (PRIMARY, Decimal("0.4"))


def test_a_primary_that_will_not_close_is_trimmed_until_it_is_closed() -> None:
    naked = tried(saga.enter_next_stage(fill(CLOSING, OFFSET, "1")), PRIMARY, 3)
    trimming = saga.fall_back(naked, NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (PRIMARY, ONE)
    for _ in range(20):
        trimming = saga.sent(trimming, intent(PRIMARY, Purpose.TRIM))
    assert step(trimming, now=NOW + timedelta(days=1)) is Step.TRIM
    done = fill(trimming, PRIMARY, "1", Purpose.TRIM)
    assert step(done, of=hedge("0", "0")) is Step.FINISH


def test_a_half_closed_offset_trims_the_primary_by_as_much() -> None:
    half = tried(fill(CLOSING, OFFSET, "0.3"), OFFSET, 3)
    trimming = saga.fall_back(half, NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (PRIMARY, Decimal("0.3"))


def test_of_two_legs_at_once_the_one_left_behind_is_trimmed() -> None:
    ahead = tried(fill(AT_ONCE, PRIMARY, "1"), OFFSET, 3)
    trimming = saga.fall_back(ahead, NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (OFFSET, ONE)


def test_of_unequal_legs_never_more_is_trimmed_than_was_to_be_closed() -> None:
    """Half of 1 and of 0.4: the larger half went, the smaller one would not."""
    halves = operation(
        OperationKind.CLOSE,
        target(OFFSET, LegAction.CLOSE, quantity="0.2"),
        target(PRIMARY, LegAction.CLOSE, quantity="0.5"),
        way=CloseWay.AT_ONCE,
    )
    trimming = saga.fall_back(tried(fill(halves, PRIMARY, "0.5"), OFFSET, 3), NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (OFFSET, Decimal("0.2"))


def test_a_close_that_stays_half_done_is_kept_and_tidied() -> None:
    lift = operation(OperationKind.CLOSE, target(PRIMARY, LegAction.CLOSE), way=CloseWay.SINGLE)
    part = saga.fall_back(tried(fill(lift, PRIMARY, "0.4"), PRIMARY, 3), NOW)
    large = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)
    assert part.reason == "only 0.4 of 1 was filled"
    assert step(part, large, of=hedge("0.6", None)) is Step.TIDY
    assert step(part, of=hedge("0.6", None)) is Step.FINISH


@pytest.mark.parametrize(
    ("filled", "primary", "offset", "wanted"),
    [
        ("0", "1", None, "1"),
        ("0", "0.4", None, "0.4"),
        ("0.3", "0.4", "0.3", "0.4"),
        ("0.3", "0.2", "0.3", "0.3"),
    ],
)
def test_a_hedge_that_is_tried_again_never_outgrows_its_primary(
    filled: str, primary: str, offset: str | None, wanted: str
) -> None:
    begun = HEDGING if filled == "0" else fill(HEDGING, OFFSET, filled, Purpose.OPEN)
    fitted = saga.hedge_fits(begun, hedge(primary, offset))
    assert fitted.target(OFFSET).quantity == Decimal(wanted)


def test_nothing_is_hedged_when_nothing_is_left_to_hedge() -> None:
    fitted = saga.hedge_fits(HEDGING, hedge("0", None))
    assert step(fitted, of=hedge("0", None)) is Step.FALL_BACK
    assert saga.fall_back(fitted, NOW).status is OperationStatus.FAILED


def test_time_spent_waiting_for_a_turn_does_not_count() -> None:
    late = CLOSING.deadline_at
    waited = saga.waited(CLOSING, late - NOW)
    assert step(waited, now=late) is Step.PLACE
    begun = tried(CLOSING, OFFSET, 1)
    assert saga.waited(begun, late - NOW) == begun


def test_what_was_filled_is_what_the_orders_say_whoever_booked_them() -> None:
    done = replace(
        intent(OFFSET, Purpose.CLOSE, IntentStatus.CANCELED),
        filled_quantity=Decimal("0.4"),
        average_price=Decimal(90),
        fee=Decimal("0.02"),
    )
    trim = replace(intent(PRIMARY, Purpose.TRIM, IntentStatus.FILLED), filled_quantity=Decimal("0.1"))
    other = replace(done, operation_id=OperationId("another"))
    stop = replace(done, purpose=Purpose.STOP_LOSS)
    told = saga.recounted(CLOSING, (done, trim, other, stop))
    assert (told.target(OFFSET).filled, told.target(OFFSET).cost) == (Decimal("0.4"), Decimal(36))
    assert (told.target(OFFSET).fee, told.target(PRIMARY).filled) == (Decimal("0.02"), Decimal(0))
    assert told.trim_filled == Decimal("0.1")
    assert saga.recounted(told, (done, trim)) == told


def test_trimming_a_leg_that_is_gone_is_done() -> None:
    trimming = saga.fall_back(tried(fill(HEDGING, OFFSET, "0.6", Purpose.OPEN), OFFSET, 3), NOW)
    emptied = saga.leg_holds(trimming, PRIMARY, Decimal(0))
    assert step(emptied, of=hedge("0", "0.6")) is Step.FINISH


def test_a_partly_filled_opening_is_kept_and_protected() -> None:
    stopped = OPENING.with_target(replace(OPENING.targets[0], stop_loss=Decimal(90)))
    part = saga.fall_back(tried(fill(stopped, PRIMARY, "0.4", Purpose.OPEN), PRIMARY, 3), NOW)
    assert part.status is OperationStatus.RUNNING
    assert step(part, of=hedge("0.4", None)) is Step.PROTECT
    (stop,) = protection.stops_missing(part, ())
    assert (stop.purpose, stop.trigger_price, stop.quantity) == (
        Purpose.STOP_LOSS,
        Decimal(90),
        Decimal("0.4"),
    )


def test_a_refused_stop_is_not_tried_again() -> None:
    stopped = OPENING.with_target(replace(OPENING.targets[0], stop_loss=Decimal(90)))
    done = fill(stopped, PRIMARY, "1", Purpose.OPEN)
    refused = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.REJECTED)
    assert step(done, refused, of=hedge(offset=None)) is Step.FINISH


def test_a_stop_that_never_arrived_is_sent_again_three_times_at_most() -> None:
    done = fill(PROTECTED, PRIMARY, "1", Purpose.OPEN)
    absent = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.ABSENT)
    for tries in (0, 1, 2):
        assert step(done, *[absent] * tries, of=hedge(offset=None)) is Step.PROTECT
    assert step(done, *[absent] * 3, of=hedge(offset=None)) is Step.FINISH
    (lost,) = protection.stops_lost(done, [absent] * 3)
    assert lost.purpose is Purpose.STOP_LOSS


def test_a_stop_that_arrived_in_the_end_is_not_lost() -> None:
    done = fill(PROTECTED, PRIMARY, "1", Purpose.OPEN)
    tries = [intent(PRIMARY, Purpose.STOP_LOSS, s) for s in (IntentStatus.ABSENT, IntentStatus.OPEN)]
    assert protection.stops_lost(done, tries) == ()
    assert step(done, *tries, of=hedge(offset=None)) is Step.FINISH


def test_a_stop_goes_only_when_one_that_fits_its_leg_has_been_tried() -> None:
    large = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)
    half = Decimal("0.5")
    assert protection.needs_replacement(CLOSING, large, half, [large])
    assert not protection.needs_replacement(CLOSING, large, Decimal(0), [large])
    for status in (IntentStatus.OPEN, IntentStatus.REJECTED, IntentStatus.FILLED):
        small = intent(PRIMARY, Purpose.STOP_LOSS, status, quantity="0.5")
        assert not protection.needs_replacement(CLOSING, large, half, [large, small])
    lost = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.ABSENT, quantity="0.5")
    assert protection.needs_replacement(CLOSING, large, half, [large, lost])
    assert not protection.needs_replacement(CLOSING, large, half, [large, lost, lost, lost])


def test_a_resting_stop_does_not_hold_up_the_operation() -> None:
    resting = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)
    done = fill(OPENING, PRIMARY, "1", Purpose.OPEN)
    assert step(done, resting, of=hedge(offset=None)) is Step.FINISH


def test_stops_larger_than_their_leg_are_tidied_away() -> None:
    resting = intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)
    closed = fill(saga.enter_next_stage(fill(CLOSING, OFFSET, "1")), PRIMARY, "1")
    assert step(closed, resting, of=hedge("0", "0")) is Step.TIDY


def test_a_hopeless_refusal_is_not_repeated() -> None:
    refused = saga.refused(HEDGING, intent(OFFSET, Purpose.OPEN), "no margin", hopeless=True)
    assert step(refused) is Step.FALL_BACK
    assert saga.fall_back(refused, NOW).reason == "no margin"


def test_a_refused_order_that_rests_gives_no_leg_up() -> None:
    """Also of a leg that the operation is not about: its closing order was to be made smaller."""
    for purpose in (Purpose.STOP_LOSS, Purpose.TAKE_PROFIT, Purpose.CLOSE_AT_PRICE):
        noted = saga.refused(HEDGING, intent(PRIMARY, purpose), "no margin", hopeless=True)
        assert (noted.reason, noted.targets) == ("no margin", HEDGING.targets)


def test_a_refusal_is_no_news_once_the_leg_is_filled() -> None:
    refused = saga.refused(HEDGING, intent(OFFSET, Purpose.OPEN), "busy", hopeless=False)
    assert fill(refused, OFFSET, "1", Purpose.OPEN).reason == ""


def test_a_finished_operation_rests() -> None:
    for status in (OperationStatus.DONE, OperationStatus.FAILED, OperationStatus.FROZEN):
        assert step(replace(HEDGING, status=status)) is Step.REST


@pytest.mark.parametrize("attempts", range(8))
def test_waiting_grows_and_has_an_end(attempts: int) -> None:
    assert saga.back_off(attempts) <= saga.back_off(attempts + 1) <= 60


def test_every_status_and_situation_has_its_step_or_cannot_be() -> None:
    impossible = {
        (OperationStatus.TRIMMING, saga.Situation.GAVE_UP),
        (OperationStatus.TRIMMING, saga.Situation.STAGE_DONE),
        # Margin trades nothing, so it leaves nothing to trim.
        (OperationStatus.TRIMMING, saga.Situation.MARGIN_DUE),
        (OperationStatus.TRIMMING, saga.Situation.MARGIN_SENT),
    }
    live = (OperationStatus.RUNNING, OperationStatus.TRIMMING)
    every = {(status, situation) for status in live for situation in saga.Situation}
    assert set(saga.STEPS) == every - impossible


def test_client_order_ids_fit_every_venue_and_name_one_wish() -> None:
    made = {
        client_order_id(HedgeId("a1B2c3D4e5"), role, purpose, attempt)
        for role in LegRole
        for purpose in Purpose
        for attempt in range(1, 200)
    }
    assert len(made) == 2 * len(Purpose) * 199
    assert all(len(i) <= 28 and i.isalnum() and i.isascii() for i in made)


def test_a_lost_answer_is_never_taken_for_a_refusal() -> None:
    lost = intent(OFFSET, Purpose.OPEN).after(IntentEvent.LOST)
    with pytest.raises(Exception, match="impossible"):
        lost.after(IntentEvent.REJECTED)


# --- adjusting ----------------------------------------------------------------------------------

GROWING = operation(OperationKind.ADJUST, target(PRIMARY, LegAction.OPEN), target(OFFSET, LegAction.OPEN))
SHRINKING = operation(
    OperationKind.ADJUST,
    target(PRIMARY, LegAction.CLOSE, quantity="0.5"),
    target(OFFSET, LegAction.CLOSE, quantity="0.5"),
)


def test_both_legs_of_an_adjustment_go_together() -> None:
    assert [t.role for t in saga.to_place(GROWING, NOW)] == [PRIMARY, OFFSET]


def test_a_leg_that_grew_alone_is_cut_back_by_the_gap() -> None:
    ahead = tried(fill(fill(GROWING, PRIMARY, "1", Purpose.OPEN), OFFSET, "0.3", Purpose.OPEN), OFFSET, 3)
    trimming = saga.fall_back(ahead, NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (PRIMARY, Decimal("0.7"))


def test_a_leg_that_shrank_alone_is_followed_by_the_other() -> None:
    ahead = tried(fill(SHRINKING, PRIMARY, "0.5"), OFFSET, 3)
    trimming = saga.fall_back(ahead, NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (OFFSET, Decimal("0.5"))


def test_never_more_is_cut_back_than_this_adjustment_has_added() -> None:
    uneven = operation(
        OperationKind.ADJUST,
        target(PRIMARY, LegAction.OPEN, quantity="1"),
        target(OFFSET, LegAction.OPEN, quantity="0.4"),
    )
    trimming = saga.fall_back(tried(fill(uneven, OFFSET, "0.4", Purpose.OPEN), PRIMARY, 3), NOW)
    assert (trimming.trim_role, trimming.trim_quantity) == (OFFSET, Decimal("0.4"))


def test_an_adjustment_of_one_leg_is_content_with_less() -> None:
    one = operation(OperationKind.ADJUST, target(PRIMARY, LegAction.OPEN))
    part = saga.fall_back(tried(fill(one, PRIMARY, "0.4", Purpose.OPEN), PRIMARY, 3), NOW)
    assert (part.status, part.reason) == (OperationStatus.RUNNING, "only 0.4 of 1 was filled")


def test_an_offset_grows_no_further_than_its_primary_will_hold() -> None:
    fitted = saga.hedge_fits(GROWING, hedge("0.4", "1"))
    assert (fitted.target(PRIMARY).quantity, fitted.target(OFFSET).quantity) == (ONE, Decimal("0.4"))
    assert saga.hedge_fits(GROWING, hedge()) == GROWING


def test_after_a_restored_primary_the_other_leg_is_the_one_that_grows_no_further() -> None:
    """What stood when its counterpart was restored is what the hedge protects."""
    turned = replace(hedge("1", "0.4"), protected=OFFSET)
    fitted = saga.hedge_fits(GROWING, turned)
    assert (fitted.target(OFFSET).quantity, fitted.target(PRIMARY).quantity) == (ONE, Decimal("0.4"))


def test_the_imbalance_is_measured_by_what_is_to_be_hedged() -> None:
    assert hedge("0.1", "0.15").imbalance == Decimal("0.5")
    assert replace(hedge("0.1", "0.15"), protected=OFFSET).imbalance == Decimal("0.05") / Decimal("0.15")
    assert hedge("0", "0.1").imbalance == 1
    assert hedge("1", None).imbalance == 0


def test_a_primary_does_not_grow_beside_a_leg_that_is_gone() -> None:
    fitted = saga.hedge_fits(GROWING, hedge("1", "0"))
    assert fitted.target(PRIMARY).given_up
    assert fitted.target(OFFSET).quantity == ONE
    alone = operation(OperationKind.ADJUST, target(PRIMARY, LegAction.OPEN))
    assert saga.hedge_fits(alone, hedge("1", "0")) == alone


# --- stops alone --------------------------------------------------------------------------------


def moving(
    *, stop_loss: str | None = "90", replaces: tuple[Purpose, ...] = (Purpose.STOP_LOSS,)
) -> Operation:
    kept = replace(
        target(PRIMARY, LegAction.KEEP, quantity="0"),
        guards=ONE,
        stop_loss=None if stop_loss is None else Decimal(stop_loss),
        replaces=replaces,
    )
    return operation(OperationKind.STOPS, kept)


def earlier(status: IntentStatus = IntentStatus.OPEN, purpose: Purpose = Purpose.STOP_LOSS) -> OrderIntent:
    return replace(intent(PRIMARY, purpose, status), operation_id=OperationId("before"))


def test_the_new_stop_is_set_before_the_old_one_goes() -> None:
    move = moving()
    assert step(move, earlier()) is Step.PROTECT
    (stop,) = protection.stops_missing(move, (earlier(),))
    assert (stop.role, stop.trigger_price, stop.quantity) == (PRIMARY, Decimal(90), ONE)
    assert step(move, earlier(), intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)) is Step.TIDY
    gone = earlier(IntentStatus.CANCELED)
    assert step(move, gone, intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.OPEN)) is Step.FINISH


@pytest.mark.parametrize("status", [IntentStatus.REJECTED, IntentStatus.CANCELED])
def test_a_new_stop_that_was_refused_leaves_the_old_one_where_it_is(status: IntentStatus) -> None:
    tries = (earlier(), intent(PRIMARY, Purpose.STOP_LOSS, status))
    assert step(moving(), *tries) is Step.FINISH
    assert protection.stops_refused(moving(), tries)


def test_a_new_stop_that_never_arrives_leaves_the_old_one_where_it_is() -> None:
    tries = (earlier(), *[intent(PRIMARY, Purpose.STOP_LOSS, IntentStatus.ABSENT)] * 3)
    assert step(moving(), *tries) is Step.FINISH
    assert protection.stops_refused(moving(), tries)


def test_a_removed_stop_goes_and_its_neighbor_stays() -> None:
    target_order = earlier(purpose=Purpose.TAKE_PROFIT)
    removing = moving(stop_loss=None)
    assert protection.stops_replaced(removing, (earlier(), target_order)) == (earlier(),)
    assert step(removing, earlier(IntentStatus.CANCELED), target_order) is Step.FINISH
    assert not protection.stops_refused(removing, (earlier(IntentStatus.CANCELED),))


# --- margin -------------------------------------------------------------------------------------


def topping_up_(top_up: TopUp | None = None, *, attempts: int = 0, given_up: str = "") -> Operation:
    bare = target(OFFSET, LegAction.TOP_UP, quantity="0")
    leg = replace(bare, top_up=top_up or TopUp(Decimal(60)), attempts=attempts, given_up=given_up)
    return operation(OperationKind.MARGIN, leg)


def test_margin_is_sent_once_and_looked_up_when_nobody_knows() -> None:
    due = topping_up_()
    assert step(due) is Step.ADD_MARGIN
    sent = topping_up.margin_sent(due, before=Decimal(200), seen_at=NOW, now=NOW)
    assert step(sent) is Step.FIND_MARGIN
    assert step(sent, now=NOW + timedelta(days=1)) is Step.FIND_MARGIN
    assert step(topping_up.margin_arrived(sent, None)) is Step.FINISH


def test_margin_that_surely_was_not_sent_is_tried_three_times() -> None:
    once = topping_up.margin_sent(topping_up_(), before=Decimal(200), seen_at=NOW, now=NOW)
    assert step(topping_up.margin_not_sent(once, "away")) is Step.ADD_MARGIN
    assert step(topping_up_(attempts=3)) is Step.FALL_BACK


def test_refused_margin_fails_with_the_reason() -> None:
    refused = topping_up.margin_refused(
        topping_up.margin_sent(topping_up_(), before=Decimal(200), seen_at=NOW, now=NOW), "no"
    )
    assert step(refused) is Step.FALL_BACK
    failed = saga.fall_back(refused, NOW)
    assert (failed.status, failed.reason) == (OperationStatus.FAILED, "no")


def test_margin_is_not_sent_long_after_it_was_confirmed() -> None:
    assert step(topping_up_(), now=NOW + timedelta(seconds=30)) is Step.FALL_BACK
