"""What a closed hedge made in all, in parts that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO, ContractKind, Instrument, PositionSide
from chatbot.domain.order import Fill
from chatbot.domain.pnl import totals
from chatbot.domain.wording import quantity_text


@dataclass(frozen=True, slots=True)
class Ending:
    """Legs realized less ``fees`` and with ``funding`` (negative: costs) are the net result.

    ``slippage``: what the legs lost (or won) because they were not closed at one price; the rest of what
    they realized is the lock itself. ``None`` where they were not closed together. What ``adopted`` legs
    cost before they were found is not in it. ``lacking``: what else is not, in a sentence.
    """

    legs: tuple[tuple[PositionSide, Decimal], ...]  # those that were traded, the primary first
    fees: Decimal
    funding: Decimal
    slippage: Decimal | None = None
    adopted: tuple[PositionSide, ...] = ()
    lacking: str = ""

    @property
    def realized(self) -> Decimal:
        return sum((amount for _, amount in self.legs), ZERO)

    @property
    def net(self) -> Decimal:
        return self.realized + self.fees + self.funding


def lacking(hedge: Hedge, instrument: Instrument) -> str:
    """What its result lacks; empty: nothing."""
    unpriced = [leg for leg in hedge.legs if leg.unpriced]
    if unpriced:
        what = " and ".join(
            f"{quantity_text(instrument, leg.unpriced)} of the {leg.side}" for leg in unpriced
        )
        return f"The exchange has not told at what price {what} closed: that gain or loss is not in here."
    if hedge.unread_until is not None:
        return "What was filled and paid while it could not be booked may be missing here."
    return ""


def ending_of(hedge: Hedge, instrument: Instrument, slippage: Decimal | None) -> Ending:
    so_far = totals(hedge)
    traded = [leg for leg in hedge.legs if leg.realized_pnl or leg is hedge.primary]
    legs = tuple((leg.side, leg.realized_pnl) for leg in traded)
    adopted = tuple(leg.side for leg in hedge.legs if leg.adopted)
    missing = lacking(hedge, instrument)
    return Ending(legs, ZERO - so_far.fees_paid, so_far.funding, slippage, adopted, missing)


def slippage_between(
    hedge: Hedge, instrument: Instrument, closings: Mapping[LegRole, Sequence[Fill]]
) -> Decimal | None:
    """``None`` where the fills did not close the same of both legs."""
    primary, offset = (_quantity(closings[role]) for role in LegRole)
    if primary != offset or not primary:
        return None
    value = {role: _notional(closings[role], instrument) for role in LegRole}
    difference = value[LegRole.PRIMARY] - value[LegRole.OFFSET]
    linear = instrument.kind is ContractKind.LINEAR
    return difference * hedge.primary.side.sign * (1 if linear else -1)


def _quantity(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.quantity for fill in fills), ZERO)


def _notional(fills: Sequence[Fill], instrument: Instrument) -> Decimal:
    return sum((instrument.notional(fill.quantity, fill.price) for fill in fills), ZERO)
