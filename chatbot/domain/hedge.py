"""A hedge and its legs as the ledger knows them.

A hedge is born with its primary leg (opened by the bot or found on the venue); its offset leg comes with
``/hedge``. On one account there is at most one live hedge per symbol, since the venue itself keeps one
long and one short position per symbol. Leg values change only through fills and funding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

from chatbot.domain.instrument import ZERO, MarginMode, PositionSide, Symbol

HedgeId = NewType("HedgeId", str)  # 10 of [0-9A-Za-z], unique for ever
AccountId = NewType("AccountId", str)
UserId = NewType("UserId", str)


class LegRole(StrEnum):
    PRIMARY = "primary"
    OFFSET = "offset"

    @property
    def counterpart(self) -> LegRole:
        return LegRole.OFFSET if self is LegRole.PRIMARY else LegRole.PRIMARY


class HedgeStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    FROZEN = "frozen"  # ledger and venue differ and nothing explains it: no orders until the user chooses


@dataclass(frozen=True, slots=True)
class Leg:
    """``entry_price`` is the average over what is open; ``realized_pnl`` without fees; ``funding`` positive:
    received.

    ``adopted`` legs were opened elsewhere: what was paid for them before is not known to us.
    ``unpriced`` of it, opened at ``unpriced_entry``, was closed at a price that nothing has told yet:
    ``realized_pnl`` lacks it.
    """

    role: LegRole
    side: PositionSide
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    leverage: Decimal = Decimal(1)
    margin_mode: MarginMode = MarginMode.CROSS
    fees_paid: Decimal = ZERO
    funding: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    adopted: bool = False
    unpriced: Decimal = ZERO
    unpriced_entry: Decimal = ZERO

    @property
    def signed_quantity(self) -> Decimal:
        return self.quantity * self.side.sign


ROLES: Final = tuple(LegRole)  # to go through them: the class itself makes a generator each time
_NO_OFFSET = {side: Leg(LegRole.OFFSET, side) for side in PositionSide}


@dataclass(frozen=True, slots=True)
class Hedge:
    """``number`` is the user's own (#3). ``attempt`` counts the orders of this hedge, for client order ids.

    ``opened_at`` and ``closed_at`` are the venue's instants. ``fills_seen_at`` and ``funding_seen_at`` are
    how far the venue's history has been booked. ``version`` grows with each write; a write on an old version
    fails. ``protected`` is the leg whose profit is locked, which people call the primary: once a lost primary
    was restored, it is the other one.

    Between ``unread_from`` and ``unread_until`` (the venue's instants) its word was taken for what its
    history did not tell.
    """

    id: HedgeId
    number: int
    user_id: UserId
    account_id: AccountId
    symbol: Symbol
    primary: Leg
    opened_at: datetime
    offset: Leg | None = None
    status: HedgeStatus = HedgeStatus.OPEN
    closed_at: datetime | None = None
    reason: str = ""  # why it is frozen, or closed without an order
    attempt: int = 0
    version: int = 0
    fills_seen_at: datetime | None = None
    funding_seen_at: datetime | None = None
    protected: LegRole = LegRole.PRIMARY
    unread_from: datetime | None = None
    unread_until: datetime | None = None

    @property
    def legs(self) -> tuple[Leg, ...]:
        return (self.primary,) if self.offset is None else (self.primary, self.offset)

    @property
    def live(self) -> bool:
        return self.status is not HedgeStatus.CLOSED

    @property
    def unpriced(self) -> bool:
        return any(leg.unpriced for leg in self.legs)

    @property
    def paired(self) -> bool:
        return self.offset is not None and self.offset.quantity > 0 and self.primary.quantity > 0

    @property
    def net_exposure(self) -> Decimal:
        return sum((leg.signed_quantity for leg in self.legs), ZERO)

    @property
    def imbalance(self) -> Decimal:
        """|net exposure| over what is to be hedged; 0 for a hedge that has no second leg to be equal to.

        Over the other leg where the primary itself is gone.
        """
        if self.offset is None:
            return ZERO
        kept = self.leg(self.protected)
        whole = kept.quantity or self.leg(self.protected.counterpart).quantity
        return abs(self.net_exposure) / whole if whole else ZERO

    def leg(self, role: LegRole) -> Leg:
        if role is LegRole.PRIMARY:
            return self.primary
        if self.offset is None:
            return _NO_OFFSET[self.primary.side.opposite]
        return self.offset

    def leg_on(self, side: PositionSide) -> Leg:
        return self.leg(LegRole.PRIMARY if side is self.primary.side else LegRole.OFFSET)

    def with_leg(self, leg: Leg) -> Hedge:
        return replace(self, primary=leg) if leg.role is LegRole.PRIMARY else replace(self, offset=leg)
