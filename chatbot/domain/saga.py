"""What comes next for an operation: one literal table, and the pure folds that move it along.

The saga is driven by state, not by memory: ``next_step`` looks only at what the journal holds, so a process
that died anywhere goes on exactly where the journal says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.quote import CloseWay
from chatbot.errors import InvariantBroken

MAX_ATTEMPTS = 3
ALARM_AFTER_TRIMS = 5
GONE = "the leg is gone"


class Situation(StrEnum):
    IN_FLIGHT = "in_flight"  # an order's outcome is not settled
    LEFT_TO_SEND = "left_to_send"
    GAVE_UP = "gave_up"  # a target that can be tried no more
    STAGE_DONE = "stage_done"
    STOPS_MISSING = "stops_missing"
    STOPS_LEFT_OVER = "stops_left_over"  # resting orders larger than their leg
    ALL_DONE = "all_done"


class Step(StrEnum):
    SETTLE = "settle"
    PLACE = "place"
    TRIM = "trim"
    ENTER_NEXT_STAGE = "enter_next_stage"
    FALL_BACK = "fall_back"
    PROTECT = "protect"
    TIDY = "tidy"
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
    return Situation.STOPS_LEFT_OVER if stops_left_over(hedge, intents) else Situation.ALL_DONE


def _trimming(operation: Operation) -> Situation:
    left = operation.trim_quantity - operation.trim_filled
    return Situation.LEFT_TO_SEND if left > 0 else Situation.ALL_DONE


def _running(operation: Operation, now: datetime) -> Situation:
    left = [target for target in operation.current if not complete(target)]
    if any(_exhausted(operation, target, now) for target in left):
        # Those that can still be tried go first: falling back is for when nothing else can be done.
        more = [t for t in left if not _exhausted(operation, t, now)]
        return Situation.LEFT_TO_SEND if more else Situation.GAVE_UP
    if left:
        return Situation.LEFT_TO_SEND
    last = max(target.stage for target in operation.targets)
    return Situation.STAGE_DONE if operation.stage < last else Situation.ALL_DONE


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


# --- stops --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stop:
    role: LegRole
    purpose: Purpose
    trigger_price: Decimal
    quantity: Decimal


def stops_missing(operation: Operation, intents: Sequence[OrderIntent]) -> tuple[Stop, ...]:
    """Stops that the plan promises and the journal does not know yet. A refused one is not tried again."""
    known = {(i.leg, i.purpose) for i in intents if i.operation_id == operation.id}
    wanted = [stop for target in operation.targets for stop in _stops_of(target)]
    return tuple(stop for stop in wanted if (stop.role, stop.purpose) not in known)


def _stops_of(target: Target) -> list[Stop]:
    if target.trigger_price is not None:
        return [Stop(target.role, Purpose.CLOSE_AT_PRICE, target.trigger_price, target.quantity)]
    prices = ((Purpose.STOP_LOSS, target.stop_loss), (Purpose.TAKE_PROFIT, target.take_profit))
    return [
        Stop(target.role, purpose, price, target.filled)
        for purpose, price in prices
        if price is not None and target.filled > 0
    ]


def stops_left_over(hedge: Hedge, intents: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Resting orders that would close more than their leg holds: they would hit a later position."""
    return tuple(
        i
        for i in intents
        if i.purpose.protective and i.status is IntentStatus.OPEN and i.left > hedge.leg(i.leg).quantity
    )


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
    if intent.purpose in (Purpose.TRIM, Purpose.STOP_LOSS, Purpose.TAKE_PROFIT) or not hopeless:
        return noted
    return noted.with_target(replace(noted.target(intent.leg), given_up=reason))


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
    if operation.kind is OperationKind.OPEN and operation.targets[0].filled > 0:
        return _content_with_less(operation)
    done = any(target.filled > 0 for target in operation.targets)
    return replace(
        operation,
        status=_S.DONE if done else _S.FAILED,
        finished_at=now,
        reason=operation.reason or "the order was not filled in time",
    )


def _gap(operation: Operation) -> tuple[LegRole, Decimal]:
    """Which leg is too large by how much, because its counterpart did not come about."""
    if operation.kind is OperationKind.HEDGE:
        (wanted,) = operation.targets  # the offset, or the primary where that one is to be restored
        return wanted.role.counterpart, wanted.left if wanted.filled > 0 else ZERO
    if operation.way not in (CloseWay.OFFSET_FIRST, CloseWay.AT_ONCE):
        return LegRole.PRIMARY, ZERO
    ahead = _closed(operation, LegRole.OFFSET) - _closed(operation, LegRole.PRIMARY)
    return (LegRole.PRIMARY, ahead) if ahead >= 0 else (LegRole.OFFSET, -ahead)


def _closed(operation: Operation, role: LegRole) -> Decimal:
    target = operation.target(role)
    return target.quantity if target.given_up == GONE else target.filled


def _content_with_less(operation: Operation) -> Operation:
    target = operation.targets[0]
    short = replace(operation, reason=f"only {target.filled} of {target.quantity} was filled")
    return short.with_target(replace(target, quantity=target.filled, given_up=""))


def finish(operation: Operation, now: datetime) -> Operation:
    return replace(operation, status=_S.DONE, finished_at=now)


def freeze(operation: Operation, reason: str, now: datetime) -> Operation:
    return replace(operation, status=_S.FROZEN, reason=reason, finished_at=now)
