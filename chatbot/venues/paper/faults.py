"""What can go wrong between the bot and an exchange, scripted call by call."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class LostRequest:
    """Never arrives."""


@dataclass(frozen=True, slots=True)
class LostReply:
    """Arrives and is carried out; the answer does not come back."""


@dataclass(frozen=True, slots=True)
class Late:
    """The answer does not come in time; the request itself arrives after ``seconds`` of the clock."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Partial:
    """Only this share of a market order fills, the rest is canceled."""

    share: Decimal


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: str
    code: str = ""
    kind: str = "VenueRejected"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The exchange does not answer; a write was surely not sent."""

    reason: str = "The paper exchange does not answer."


OrderFault = LostRequest | LostReply | Late | Partial | Refuse
Fault = TypeVar("Fault")
WriteFault = LostRequest | LostReply | Refuse | Unavailable


class FaultPlan:
    """Each list is used up in order, one entry for each order, write or read; ``None`` lets one pass.

    ``delay`` is the round trip in seconds of every call; ``hide_orders_for`` seconds an order accepted from
    now on is not found by ``order()``; ``hide_fills``: its fills are missing from the history as well,
    ``hide_history``: all are.
    """

    def __init__(self, *, delay: float = 0.0, hide_orders_for: float = 0.0) -> None:
        self.delay = delay
        self.hide_orders_for = hide_orders_for
        self.hide_fills = False
        self.hide_history = False
        self._orders: deque[OrderFault | None] = deque()
        self._writes: deque[WriteFault | None] = deque()
        self._reads: deque[Unavailable | None] = deque()
        self._hidden_until: dict[str, datetime] = {}

    def on_orders(self, *faults: OrderFault | None) -> None:
        self._orders.extend(faults)

    def on_writes(self, *faults: WriteFault | None) -> None:
        """Of ``cancel``, ``set_leg`` and ``set_position_mode``."""
        self._writes.extend(faults)

    def on_reads(self, *faults: Unavailable | None) -> None:
        self._reads.extend(faults)

    def next_order(self) -> OrderFault | None:
        return _next(self._orders)

    def next_write(self) -> WriteFault | None:
        return _next(self._writes)

    def next_read(self) -> Unavailable | None:
        return _next(self._reads)

    def accepted(self, client_order_id: str, now: datetime) -> None:
        if self.hide_orders_for:
            self._hidden_until[client_order_id] = now + timedelta(seconds=self.hide_orders_for)

    def hides(self, client_order_id: str, now: datetime) -> bool:
        until = self._hidden_until.get(client_order_id)
        return until is not None and now < until

    @property
    def spent(self) -> bool:
        return not (self._orders or self._writes or self._reads)


def _next(queue: deque[Fault]) -> Fault | None:
    return queue.popleft() if queue else None
