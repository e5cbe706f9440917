"""What the journal and the booked fills tell of a leg: who closed it, and what an operation has left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile

from chatbot.domain.account import STALE_READ, AccountView
from chatbot.domain.ending import slippage_between
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO, Instrument
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose, purpose_of
from chatbot.domain.ledger import missing, venue_quantity
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.order import Fill, FillCause
from chatbot.domain.quote import CloseWay, LegAction
from chatbot.domain.risk import LegCause
from chatbot.domain.saga import GONE
from chatbot.domain.scene import Exposure, LegEvidence

Intents = Mapping[str, OrderIntent]  # by client order id

VENUE_CAUSES = {
    FillCause.LIQUIDATION: LegCause.LIQUIDATED,
    FillCause.AUTO_DELEVERAGING: LegCause.AUTO_DELEVERAGED,
}


def cause_of(fill: Fill, intents: Intents) -> LegCause | None:
    """``None``: an operation of ours."""
    if fill.cause in VENUE_CAUSES:
        return VENUE_CAUSES[fill.cause]
    intent = intents.get(fill.client_order_id or "")
    if intent is None:
        return LegCause.BY_HAND if purpose_of(fill.client_order_id or "") is None else LegCause.FORGOTTEN
    return LegCause.STOPPED if intent.purpose.protective else None


def deliberate(hedge: Hedge, fills: Sequence[Fill], intents: Intents) -> bool:
    """Nothing but operations of ours has traded it, and both legs are of our making."""
    taken_over = hedge.offset is not None and hedge.offset.adopted
    return not taken_over and all(cause_of(fill, intents) is None for fill in fills)


def end_of_leg(hedge: Hedge, role: LegRole, fills: Sequence[Fill], intents: Intents) -> LegEvidence | None:
    """How a leg that holds nothing was closed; ``None`` by an operation of ours, or by no fill at all."""
    ours = [fill for fill in fills if fill.position_side is hedge.leg(role).side]
    if not ours or ours[-1].opens:
        return None
    cause = cause_of(ours[-1], intents)
    if cause is None:
        return None
    last = _run(ours, cause, intents)
    return LegEvidence(
        role,
        cause,
        before=sum((fill.quantity for fill in last), ZERO),
        at=last[-1].at,
        price=average_price(last),
        realized=sum((fill.realized_pnl for fill in last), ZERO),
        one_of_two=_one_of_two(ours[-1], intents),
    )


def cut_short(hedge: Hedge, role: LegRole, fills: Sequence[Fill], intents: Intents) -> LegEvidence | None:
    """Another hand's part in a leg that is empty though an operation of ours, of both legs, traded it last.

    ``None`` where the operation was of this leg alone, or knew of that part: what it left open was agreed to.
    """
    ours = [fill for fill in fills if fill.position_side is hedge.leg(role).side]
    last = intents.get(ours[-1].client_order_id or "") if ours else None
    if last is None:
        return None
    together = [intent for intent in intents.values() if intent.operation_id == last.operation_id]
    if {intent.leg for intent in together} != set(LegRole):
        return None
    theirs = _unforeseen(ours, [intent for intent in together if intent.leg is role], intents)
    if not theirs:
        return None
    return LegEvidence(
        role,
        cause_of(theirs[-1], intents) or LegCause.BY_HAND,
        before=sum((fill.quantity for fill in theirs), ZERO),
        at=theirs[-1].at,
        price=average_price(theirs),
        realized=sum((fill.realized_pnl for fill in theirs), ZERO),
    )


def _unforeseen(fills: Sequence[Fill], orders: Sequence[OrderIntent], intents: Intents) -> list[Fill]:
    """What another hand has closed since the reading that the orders go by, or of what they were to close."""
    theirs = [fill for fill in fills if not fill.opens and cause_of(fill, intents) is not None]
    first, ids = orders[0], {order.client_order_id for order in orders}
    later = [fill for fill in theirs if fill.at >= first.created_at - STALE_READ]
    closed = sum((fill.quantity for fill in fills if fill.client_order_id in ids), ZERO)
    if later or not first.reduce_only or closed >= first.quantity:
        return later
    return [fill for fill in theirs if fill in _since_opened(fills)]


def _since_opened(fills: Sequence[Fill]) -> list[Fill]:
    return list(takewhile(lambda fill: not fill.opens, reversed(fills)))[::-1]


def _one_of_two(fill: Fill, intents: Intents) -> bool:
    intent = intents.get(fill.client_order_id or "")
    return intent is not None and intent.purpose is Purpose.CLOSE_AT_PRICE


def _run(fills: Sequence[Fill], cause: LegCause, intents: Intents) -> list[Fill]:
    """The closing fills of one cause at the end of the history."""
    run: list[Fill] = []
    for fill in reversed(fills):
        if fill.opens or cause_of(fill, intents) is not cause:
            break
        run.insert(0, fill)
    return run


def average_price(fills: Sequence[Fill]) -> Decimal:
    if len(fills) == 1:
        return fills[0].price
    return sum((f.quantity * f.price for f in fills), ZERO) / sum((f.quantity for f in fills), ZERO)


def lost_role(hedge: Hedge, view: AccountView) -> LegRole | None:
    """The leg that the venue holds nothing of while it holds the other."""
    if hedge.offset is None:
        return None
    empty = [role for role in LegRole if venue_quantity(view, hedge, role) == 0]
    return empty[0] if len(empty) == 1 else None


def lost_leg(
    hedge: Hedge, role: LegRole, fills: Sequence[Fill], intents: Intents, *, busy: bool = False
) -> LegEvidence | None:
    """A leg that the ledger still holds and the venue does not: nothing has told yet where it went.

    ``busy``: an operation still trades the pair, and may close what is left.
    """
    if hedge.leg(role).quantity == 0:
        end = end_of_leg(hedge, role, fills, intents)
        return end if end is not None or busy else cut_short(hedge, role, fills, intents)
    return LegEvidence(role, LegCause.UNEXPLAINED, before=hedge.leg(role).quantity)


def gone_roles(hedge: Hedge, view: AccountView) -> tuple[LegRole, ...]:
    """Legs that the venue holds nothing of: of a pair that still has the other, or that the ledger misses."""
    lost, missed = lost_role(hedge, view), missing(hedge, view)
    return tuple(role for role in LegRole if role is lost or role in missed)


def end_of_hedge(
    hedge: Hedge, instrument: Instrument, fills: Sequence[Fill], intents: Intents
) -> LegEvidence | None:
    """How a hedge came to be closed by its last fill; ``None`` by an operation of ours.

    ``fills`` in their order; those of one instant as they were booked.
    """
    if hedge.live or not fills:
        return None
    role = hedge.leg_on(fills[-1].position_side).role
    end = end_of_leg(hedge, role, fills, intents)
    if end is None:
        return None
    other = end_of_leg(hedge, role.counterpart, fills, intents)
    return replace(end, slippage=_slippage(hedge, instrument, fills, intents), other=other)


def _slippage(
    hedge: Hedge, instrument: Instrument, fills: Sequence[Fill], intents: Intents
) -> Decimal | None:
    """Where nothing but one close at a price has ever closed any of it."""
    closings = [fill for fill in fills if not fill.opens]
    operations = {_operation_at_price(fill, intents) for fill in closings}
    if hedge.offset is None or len(operations) != 1 or None in operations:
        return None
    by_role = {role: [f for f in closings if f.position_side is hedge.leg(role).side] for role in LegRole}
    return slippage_between(hedge, instrument, by_role)


def _operation_at_price(fill: Fill, intents: Intents) -> str | None:
    intent = intents.get(fill.client_order_id or "")
    return intent.operation_id if intent is not None and _one_of_two(fill, intents) else None


def exposure_of(operation: Operation, hedge: Hedge, view: AccountView, now: datetime) -> Exposure | None:
    """What an operation in flight has left uncovered so far.

    The venue's word counts beside the ledger's: an order without an answer may have closed its leg already.
    """
    role, quantity = _gap(operation, hedge, view)
    if quantity <= 0:
        return None
    lasting = max(now - operation.started_at, timedelta(0))
    opens = any(target.action is LegAction.OPEN for target in operation.targets)
    growing = opens and operation.status is OperationStatus.RUNNING
    return Exposure(hedge.leg(role).side, quantity, lasting, operation.trim_attempts, growing=growing)


def lopsided(operation: Operation) -> bool:
    """By what the journal has booked alone: one leg is done, or further on its way, and the other is not."""
    if operation.status is OperationStatus.TRIMMING:
        return operation.trim_filled < operation.trim_quantity
    pairwise = operation.way in (CloseWay.OFFSET_FIRST, CloseWay.AT_ONCE)
    together = operation.kind is OperationKind.ADJUST or (operation.kind is OperationKind.CLOSE and pairwise)
    if operation.status.final or not together or len(operation.targets) != 2:
        return False
    (done, whole), (other_done, other_whole) = map(_progress, operation.targets)
    return done * other_whole != other_done * whole


def _progress(target: Target) -> tuple[Decimal, Decimal]:
    return (target.quantity if target.given_up == GONE else target.filled), target.quantity


def _gap(operation: Operation, hedge: Hedge, view: AccountView) -> tuple[LegRole, Decimal]:
    """The larger leg, and by how much."""
    if operation.status is OperationStatus.TRIMMING:
        role = operation.trim_role or LegRole.PRIMARY
        return role, operation.trim_quantity - operation.trim_filled
    if operation.kind is OperationKind.ADJUST and len(operation.targets) > 1:
        return _ahead(operation, hedge, view)
    pairwise = operation.way in (CloseWay.OFFSET_FIRST, CloseWay.AT_ONCE)
    if operation.kind is not OperationKind.CLOSE or not pairwise:
        return LegRole.PRIMARY, ZERO
    closed = {role: _closed(operation, hedge, view, role) for role in LegRole}
    ahead = closed[LegRole.OFFSET] - closed[LegRole.PRIMARY]
    return (LegRole.PRIMARY, ahead) if ahead >= 0 else (LegRole.OFFSET, -ahead)


def _ahead(operation: Operation, hedge: Hedge, view: AccountView) -> tuple[LegRole, Decimal]:
    """Legs that change together: which one is too large as long as the other has not followed."""
    opens = operation.targets[0].action is LegAction.OPEN
    done = _opened if opens else _closed
    short = {r: operation.target(r).quantity - done(operation, hedge, view, r) for r in LegRole}
    less, more = sorted(LegRole, key=lambda role: short[role])
    return (less if opens else more), short[more] - short[less]


def _opened(operation: Operation, hedge: Hedge, view: AccountView, role: LegRole) -> Decimal:
    target = operation.target(role)
    at_venue = venue_quantity(view, hedge, role) - (hedge.leg(role).quantity - target.filled)
    return min(max(target.filled, at_venue), target.quantity)


def _closed(operation: Operation, hedge: Hedge, view: AccountView, role: LegRole) -> Decimal:
    target = operation.target(role)
    if target.given_up == GONE:
        return target.quantity
    at_venue = hedge.leg(role).quantity + target.filled - venue_quantity(view, hedge, role)
    return min(max(target.filled, at_venue), target.quantity)


def without_answer(intents: Sequence[OrderIntent], now: datetime) -> tuple[int, timedelta]:
    """How many orders nobody knows the outcome of, and for how long the oldest."""
    open_ended = [i for i in intents if i.status in (IntentStatus.UNKNOWN, IntentStatus.JOURNALED)]
    if not open_ended:
        return 0, timedelta(0)
    return len(open_ended), max(now - min(intent.created_at for intent in open_ended), timedelta(0))
