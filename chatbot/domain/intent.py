"""Order intents: what we want of the venue, written down before it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from chatbot.domain.hedge import AccountId, HedgeId, LegRole
from chatbot.domain.instrument import ZERO, OrderSide, PositionSide, Symbol
from chatbot.domain.order import OrderReport, OrderRequest, OrderStatus, OrderType
from chatbot.errors import InvariantBroken

OperationId = NewType("OperationId", str)


class Purpose(StrEnum):
    OPEN = "open"
    CLOSE = "close"
    TRIM = "trim"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    CLOSE_AT_PRICE = "close_at_price"

    @property
    def protective(self) -> bool:
        """Rests on the venue after the operation that placed it is done."""
        return self in (Purpose.STOP_LOSS, Purpose.TAKE_PROFIT, Purpose.CLOSE_AT_PRICE)


class IntentStatus(StrEnum):
    JOURNALED = "journaled"  # written, perhaps sent: nobody knows until an answer is written
    OPEN = "open"  # the venue has it
    UNKNOWN = "unknown"  # no trustworthy answer: to be settled by evidence
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"  # proven: the venue did nothing
    ABSENT = "absent"  # proven later: it never arrived

    @property
    def final(self) -> bool:
        return self in FINAL


class IntentEvent(StrEnum):
    ACCEPTED = "accepted"
    FILL = "fill"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    LOST = "lost"
    PROVEN_ABSENT = "proven_absent"


FINAL = frozenset({IntentStatus.FILLED, IntentStatus.CANCELED, IntentStatus.REJECTED, IntentStatus.ABSENT})

_S, _E = IntentStatus, IntentEvent

TRANSITIONS: dict[tuple[IntentStatus, IntentEvent], IntentStatus] = {
    (_S.JOURNALED, _E.ACCEPTED): _S.OPEN,
    (_S.JOURNALED, _E.FILL): _S.OPEN,
    (_S.JOURNALED, _E.FILLED): _S.FILLED,
    (_S.JOURNALED, _E.CANCELED): _S.CANCELED,
    (_S.JOURNALED, _E.REJECTED): _S.REJECTED,
    (_S.JOURNALED, _E.LOST): _S.UNKNOWN,
    # A crash between journal and answer leaves JOURNALED behind; recovery may prove absence from there.
    (_S.JOURNALED, _E.PROVEN_ABSENT): _S.ABSENT,
    (_S.UNKNOWN, _E.ACCEPTED): _S.OPEN,
    (_S.UNKNOWN, _E.FILL): _S.OPEN,
    (_S.UNKNOWN, _E.FILLED): _S.FILLED,
    (_S.UNKNOWN, _E.CANCELED): _S.CANCELED,
    (_S.UNKNOWN, _E.LOST): _S.UNKNOWN,
    (_S.UNKNOWN, _E.PROVEN_ABSENT): _S.ABSENT,
    (_S.OPEN, _E.ACCEPTED): _S.OPEN,
    (_S.OPEN, _E.FILL): _S.OPEN,
    (_S.OPEN, _E.FILLED): _S.FILLED,
    (_S.OPEN, _E.CANCELED): _S.CANCELED,
}
# There is no (UNKNOWN, REJECTED): a rejection is an answer to a request, and that answer was lost.


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """``filled_quantity``, ``average_price`` and ``fee`` are cumulative, as booked so far."""

    client_order_id: str
    operation_id: OperationId
    hedge_id: HedgeId
    account_id: AccountId
    symbol: Symbol
    leg: LegRole
    purpose: Purpose
    side: OrderSide
    position_side: PositionSide
    type: OrderType
    quantity: Decimal
    reduce_only: bool
    created_at: datetime
    valid_until: datetime
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    status: IntentStatus = IntentStatus.JOURNALED
    venue_order_id: str = ""
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    fee: Decimal = ZERO
    reason: str = ""

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled_quantity

    def request(self) -> OrderRequest:
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            position_side=self.position_side,
            type=self.type,
            quantity=self.quantity,
            reduce_only=self.reduce_only,
            valid_until=self.valid_until,
            limit_price=self.limit_price,
            trigger_price=self.trigger_price,
        )

    def after(self, event: IntentEvent, *, reason: str = "") -> OrderIntent:
        status = TRANSITIONS.get((self.status, event))
        if status is None:
            raise InvariantBroken(f"order {self.client_order_id} is {self.status}: {event} is impossible")
        return replace(self, status=status, reason=reason or self.reason)


_EVENT_OF = {
    OrderStatus.FILLED: IntentEvent.FILLED,
    OrderStatus.CANCELED: IntentEvent.CANCELED,
    OrderStatus.EXPIRED: IntentEvent.CANCELED,
}


def event_of(report: OrderReport) -> IntentEvent:
    """What a venue's report of an order means to its intent."""
    partly = IntentEvent.FILL if report.filled_quantity else IntentEvent.ACCEPTED
    return _EVENT_OF.get(report.status, partly)


_LEG_LETTER = {LegRole.PRIMARY: "P", LegRole.OFFSET: "X"}
_PURPOSE_LETTER = {
    Purpose.OPEN: "O",
    Purpose.CLOSE: "C",
    Purpose.TRIM: "T",
    Purpose.STOP_LOSS: "S",
    Purpose.TAKE_PROFIT: "G",
    Purpose.CLOSE_AT_PRICE: "A",
}


def client_order_id(hedge_id: HedgeId, leg: LegRole, purpose: Purpose, attempt: int) -> str:
    """At most 28 of ``[0-9A-Za-z]``: every venue takes that. The same wish always has the same id."""
    return f"HR{hedge_id}{_LEG_LETTER[leg]}{_PURPOSE_LETTER[purpose]}{attempt}"


def placed_for(hedge_id: HedgeId, client_order_id: str) -> bool:
    """Whether an order that the venue lists was placed for this hedge."""
    return client_order_id.startswith(f"HR{hedge_id}")


_OURS = re.compile(rf"HR\w+[{''.join(_LEG_LETTER.values())}]([{''.join(_PURPOSE_LETTER.values())}])\d+")


def purpose_of(client_order_id: str) -> Purpose | None:
    """What an order of ours is for, as its id says; ``None``: not one of ours."""
    found = _OURS.fullmatch(client_order_id)
    return None if found is None else next(p for p, letter in _PURPOSE_LETTER.items() if letter == found[1])
