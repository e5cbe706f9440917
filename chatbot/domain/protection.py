"""Stops of an operation: promised, missing, lost, too large for their leg, or replaced by newer ones.

Read off the journal alone, like everything that the saga decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose
from chatbot.domain.operation import MAX_ATTEMPTS, Operation, OperationKind, Target

STOP_NOT_SET = "the exchange did not take the stop; what rested before stays"


@dataclass(frozen=True, slots=True)
class Stop:
    role: LegRole
    purpose: Purpose
    trigger_price: Decimal
    quantity: Decimal


def stops_missing(operation: Operation, intents: Sequence[OrderIntent]) -> tuple[Stop, ...]:
    """Stops that the plan promises and that are still to be set: never sent, or lost on the way.

    A refused one is not tried again.
    """
    return tuple(s for s in _promised(operation) if _worth_a_try(_tries(operation, s, intents)))


def stops_lost(operation: Operation, intents: Sequence[OrderIntent]) -> tuple[Stop, ...]:
    """Stops that the plan promises and that never reached the venue, however often they were sent."""
    tries = ((stop, _tries(operation, stop, intents)) for stop in _promised(operation))
    return tuple(stop for stop, tried in tries if all(i.status is IntentStatus.ABSENT for i in tried))


def tries_in_vain(operation: Operation, intents: Sequence[OrderIntent]) -> int:
    """How often the stop that was tried most never reached the venue."""
    tries = (_tries(operation, stop, intents) for stop in _promised(operation))
    return max((sum(i.status is IntentStatus.ABSENT for i in tried) for tried in tries), default=0)


def _promised(operation: Operation) -> list[Stop]:
    return [stop for target in operation.targets for stop in _stops_of(target)]


def _tries(operation: Operation, stop: Stop, intents: Sequence[OrderIntent]) -> list[OrderIntent]:
    ours = (i for i in intents if i.operation_id == operation.id)
    return [i for i in ours if (i.leg, i.purpose) == (stop.role, stop.purpose)]


def _worth_a_try(tries: Sequence[OrderIntent]) -> bool:
    """Only what never arrived is sent again."""
    return len(tries) < MAX_ATTEMPTS and all(i.status is IntentStatus.ABSENT for i in tries)


def _stops_of(target: Target) -> list[Stop]:
    if target.trigger_price is not None:
        return [Stop(target.role, Purpose.CLOSE_AT_PRICE, target.trigger_price, target.quantity)]
    prices = ((Purpose.STOP_LOSS, target.stop_loss), (Purpose.TAKE_PROFIT, target.take_profit))
    return [
        Stop(target.role, purpose, price, target.guards or target.filled)
        for purpose, price in prices
        if price is not None and (target.guards or target.filled) > 0
    ]


def stops_replaced(operation: Operation, intents: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Earlier stops that the operation takes away; those it renews only once the new one stands."""
    return tuple(
        i
        for target in operation.targets
        for i in intents
        if i.operation_id != operation.id
        and i.leg is target.role
        and i.purpose in target.replaces
        and i.status is IntentStatus.OPEN
        and not _waits_for_its_heir(operation, target, i.purpose, intents)
    )


def _waits_for_its_heir(
    operation: Operation, target: Target, purpose: Purpose, intents: Sequence[OrderIntent]
) -> bool:
    """Of two orders that close a pair at a price both have to stand."""
    both = purpose is Purpose.CLOSE_AT_PRICE
    heirs = [s for s in _promised(operation) if s.purpose is purpose and (both or s.role is target.role)]
    return any(not _stands(_tries(operation, heir, intents)) for heir in heirs)


def _stands(tries: Sequence[OrderIntent]) -> bool:
    return any(i.status in (IntentStatus.OPEN, IntentStatus.FILLED) for i in tries)


def stops_refused(operation: Operation, intents: Sequence[OrderIntent]) -> bool:
    """Of an operation that is about nothing but stops: one of them does not stand."""
    if operation.kind is not OperationKind.STOPS:
        return False
    return any(not _stands(_tries(operation, stop, intents)) for stop in _promised(operation))


def stops_left_over(hedge: Hedge, intents: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Resting orders that would close more than their leg holds: they would hit a later position."""
    return tuple(
        i
        for i in intents
        if i.purpose.protective and i.status is IntentStatus.OPEN and i.left > hedge.leg(i.leg).quantity
    )


def needs_replacement(
    operation: Operation, stop: OrderIntent, held: Decimal, intents: Sequence[OrderIntent]
) -> bool:
    """Before a stop larger than its leg goes, one that fits is set: a leg is never without its stop."""
    like = (stop.leg, stop.purpose, stop.trigger_price)
    ours = (i for i in intents if i.operation_id == operation.id and i.quantity <= held)
    fitting = [i for i in ours if (i.leg, i.purpose, i.trigger_price) == like]
    return held > 0 and _worth_a_try(fitting)
