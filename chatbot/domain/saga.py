"""What comes next for an operation: one literal table, and the pure folds that move it along.

The saga is driven by state, not by memory: ``next_step`` looks only at what the journal holds, so a process
that died anywhere goes on exactly where the journal says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose
from chatbot.domain.operation import MAX_ATTEMPTS, Operation, OperationKind, OperationStatus, Target
from chatbot.domain.protection import stops_left_over, stops_missing, stops_replaced
from chatbot.domain.quote import CloseWay, LegAction
from chatbot.errors import InvariantBroken

ALARM_AFTER_TRIMS = 5
GONE = "the leg is gone"
NOTHING_TO_HEDGE = "the leg to be hedged is gone"


class Situation(StrEnum):
    IN_FLIGHT = "in_flight"  # an order's outcome is not settled
    LEFT_TO_SEND = "left_to_send"
    GAVE_UP = "gave_up"  # a target that can be tried no more
    STAGE_DONE = "stage_done"
    STOPS_MISSING = "stops_missing"
    STOPS_LEFT_OVER = "stops_left_over"  # resting orders larger than their leg, or replaced by newer ones
    MARGIN_DUE = "margin_due"
    MARGIN_SENT = "margin_sent"  # without an answer
    ALL_DONE = "all_done"


class Step(StrEnum):
    SETTLE = "settle"
    PLACE = "place"
    TRIM = "trim"
    ENTER_NEXT_STAGE = "enter_next_stage"
    FALL_BACK = "fall_back"
    PROTECT = "protect"
    TIDY = "tidy"
    ADD_MARGIN = "add_margin"
    FIND_MARGIN = "find_margin"
    FINISH = "finish"
    REST = "rest"


_S, _T = OperationStatus, Situation

STEPS: dict[tuple[OperationStatus, Situation], Step] = {
    (_S.RUNNING, _T.IN_FLIGHT): Step.SETTLE,
    (_S.RUNNING, _T.LEFT_TO_SEND): Step.PLACE,
    (_S.RUNNING, _T.GAVE_UP): Step.FALL_BACK,
    (_S.RUNNING, _T.STAGE_DONE): Step.ENTER_NEXT_STAGE,
    (_S.RUNNING, _T.STOPS_MISSING): Step.PROTECT,
    (_S.RUNNING, _T.STOPS_LEFT_OVER): Step.TIDY,
    (_S.RUNNING, _T.MARGIN_DUE): Step.ADD_MARGIN,
    (_S.RUNNING, _T.MARGIN_SENT): Step.FIND_MARGIN,
    (_S.RUNNING, _T.ALL_DONE): Step.FINISH,
    # Trimming never gives up: an unequal pair is not left alone.
    (_S.TRIMMING, _T.IN_FLIGHT): Step.SETTLE,
    (_S.TRIMMING, _T.LEFT_TO_SEND): Step.TRIM,
    (_S.TRIMMING, _T.STOPS_MISSING): Step.PROTECT,
    (_S.TRIMMING, _T.STOPS_LEFT_OVER): Step.TIDY,
    (_S.TRIMMING, _T.ALL_DONE): Step.FINISH,
}


def next_step(operation: Operation, hedge: Hedge, intents: Sequence[OrderIntent], now: datetime) -> Step:
    """``intents`` are all of this hedge; those of earlier operations matter only where they still rest."""
    if operation.status.final:
        return Step.REST
    situation = _situation(operation, hedge, intents, now)
    step = STEPS.get((operation.status, situation))
    if step is None:
        raise InvariantBroken(f"operation {operation.id} is {operation.status} and {situation}")
    return step


def in_flight(operation: Operation, intents: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Orders of the operation whose outcome is open; a resting stop is settled."""
    return tuple(i for i in intents if i.operation_id == operation.id and not _settled(i))


def _settled(intent: OrderIntent) -> bool:
    resting = intent.purpose.protective and intent.status is IntentStatus.OPEN
    return intent.status.final or resting


def _situation(
    operation: Operation, hedge: Hedge, intents: Sequence[OrderIntent], now: datetime
) -> Situation:
    if in_flight(operation, intents):
        return Situation.IN_FLIGHT
    trading = _trimming(operation) if operation.status is _S.TRIMMING else _running(operation, now)
    if trading is not Situation.ALL_DONE:
        return trading
    if stops_missing(operation, intents):
        return Situation.STOPS_MISSING
    left_over = stops_left_over(hedge, intents) or stops_replaced(operation, intents)
    return Situation.STOPS_LEFT_OVER if left_over else Situation.ALL_DONE


def _trimming(operation: Operation) -> Situation:
    left = operation.trim_quantity - operation.trim_filled
    return Situation.LEFT_TO_SEND if left > 0 else Situation.ALL_DONE


def _running(operation: Operation, now: datetime) -> Situation:
    if operation.kind is OperationKind.MARGIN:
        return _topping_up(operation.targets[0], operation, now)
    left = [target for target in operation.current if not complete(target)]
    if any(_exhausted(operation, target, now) for target in left):
        # Those that can still be tried go first: falling back is for when nothing else can be done.
        more = [t for t in left if not _exhausted(operation, t, now)]
        return Situation.LEFT_TO_SEND if more else Situation.GAVE_UP
    if left:
        return Situation.LEFT_TO_SEND
    last = max(target.stage for target in operation.targets)
    return Situation.STAGE_DONE if operation.stage < last else Situation.ALL_DONE


def _topping_up(target: Target, operation: Operation, now: datetime) -> Situation:
    """Sent without an answer is looked up, however late it has become; only the unsent grows too old."""
    top_up = target.top_up
    if top_up is None:
        raise InvariantBroken(f"operation {operation.id} adds margin and does not say how much")
    if top_up.arrived:
        return Situation.ALL_DONE
    if top_up.sent_at is not None and not target.given_up:
        return Situation.MARGIN_SENT
    return Situation.GAVE_UP if _exhausted(operation, target, now) else Situation.MARGIN_DUE


def complete(target: Target) -> bool:
    """A conditional close trades later, by itself: for the operation there is nothing to fill."""
    return target.left <= 0 or target.given_up == GONE or target.trigger_price is not None


def _exhausted(operation: Operation, target: Target, now: datetime) -> bool:
    return bool(target.given_up) or target.attempts >= MAX_ATTEMPTS or _too_late(operation, now)


def _too_late(operation: Operation, now: datetime) -> bool:
    """A close that has begun goes on; anything else is not started long after it was confirmed."""
    begun = operation.kind is OperationKind.CLOSE and any(t.filled > 0 for t in operation.targets)
    return now >= operation.deadline_at and not begun


def to_place(operation: Operation, now: datetime) -> tuple[Target, ...]:
    return tuple(t for t in operation.current if not complete(t) and not _exhausted(operation, t, now))


def back_off(attempts: int) -> float:
    """Seconds to wait before the next try of the same thing."""
    return 0.0 if attempts == 0 else min(60.0, 0.5 * 2 ** (attempts - 1))


# --- folds --------------------------------------------------------------------------------------


def sent(operation: Operation, intent: OrderIntent) -> Operation:
    """The intent is being journaled: it counts as an attempt from now on."""
    if intent.purpose.protective:
        return operation
    if intent.purpose is Purpose.TRIM:
        return replace(operation, trim_attempts=operation.trim_attempts + 1)
    target = operation.target(intent.leg)
    return operation.with_target(replace(target, attempts=target.attempts + 1))


def filled(
    operation: Operation,
    intent: OrderIntent,
    *,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal,
) -> Operation:
    if intent.purpose.protective:
        return operation
    if intent.purpose is Purpose.TRIM:
        return replace(operation, trim_filled=operation.trim_filled + quantity)
    target = operation.target(intent.leg)
    more = replace(
        target,
        filled=target.filled + quantity,
        cost=target.cost + quantity * price,
        fee=target.fee + fee,
    )
    # An earlier refusal is no news any more once the leg is what it should be.
    reason = "" if more.left <= 0 else operation.reason
    return replace(operation.with_target(more), reason=reason)


def refused(operation: Operation, intent: OrderIntent, reason: str, *, hopeless: bool) -> Operation:
    """Proven: the venue did nothing. ``hopeless``: trying again cannot help."""
    noted = replace(operation, reason=reason)
    if intent.purpose is Purpose.TRIM or intent.purpose.protective or not hopeless:
        return noted
    return noted.with_target(replace(noted.target(intent.leg), given_up=reason))


def recounted(operation: Operation, intents: Sequence[OrderIntent]) -> Operation:
    """What has been filled is what the journal's orders say, whoever booked it."""
    ours = [i for i in intents if i.operation_id == operation.id]
    targets = tuple(_recounted(target, ours) for target in operation.targets)
    trimmed = sum((i.filled_quantity for i in ours if i.purpose is Purpose.TRIM), ZERO)
    return replace(operation, targets=targets, trim_filled=trimmed)


def _recounted(target: Target, ours: Sequence[OrderIntent]) -> Target:
    trades = (Purpose.OPEN, Purpose.CLOSE)
    orders = [i for i in ours if i.leg is target.role and i.purpose in trades and i.filled_quantity]
    filled = sum((i.filled_quantity for i in orders), ZERO)
    if filled == target.filled:
        return target
    cost = sum((i.filled_quantity * (i.average_price or ZERO) for i in orders), ZERO)
    return replace(target, filled=filled, cost=cost, fee=sum((i.fee for i in orders), ZERO))


def hedge_fits(operation: Operation, hedge: Hedge) -> Operation:
    """The leg to be hedged holds less than when it was confirmed: the other one never outgrows it."""
    if operation.status is not _S.RUNNING:
        return operation
    if operation.kind is OperationKind.HEDGE:
        (wanted,) = operation.targets
        return _within(operation, wanted, _room(hedge, wanted.role))
    if operation.kind is OperationKind.ADJUST:
        for wanted in (t for t in operation.targets if t.action is LegAction.OPEN):
            operation = _within(operation, wanted, _room_to_grow(operation, hedge, wanted))
    return operation


def _room(hedge: Hedge, role: LegRole) -> Decimal:
    return hedge.leg(role.counterpart).quantity - hedge.leg(role).quantity


def _room_to_grow(operation: Operation, hedge: Hedge, wanted: Target) -> Decimal:
    """An offset grows up to its primary, with what that one still gets; a primary beside a leg it lost not.

    A primary alone may grow as it was confirmed.
    """
    partner = next((t for t in operation.targets if t.role is wanted.role.counterpart), None)
    coming = partner.left if partner is not None and not partner.given_up else ZERO
    if wanted.role is not hedge.protected:
        return _room(hedge, wanted.role) + max(ZERO, coming)
    alone = partner is not None and hedge.leg(wanted.role.counterpart).quantity == 0
    return ZERO if alone else wanted.left


def _within(operation: Operation, wanted: Target, room: Decimal) -> Operation:
    if wanted.left <= room:
        return operation
    if room <= 0 and wanted.filled == 0:
        given_up = replace(wanted, given_up=NOTHING_TO_HEDGE)
        return replace(operation.with_target(given_up), reason=NOTHING_TO_HEDGE)
    return operation.with_target(replace(wanted, quantity=wanted.filled + max(ZERO, room)))


def waited(operation: Operation, time: timedelta) -> Operation:
    """Its turn came late, behind another order of the account: that is no reason to drop it."""
    if any(target.attempts for target in operation.targets):
        return operation
    return replace(operation, deadline_at=operation.deadline_at + time)


def leg_holds(operation: Operation, role: LegRole, quantity: Decimal) -> Operation:
    """The venue holds less than we meant to close: close what is there. A gone leg is not an error."""
    if operation.status is _S.TRIMMING:
        left = min(operation.trim_quantity - operation.trim_filled, quantity)
        return replace(operation, trim_quantity=operation.trim_filled + left)
    target = operation.target(role)
    if quantity == 0:
        return operation.with_target(replace(target, given_up=GONE))
    left = min(target.left, quantity)
    return operation.with_target(replace(target, quantity=target.filled + left))


def enter_next_stage(operation: Operation) -> Operation:
    return replace(operation, stage=operation.stage + 1)


def fall_back(operation: Operation, now: datetime) -> Operation:
    """Nothing more can be tried: leave things as they are where that is safe, else trim the gap."""
    role, gap = _gap(operation)
    if gap > 0:
        return replace(operation, status=_S.TRIMMING, trim_role=role, trim_quantity=gap)
    if any(target.filled > 0 for target in operation.targets):
        return _content_with_less(operation)
    return fail(operation, operation.reason or "the order was not filled in time", now)


def _gap(operation: Operation) -> tuple[LegRole, Decimal]:
    """Which leg is too large by how much, because its counterpart did not come about."""
    if operation.kind is OperationKind.HEDGE:
        (wanted,) = operation.targets  # the offset, or the primary where that one is to be restored
        return wanted.role.counterpart, wanted.left if wanted.filled > 0 else ZERO
    if operation.kind is OperationKind.ADJUST and len(operation.targets) > 1:
        return _gap_of_adjustment(operation)
    if operation.way not in (CloseWay.OFFSET_FIRST, CloseWay.AT_ONCE):
        return LegRole.PRIMARY, ZERO
    ahead = _closed(operation, LegRole.OFFSET) - _closed(operation, LegRole.PRIMARY)
    behind = LegRole.PRIMARY if ahead >= 0 else LegRole.OFFSET
    # Of unequal legs unequal parts were to be closed: never more of one than was confirmed.
    return behind, min(abs(ahead), max(ZERO, operation.target(behind).left))


def _gap_of_adjustment(operation: Operation) -> tuple[LegRole, Decimal]:
    """Legs that were to change together and did not: what grew is cut back, what shrank is followed."""
    short = {role: operation.target(role).quantity - _closed(operation, role) for role in LegRole}
    less, more = sorted(LegRole, key=lambda role: short[role])
    gap = short[more] - short[less]
    if operation.targets[0].action is LegAction.OPEN:
        return less, min(gap, operation.target(less).filled)
    return more, min(gap, max(ZERO, operation.target(more).left))


def _closed(operation: Operation, role: LegRole) -> Decimal:
    target = operation.target(role)
    return target.quantity if target.given_up == GONE else target.filled


def _content_with_less(operation: Operation) -> Operation:
    """What was filled is kept, protected and tidied; the last stage is entered as nothing else is tried."""
    short = next(target for target in operation.targets if target.left > 0)
    reason = f"only {short.filled.normalize():f} of {short.quantity.normalize():f} was filled"
    targets = tuple(_as_filled(target) for target in operation.targets)
    last = max(target.stage for target in targets)
    return replace(operation, targets=targets, stage=last, reason=reason)


def _as_filled(target: Target) -> Target:
    gone = target.given_up == GONE
    return target if gone else replace(target, quantity=target.filled, given_up="")


def finish(operation: Operation, now: datetime) -> Operation:
    return replace(operation, status=_S.DONE, finished_at=now)


def fail(operation: Operation, reason: str, now: datetime) -> Operation:
    return replace(operation, status=_S.FAILED, reason=reason, finished_at=now)


def freeze(operation: Operation, reason: str, now: datetime) -> Operation:
    return replace(operation, status=_S.FROZEN, reason=reason, finished_at=now)
