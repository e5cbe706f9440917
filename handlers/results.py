"""What came of it: the lines of a finished hedge or close, which add up to the last digit shown.

Everything is the ledger's: entries, realized PnL, fees and funding as booked from the venue's own fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chatbot.domain.ending import Ending, ending_of, slippage_between
from chatbot.domain.hedge import Leg, LegRole
from chatbot.domain.instrument import ZERO
from chatbot.domain.operation import Operation
from chatbot.domain.order import Fill
from chatbot.domain.pnl import ClosingCosts, Lock, lock_now
from chatbot.ports import Progress
from handlers.sums import Sum
from handlers.text import listing


def lock_of(progress: Progress) -> Sum:
    """What a pair has locked; what closing it will cost is the offer's estimate, as ``/status`` has it."""
    hedge, instrument = progress.hedge, progress.instrument
    lock = lock_now(hedge, instrument, hedge.leg(LegRole.OFFSET).entry_price)
    later = _closing_costs(progress.operation, lock)
    parts = [
        ("fees paid", lock.fees_paid),
        ("fees to close ~", later.fees),
        ("spread to close ~", later.spread),
        ("funding so far", lock.funding),
    ]
    if lock.realized:
        parts.append(("realized so far", lock.realized))
    return Sum(("gross lock", lock.gross), tuple(parts), "net lock ~", instrument.settle)


def _closing_costs(operation: Operation, lock: Lock) -> ClosingCosts:
    """Of as much as both legs share; as if closed at one price where the offer did not tell."""
    told = next((t.closing_costs for t in operation.targets if t.closing_costs is not None), None)
    return ClosingCosts(lock.fees_to_close, ZERO) if told is None else told.times(lock.quantity)


# --- closing ------------------------------------------------------------------------------------


def whole_result(progress: Progress) -> Sum:
    """The whole life of a closed hedge, from its first fill to its last."""
    return sum_of(end_of(progress), progress.instrument.settle)


def end_of(progress: Progress) -> Ending:
    return ending_of(progress.hedge, progress.instrument, _slippage_between_legs(progress))


def sum_of(ended: Ending, currency: str) -> Sum:
    costs = (("fees", ended.fees), ("funding", ended.funding))
    net = "known so far" if ended.lacking else "net result"
    if ended.slippage is not None:
        head = ("gross lock", ended.realized - ended.slippage)
        return Sum(head, (("slippage of close", ended.slippage), *costs), net, currency)
    legs = tuple((f"{side} leg", realized) for side, realized in ended.legs)
    return Sum(legs[0], (*legs[1:], *costs), net, currency)


def not_counted(ended: Ending) -> str:
    """What is not in the result, as far as anybody can say."""
    told = [f"⚠️ {ended.lacking}"] if ended.lacking else []
    if ended.adopted:
        legs = listing(ended.adopted, last="and")
        told.append(f"What the {legs} leg cost before I knew of it is not in here.")
    return "\n".join(told)


def _slippage_between_legs(progress: Progress) -> Decimal | None:
    """``None`` where the legs were not closed together, by this operation alone.

    The rest of what was realized is ``s x q x (E2 - E1)``: the lock itself, whatever the closing prices were.
    """
    operation = progress.operation
    if {target.role for target in operation.targets} != set(LegRole) or operation.trim_quantity:
        return None
    fills = {role: _closings(progress, role) for role in LegRole}
    if any(_quantity(fills[role]) != operation.target(role).filled for role in LegRole):
        return None
    return slippage_between(progress.hedge, progress.instrument, fills)


def _closings(progress: Progress, role: LegRole) -> tuple[Fill, ...]:
    return tuple(booked.fill for booked in progress.fills if booked.leg is role and not booked.fill.opens)


def _quantity(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.quantity for fill in fills), ZERO)


def part_result(progress: Progress) -> Sum:
    """What one closing order realized of a hedge that goes on."""
    operation, instrument = progress.operation, progress.instrument
    legs = [progress.hedge.leg(target.role) for target in operation.targets if target.filled]
    realized = tuple((f"{leg.side} leg", _realized_now(progress, leg, operation)) for leg in legs)
    fees = ZERO - sum((target.fee for target in operation.targets), ZERO)
    head, *rest = realized or (("realized", ZERO),)
    return Sum(head, (*rest, ("fees", fees)), "realized now", instrument.settle)


def _realized_now(progress: Progress, leg: Leg, operation: Operation) -> Decimal:
    """Of the latest closing fills, as many as this operation has filled."""
    left, realized = operation.target(leg.role).filled, ZERO
    for fill in reversed(_closings(progress, leg.role)):
        if left <= 0:
            break
        left -= fill.quantity
        realized += fill.realized_pnl
    return realized
