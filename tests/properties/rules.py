"""What must hold of money once all is quiet, whichever way it was tried: of rows and fills alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal

from chatbot.domain.hedge import Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import ZERO, Symbol
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose
from chatbot.domain.operation import Operation, OperationKind, OperationStatus
from chatbot.domain.order import Fill, OrderReport
from chatbot.domain.quote import LegAction


def require_every_operation_ended(operations: Sequence[Operation]) -> None:
    for operation in operations:
        assert operation.status.final, operation
        assert operation.finished_at is not None


def is_ours(fill: Fill) -> bool:
    return (fill.client_order_id or "").startswith("HR")


def ours(fills: Iterable[Fill]) -> list[Fill]:
    return [fill for fill in fills if is_ours(fill)]


def require_known_orders(intents: Sequence[OrderIntent], fills: Sequence[Fill]) -> None:
    known = {i.client_order_id: i for i in intents}
    filled: Counter[str] = Counter()
    for fill in ours(fills):
        assert fill.client_order_id in known, f"the journal does not know {fill}"
        filled[str(fill.client_order_id)] += fill.quantity  # type: ignore[assignment]
    for client_order_id, quantity in filled.items():
        assert quantity <= known[client_order_id].quantity, client_order_id


def require_settled_intents(hedges: Sequence[Hedge], intents: Sequence[OrderIntent]) -> None:
    frozen = {h.id for h in hedges if h.status is HedgeStatus.FROZEN}
    for intent in intents:
        resting = intent.purpose.protective and intent.status is IntentStatus.OPEN
        assert intent.status.final or resting or intent.hedge_id in frozen, intent


def require_no_orphans(
    open_orders: Sequence[OrderReport], hedges: Sequence[Hedge], intents: Sequence[OrderIntent]
) -> None:
    """``open_orders``: what rests at the venue."""
    by_id = {i.client_order_id: i for i in intents}
    of = {h.id: h for h in hedges}
    for order in open_orders:
        intent = by_id[order.client_order_id]
        hedge = of[intent.hedge_id]
        if hedge.status is HedgeStatus.FROZEN:
            continue
        assert intent.status is IntentStatus.OPEN, f"{intent.status} but rests: {order}"
        assert hedge.live, f"an order outlives its hedge: {order}"
        assert hedge.leg(intent.leg).quantity > 0, f"an order outlives its leg: {order}"
    resting = {order.client_order_id for order in open_orders}
    for intent in intents:
        if intent.status is IntentStatus.OPEN and of[intent.hedge_id].status is HedgeStatus.OPEN:
            assert intent.client_order_id in resting, f"the journal has it resting, the venue not: {intent}"


def require_fills_are_booked(
    hedges: Sequence[Hedge], intents: Sequence[OrderIntent], fills: Sequence[Fill]
) -> None:
    of = {h.id: h for h in hedges}
    for intent in intents:
        done = sum((f.quantity for f in fills if f.client_order_id == intent.client_order_id), ZERO)
        if of[intent.hedge_id].status is not HedgeStatus.FROZEN and "adopted" not in intent.reason:
            assert intent.filled_quantity == done, f"{intent.client_order_id} did {done}: {intent}"


def require_promised_stops(
    hedges: Sequence[Hedge], operations: Sequence[Operation], intents: Sequence[OrderIntent]
) -> None:
    of = {h.id: h for h in hedges}
    for operation in operations:
        hedge = of[operation.hedge_id]
        if operation.status is OperationStatus.FROZEN or hedge.status is not HedgeStatus.OPEN:
            continue
        for target in operation.targets:
            covered = target.filled or target.guards
            if covered == 0 or hedge.leg(target.role).quantity == 0:
                continue
            for purpose, price in (
                (Purpose.STOP_LOSS, target.stop_loss),
                (Purpose.TAKE_PROFIT, target.take_profit),
            ):
                mine = [
                    i.status
                    for i in intents
                    if i.operation_id == operation.id and i.purpose is purpose and i.leg is target.role
                ]
                if price is not None:
                    lost = {IntentStatus.ABSENT, IntentStatus.UNKNOWN}
                    assert set(mine) - lost or operation.reason, f"{purpose} of {operation.id}: {mine}"


def require_legs_change_together(
    operations: Sequence[Operation],
    intents: Sequence[OrderIntent],
    confirmed: Mapping[str, Operation],
    disturbed: Container[Symbol],
) -> None:
    """Of an adjustment of both legs neither is left behind, whatever became of its orders."""
    for operation in operations:
        done = operation.status in (OperationStatus.DONE, OperationStatus.FAILED)
        both = operation.kind is OperationKind.ADJUST and len(operation.targets) == 2
        if not (done and both) or operation.symbol in disturbed:
            continue
        ours = [i for i in intents if i.operation_id == operation.id and not i.purpose.protective]
        if any(
            i.hedge_id == operation.hedge_id and i.purpose.protective and i.filled_quantity for i in intents
        ):
            continue
        wanted = confirmed[operation.id].targets
        change = {role: sum((_signed(i) for i in ours if i.leg is role), ZERO) for role in LegRole}
        less, more = sorted(wanted, key=lambda target: target.quantity - abs(change[target.role]))
        ahead = abs(change[less.role]) - less.quantity - abs(change[more.role]) + more.quantity
        # Of unequal legs the smaller change is undone whole, and no more of it can be.
        undone = less.action is LegAction.OPEN and change[less.role] == 0
        assert ahead == 0 or undone, f"{operation.kind} {operation.id}: {change} of {wanted}"


def _signed(intent: OrderIntent) -> Decimal:
    opens = intent.side is intent.position_side.opening
    return intent.filled_quantity if opens else -intent.filled_quantity
