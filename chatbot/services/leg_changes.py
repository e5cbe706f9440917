"""What a booking has found to have changed in a leg without an operation of ours, and by whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import ZERO
from chatbot.domain.intent import OrderIntent, Purpose, purpose_of
from chatbot.domain.ledger import differences, venue_quantity
from chatbot.domain.order import Fill, FillCause
from chatbot.ports import BookedFill


class ChangeCause(StrEnum):
    LIQUIDATED = "liquidated"
    AUTO_DELEVERAGED = "auto_deleveraged"
    STOPPED = "stopped"  # by a stop-loss or take-profit of ours that fired
    AT_PRICE = "at_price"  # by one of two closing orders of ours
    BY_HAND = "by_hand"
    FORGOTTEN = "forgotten"  # by an order of ours that a restored journal does not know
    UNEXPLAINED = "unexplained"


_CAUSES = {
    FillCause.LIQUIDATION: ChangeCause.LIQUIDATED,
    FillCause.AUTO_DELEVERAGING: ChangeCause.AUTO_DELEVERAGED,
}


@dataclass(frozen=True, slots=True)
class LegChange:
    """A leg that changed without an operation of ours. ``price``, ``realized``: ``None`` when unexplained.

    ``late``: told after it had been taken over at the venue's word. ``made_good``: what else happened to
    the leg has left it as it was.
    """

    hedge: Hedge  # after the change
    role: LegRole
    before: Decimal
    after: Decimal
    cause: ChangeCause
    at: datetime  # venue time
    price: Decimal | None = None
    realized: Decimal | None = None
    late: bool = False
    made_good: bool = False


Booked = tuple[BookedFill, ChangeCause | None]  # None: by an operation of ours


def cause_of_ours(intent: OrderIntent) -> ChangeCause | None:
    """``None``: an operation that has ended, and has said so."""
    if not intent.purpose.protective:
        return None
    return ChangeCause.AT_PRICE if intent.purpose is Purpose.CLOSE_AT_PRICE else ChangeCause.STOPPED


def cause_of_foreign(fill: Fill) -> ChangeCause:
    ours = purpose_of(fill.client_order_id or "") is not None
    return _CAUSES.get(fill.cause, ChangeCause.FORGOTTEN if ours else ChangeCause.BY_HAND)


def changes_of(
    before: Hedge, after: Hedge, booked: Sequence[Booked], view: AccountView
) -> tuple[LegChange, ...]:
    if after.status is HedgeStatus.FROZEN and before.status is not HedgeStatus.FROZEN:
        return tuple(
            LegChange(
                after,
                role,
                after.leg(role).quantity,
                venue_quantity(view, after, role),
                ChangeCause.UNEXPLAINED,
                view.at,
            )
            for role in differences(after, view)
        )
    roles = dict.fromkeys(row.leg for row, _ in booked)
    return tuple(change for role in roles for change in _of_leg(role, before, after, booked))


def late_change(hedge: Hedge, role: LegRole, rows: Sequence[BookedFill]) -> LegChange:
    fills = [row.fill for row in rows if row.leg is role]
    change = _change_by(fills, hedge, role, cause_of_foreign(fills[-1]))
    return replace(change, before=sum((f.quantity for f in fills), ZERO), after=ZERO, late=True)


def _of_leg(role: LegRole, before: Hedge, after: Hedge, booked: Sequence[Booked]) -> Iterator[LegChange]:
    """One, by what came last; each by itself where they have made up for each other."""
    fills = [(row.fill, cause) for row, cause in booked if row.leg is role]
    held, theirs = before.leg(role).quantity, [(fill, cause) for fill, cause in fills if cause is not None]
    if held != after.leg(role).quantity:
        if theirs:
            yield replace(_change_by([fill for fill, _ in theirs], after, role, theirs[-1][1]), before=held)
        return
    for (cause, _), run in groupby(fills, key=lambda each: (each[1], each[0].opens)):
        part = [fill for fill, _ in run]
        then = held + sum((fill.signed_change for fill in part), ZERO)
        if cause is not None:
            yield replace(_change_by(part, after, role, cause), before=held, after=then, made_good=True)
        held = then


def _change_by(fills: Sequence[Fill], after: Hedge, role: LegRole, cause: ChangeCause) -> LegChange:
    quantity = sum((f.quantity for f in fills), ZERO)
    value = sum((f.quantity * f.price for f in fills), ZERO)
    return LegChange(
        hedge=after,
        role=role,
        before=quantity,
        after=after.leg(role).quantity,
        cause=cause,
        at=fills[-1].at,
        price=value / quantity,
        realized=sum((f.realized_pnl for f in fills), ZERO),
    )
